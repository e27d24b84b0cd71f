"""The learning rate as a pure function of the step."""

import math
from dataclasses import dataclass

from orchestrator.config.training import TrainingConfig
from orchestrator.mixture.apportion import exact


@dataclass(frozen=True, slots=True)
class Phases:
    """How a run's steps divide: `warmup` of them, then `stable` ones at the peak, then `decay` ones down to the final share."""

    warmup: int
    stable: int
    decay: int


def phases(config: TrainingConfig, steps: int) -> Phases:
    """The phases of a run.

    Args:
        config: the schedule. A share of the steps is rounded up to whole ones, so that a share above 0 is never none of them.
        steps: of the whole run.

    Returns:
        The phases; `stable` is negative where warm-up and decay are longer than the run, which planning refuses.
    """
    warmup = math.ceil(exact(config.warmup_share) * steps) if config.warmup_share is not None else config.warmup_steps or 0
    if config.schedule == "constant":
        return Phases(warmup, steps - warmup, 0)
    if config.schedule == "warmup_stable_decay":
        decay = math.ceil(exact(config.decay_share) * steps)
        return Phases(warmup, steps - warmup - decay, decay)
    return Phases(warmup, 0, steps - warmup)


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """The learning rate of an update.

    A warm-up rises along a line from its initial share, at step 0, to the peak, at its last step: from 0 for a new optimiser, from above it
    to re-warm a model whose training had ended at a low rate (Ibrahim et al., "Simple and Scalable Strategies to Continually Pre-train
    Large Language Models", TMLR 2024). After it the rate stays, or falls to its final share at the last step: along a line; along half a
    cosine (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts); or it stays first and falls over the last `decay_share` as one less
    the square root of the progress, which Hägele et al. ("Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations",
    NeurIPS 2024) found the best shape for warmup-stable-decay (Hu et al., "MiniCPM", 2024).

    Args:
        config: peak, schedule, warm-up and shares.
        step: counted from 1.
        steps: of the whole run.

    Returns:
        The rate.
    """
    parts = phases(config, steps)
    if step < parts.warmup:
        return config.learning_rate * _between(config.initial_learning_rate_share, 1, step / parts.warmup)
    since = step - parts.warmup - parts.stable
    if since <= 0:
        return config.learning_rate
    progress = since / parts.decay
    falling = {"linear": progress, "cosine": (1 - math.cos(math.pi * progress)) / 2, "warmup_stable_decay": math.sqrt(progress)}
    return config.learning_rate * _between(1, config.final_learning_rate_share, falling[config.schedule])


def _between(start: float, end: float, progress: float) -> float:
    """From one number to another, never back, both hit exactly: the half that is nearer is measured from its own end."""
    return start + (end - start) * progress if progress < 0.5 else end - (end - start) * (1 - progress)
