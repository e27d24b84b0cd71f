"""midtrain: interleave a spec corpus with general text at exact ratios, train, and show what was learned and forgotten."""

__version__ = "0.1.0"
