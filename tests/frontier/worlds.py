"""Sweeps of which the truth is known: trials whose losses follow a mixing law, with noise of documents, sequences and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp

import numpy as np
from numpy.typing import NDArray

from orchestrator.frontier.trials import SourceLosses, TrialResult

TOTAL_TOKENS = 50_000_000
SHARE = "mixture.spec_share"


@dataclass(frozen=True, kw_only=True)
class Law:
    """The loss of a source over the spec share: c + k exp(t r) in nats a token; before training it was `before`."""

    role: str
    c: float
    k: float
    t: float
    before: float

    def relative(self, share: float) -> float:
        return (self.c + self.k * exp(self.t * share)) / self.before


LAWS = {
    "spec": Law(role="spec", c=1.9, k=0.8, t=-12.0, before=2.9),
    "web": Law(role="general", c=2.75, k=0.06, t=6.0, before=2.8),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """How trials come about.

    Attributes:
        shares: of the spec; 0 is a control.
        num_seeds: of each setting.
        num_documents: held out, of each source; each has 1 to 2 * sequences - 1 sequences.
        by_document: the spread of a document's c, k and loss before training, each as a share of it.
        by_sequence: the spread of a sequence's losses, the same in all trials, in nats.
        by_measurement: the spread of a sequence's loss after each trial, in nats.
        shared_by_seed: the spread of what a seed does to all settings alike, in nats.
        by_trial: the spread of what a seed does to one setting, in nats.
    """

    laws: Mapping[str, Law] = field(default_factory=lambda: LAWS)
    shares: Sequence[float] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
    num_seeds: int = 2
    num_documents: int = 60
    sequences: int = 2
    by_document: float = 0.1
    by_sequence: float = 0.1
    by_measurement: float = 0.02
    shared_by_seed: float = 0.0
    by_trial: float = 0.003

    def uptake(self, share: float) -> float:
        return 1 - float(np.mean([law.relative(share) for law in self.laws.values() if law.role == "spec"]))

    def forgetting(self, share: float) -> float:
        return float(np.mean([law.relative(share) for law in self.laws.values() if law.role == "general"])) - 1

    def optimum(self) -> float:
        shares = np.linspace(0, max(self.shares), 100_001)
        cost = sum(
            np.array(law.c + law.k * np.exp(law.t * shares)) / law.before / sum(other.role == law.role for other in self.laws.values())
            for law in self.laws.values()
        )
        return float(shares[np.argmin(cost)])

    def trials(self, rng: np.random.Generator) -> list[TrialResult]:
        losses = {name: self._losses(law, rng) for name, law in self.laws.items()}
        return [
            trial(share, seed, {name: by_trial[number][seed] for name, by_trial in losses.items()})
            for number, share in enumerate(self.shares)
            for seed in range(self.num_seeds)
        ]

    def _losses(self, law: Law, rng: np.random.Generator) -> list[list[SourceLosses]]:
        documents = np.repeat(np.arange(self.num_documents), rng.integers(1, 2 * self.sequences, self.num_documents))
        size = len(documents)
        all_alike, constant, gain, base = (1 + self.by_document * rng.standard_normal((4, self.num_documents)))[:, documents]
        of_sequence = self.by_sequence * rng.standard_normal(size)
        before = law.before * all_alike * base + of_sequence
        shared = self.shared_by_seed * rng.standard_normal(self.num_seeds)

        def after(share: float, seed: int) -> NDArray[np.float64]:
            noise = shared[seed] + self.by_trial * rng.standard_normal() + self.by_measurement * rng.standard_normal(size)
            return np.asarray(all_alike * (law.c * constant + law.k * gain * exp(law.t * share)) + of_sequence + noise)

        return [
            [SourceLosses(role=law.role, before=before, after=after(share, seed), documents=documents) for seed in range(self.num_seeds)]
            for share in self.shares
        ]


def trial(
    share: float, seed: int, sources: Mapping[str, SourceLosses], *, epochs: float = 1.0, extra: Mapping[str, int] | None = None
) -> TrialResult:
    """A trial of a share; of share 0, a control."""
    setting = {**(extra or {})} if share == 0 else {SHARE: share, **(extra or {})}
    return TrialResult(
        trial_id=f"share{share:g}-seed{seed}" + "".join(f"-{value}" for value in (extra or {}).values()),
        arm="control" if share == 0 else "spec",
        setting=setting,
        seed=seed,
        spec_share=share,
        spec_epochs=epochs if share else 0.0,
        unique_spec_tokens=round(share * TOTAL_TOKENS / epochs),
        total_tokens=TOTAL_TOKENS,
        sources=sources,
    )
