"""How a model answers a probe: which choice of each item it finds likeliest, and by how much."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.evaluation.probe_sequences import Probe

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answers:
    """The answers to a probe of n items.

    Attributes:
        items: a hash of them.
        margins: (n,) the mean log-likelihood of the right choice less that of the best other one, in nats a token.
        num_cut: items whose prompt was cut.
    """

    items: str
    margins: Floats
    num_cut: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the right choice is likelier than each other one."""
        return self.margins > 0


def judge_answers(probe: Probe, likelihoods: Floats) -> Answers:
    """Compare the choices of each item.

    A choice is worth the mean log-likelihood of its tokens, not the sum, which would favour short choices (Brown et al., "Language Models
    are Few-Shot Learners", 2020, section 2.4). lm-eval's `acc_norm` divides the sum by the choice's length in characters instead, so that
    models with other tokenizers compare; here all have one tokenizer, and margins are in the unit of all other losses.

    Args:
        probe: with c choices in all.
        likelihoods: (c,) mean log-likelihoods in nats a token, item by item.
    """
    starts = np.cumsum(probe.num_choices) - probe.num_choices
    right = starts + probe.answers
    others = likelihoods.copy()
    others[right] = -np.inf
    margins = likelihoods[right] - np.maximum.reduceat(others, starts)
    return Answers(items=probe.items, margins=margins, num_cut=probe.num_cut)
