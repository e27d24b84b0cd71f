"""Trials that lie where a test wants them, and sweeps that hypothesis draws."""

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from orchestrator.frontier.trials import Floats, SourceLosses, TrialResult, Value

SHARE, UNIQUE, TOKENS = "mixture.spec_share", "mixture.unique_tokens", "mixture.total_tokens"
LAW = settings(deadline=None, max_examples=40)
RATIOS = st.floats(0.3, 1.5, allow_nan=False)


def losses_of(role: str, ratios: Sequence[float], *, before: float = 2.0, documents: Sequence[int] | None = None) -> SourceLosses:
    """A source whose sequences' losses became such shares of what they were; each is a document of its own unless said otherwise."""
    numbers = range(len(ratios)) if documents is None else documents
    base = np.full(len(ratios), before)
    return SourceLosses(role=role, before=base, after=base * np.array(ratios), documents=np.array(numbers, dtype=np.int64))


def at(uptake: float, forgetting: float, spread: Floats | float = 0.0) -> dict[str, SourceLosses]:
    """Sources that put a trial into such a place; (n,) spread is added to the relative losses of documents, and should have a mean of 0."""
    noise = np.zeros(1) + spread
    return {"spec": losses_of("spec", (1 - uptake + noise).tolist()), "web": losses_of("general", (1 + forgetting + noise).tolist())}


def trial(
    setting: Mapping[str, Value],
    sources: Mapping[str, SourceLosses],
    *,
    seed: int = 0,
    arm: str = "spec",
    epochs: float = 1.0,
    total_tokens: int = 1_000_000,
) -> TrialResult:
    """A trial whose spec share is what its setting says; 0.1 when it says none."""
    given = setting.get(SHARE, 0.1 if arm == "spec" else 0.0)
    assert isinstance(given, float)
    return TrialResult(
        trial_id=f"{arm}-{sorted(setting.items())}-{total_tokens}-{seed}",
        arm=arm,
        setting=setting,
        seed=seed,
        spec_share=given,
        spec_epochs=epochs if arm == "spec" else 0.0,
        unique_spec_tokens=round(given * total_tokens / epochs),
        total_tokens=total_tokens,
        sources=sources,
    )


@st.composite
def sweeps(draw: st.DrawFn) -> list[TrialResult]:
    """Sweeps over shares with a control or none, of a few seeds, with held-out documents of one sequence or more."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    shares = sorted(draw(st.sets(st.sampled_from([0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4]), min_size=1)))
    documents = np.sort(rng.integers(0, draw(st.integers(1, 9)), draw(st.integers(1, 12))))
    num_seeds = draw(st.integers(1, 3))
    scale = draw(st.sampled_from([0.0, 0.01, 0.1]))

    def sources(share: float) -> dict[str, SourceLosses]:
        noise = 1 + scale * rng.standard_normal((2, len(documents)))
        spec, web = (0.7 + 0.3 * np.exp(-9 * share)) * noise[0], (0.97 + 0.03 * np.exp(5 * share)) * noise[1]
        return {
            "spec": losses_of("spec", spec.tolist(), documents=documents.tolist()),
            "web": losses_of("general", web.tolist(), documents=documents.tolist()),
        }

    return [
        trial({SHARE: share} if share else {}, sources(share), seed=seed, arm="spec" if share else "control")
        for share in shares
        for seed in range(num_seeds)
    ]
