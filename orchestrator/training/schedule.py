"""The learning rate as a pure function of the step."""

import math

from orchestrator.config.training import TrainingConfig


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """The learning rate of an update.

    A linear warm-up reaches the peak at step `warmup_steps`; after it the rate falls to its final share at the last step, along a line or
    half a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts), or stays.

    Args:
        config: peak, schedule, warm-up and final share.
        step: counted from 1.
        steps: of the whole run.

    Returns:
        The rate.
    """
    if step <= config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    falling = 1 - progress if config.schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate * (config.final_learning_rate_share + (1 - config.final_learning_rate_share) * falling)
