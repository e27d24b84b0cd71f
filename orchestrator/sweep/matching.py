"""How a short sweep stands for a long run: its trials pass over a source as often as that run does, by using less of it. Pure.

What is repeated matters as much as the ratio: small runs predict a large one when both repeat as often (arXiv 2606.07597).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A source of a trial, and of the run that it stands for.

    Attributes:
        source: its name.
        share: of the trained tokens, in both.
        target_tokens, target_unique_tokens, target_epochs: what that run trains of it, has of it, and how often it passes over that.
        unique_tokens: what the trial uses of it; none: all, as neither repeats it.
        epochs: of the trial.
    """

    source: str
    share: float
    target_tokens: float
    target_unique_tokens: int
    target_epochs: float
    unique_tokens: int | None
    epochs: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Supplied:
    """A source as it is prepared, and its share of a trial's trained tokens."""

    name: str
    is_spec: bool
    tokens: int
    share: float


def match(sources: Sequence[Supplied], *, total_tokens: int, target_tokens: int, target_unique: Mapping[str, int]) -> list[Match]:
    """What a trial uses of each source.

    The spec, and a general source that the run would repeat without the spec, is cut down by as much as the trial is shorter: what a trial
    uses of a general source, its control uses too. One that the run does not pass over once, the trial does not either.

    Args:
        sources: of the trial.
        total_tokens: of the trial.
        target_tokens: of the run that it stands for.
        target_unique: source -> the tokens that the run will have of it, where they are not those that are prepared.
    """
    general = sum(source.share for source in sources if not source.is_spec)
    return [_match(source, total_tokens, target_tokens, target_unique.get(source.name, source.tokens), general) for source in sources]


def _match(source: Supplied, total_tokens: int, target_tokens: int, target_unique: int, general: float) -> Match:
    wanted = source.share * target_tokens
    target_epochs = wanted / target_unique
    is_cut = source.is_spec or target_epochs / general > 1 + _ROUNDING  # as often as without the spec
    unique = max(1, round(target_unique * total_tokens / target_tokens)) if is_cut else None
    return Match(
        source=source.name,
        share=source.share,
        target_tokens=wanted,
        target_unique_tokens=target_unique,
        target_epochs=target_epochs,
        unique_tokens=unique,
        epochs=source.share * total_tokens / (unique or source.tokens),
    )
