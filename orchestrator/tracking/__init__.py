"""Metrics: the run's own `metrics.jsonl`, and Weights & Biases as its mirror."""
