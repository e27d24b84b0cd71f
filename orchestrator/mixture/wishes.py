"""What is asked of a mixture, and the shares of sequences that it comes to: exact rationals, no rounding, nothing normalised in silence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction

from orchestrator.errors import MixtureError
from orchestrator.mixture import remedies
from orchestrator.mixture.apportion import exact
from orchestrator.mixture.plan import PlannedSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Supply(PlannedSource):
    """A source as planning sees it: what the plan keeps of it, and how much and how often of it there may be.

    Attributes:
        weight: among the sources that are given neither a ratio nor a count.
        max_epochs: how often its tokens may be passed over; none: any number of times.
    """

    weight: Fraction = Fraction(1)
    max_epochs: float | None = 1.0

    @property
    def is_spec(self) -> bool:
        return self.role == "spec"

    @property
    def planned(self) -> PlannedSource:
        """What the plan keeps of it."""
        return PlannedSource(**{kept.name: getattr(self, kept.name) for kept in fields(PlannedSource)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratios:
    """Shares of trained tokens, in one of three ways.

    Attributes:
        spec_share: of the spec sources together; each side divides its part by weight.
        by_source: every source's own; they sum to 1. With neither, all sources divide the whole by weight.
    """

    spec_share: Fraction | None = None
    by_source: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class StageWish:
    """What is asked of a stage.

    Attributes:
        key: where the configuration says so, for messages.
        steps, tokens: its length, in one of the two; neither: all that the other stages leave.
        start, end: the ratios at its ends; the same for a stage of constant ratios.
        source_tokens: source -> trained tokens that it is to have in the stage.
        source_epochs: source -> passes that are to be made over it in the stage.
    """

    key: str = "mixture"
    steps: int | None = None
    tokens: int | None = None
    start: Ratios
    end: Ratios
    source_tokens: Mapping[str, int] = field(default_factory=dict)
    source_epochs: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_ramp(self) -> bool:
        return self.start != self.end


def exact_counts(wish: StageWish, supplies: Sequence[Supply]) -> dict[int, int]:
    """Source index -> the sequences of those that are given as tokens or epochs, to the nearest below."""
    counts = {}
    for index, supply in enumerate(supplies):
        if (tokens := wish.source_tokens.get(supply.name)) is not None:
            counts[index] = int(tokens / supply.tokens_per_sequence)
        elif (epochs := wish.source_epochs.get(supply.name)) is not None:
            counts[index] = int(exact(epochs) * supply.epoch.sequences)
    return counts


def sequence_shares(
    ratios: Ratios, supplies: Sequence[Supply], counts: Mapping[int, int], *, num_sequences: int, key: str
) -> tuple[Fraction, ...]:
    """Each source's share of a stage's sequences, such that its share of the trained tokens is the one asked for.

    Args:
        ratios: what is asked of the sources without a count.
        supplies: all sources.
        counts: source index -> sequences, of the others.
        num_sequences: of the stage.
        key: of the stage, for messages.

    Returns:
        One share a source; they sum to 1.

    Raises:
        MixtureError: counts and ratios contradict each other, or a side has a share and no source for it.
    """
    if ratios.by_source:
        per_token = [ratios.by_source.get(supply.name, Fraction(0)) / supply.tokens_per_sequence for supply in supplies]
        return tuple(share / sum(per_token) for share in per_token)
    free = num_sequences - sum(counts.values())
    if free < 0:
        raise _too_many(supplies, counts, num_sequences, key)
    sides = _Sides(supplies, counts)
    tokens = sides.divide(free, key) if ratios.spec_share is None else sides.divide_by_dial(ratios.spec_share, free, key)
    return tuple(
        Fraction(counts[index], num_sequences) if index in counts else tokens[supply.is_spec] * sides.part(index) / num_sequences
        for index, supply in enumerate(supplies)
    )


class _Sides:
    """The spec's sources and the others: what has a count, and how the rest is divided by weight."""

    def __init__(self, supplies: Sequence[Supply], counts: Mapping[int, int]) -> None:
        self._supplies, self._counts = supplies, counts
        self._rated = [i for i, supply in enumerate(supplies) if i not in counts and supply.weight > 0]
        self._weight = {spec: self._total_weight(spec) for spec in (True, False)}

    def _total_weight(self, spec: bool) -> Fraction:
        return sum((self._supplies[i].weight for i in self._rated if self._supplies[i].is_spec == spec), Fraction(0))

    def part(self, index: int) -> Fraction:
        """A source's sequences for each token of its side's sources without a count."""
        supply = self._supplies[index]
        return supply.weight / self._weight[supply.is_spec] / supply.tokens_per_sequence if index in self._rated else Fraction(0)

    def divide(self, free: int, key: str) -> dict[bool, Fraction]:
        """The tokens of each side's sources without a count, all of them dividing `free` sequences by weight."""
        needed = sum((self._supplies[i].weight / self._supplies[i].tokens_per_sequence for i in self._rated), Fraction(0))
        if free and not needed:
            raise MixtureError(
                f"{key}: sources given as tokens or epochs leave {free:,} sequences to nobody. Give one of them by weight instead, or "
                f"train {free:,} sequences less."
            )
        if self._rated and not free:
            first = self._supplies[self._rated[0]].name
            raise MixtureError(
                f"{key}: sources given as tokens or epochs take all sequences of the stage and leave none to {first!r}. Make it longer, or "
                f"set sources.{first}.weight=0."
            )
        per_weight = free / Fraction(needed) if needed else Fraction(0)
        return {spec: weight * per_weight for spec, weight in self._weight.items()}

    def divide_by_dial(self, spec_share: Fraction, free: int, key: str) -> dict[bool, Fraction]:
        """The same, the spec having its share of all tokens, counts included."""
        parts = {True: spec_share, False: 1 - spec_share}
        counted = {spec: self._counted_tokens(spec) for spec in (True, False)}
        for spec, part in parts.items():
            self._refuse_empty(spec, part, counted[spec], key)
        per_token = {spec: sum((self.part(i) for i in self._rated if self._supplies[i].is_spec == spec), Fraction(0)) for spec in parts}
        needed = sum((per_token[spec] * part for spec, part in parts.items()), Fraction(0))
        whole = (free + sum((per_token[spec] * counted[spec] for spec in parts), Fraction(0))) / needed
        left = {spec: part * whole - counted[spec] for spec, part in parts.items()}
        for spec, tokens in left.items():
            if tokens < 0 or tokens == 0 < parts[spec]:
                raise MixtureError(
                    f"{key}: {_side(spec)} given as tokens or epochs train {int(counted[spec]):,} tokens, and spec_share="
                    f"{float(spec_share):g} is {int(parts[spec] * whole):,} for all of that side. Lower them, or set spec_share to null."
                )
        return left

    def _counted_tokens(self, spec: bool) -> Fraction:
        mine = [i for i in self._counts if self._supplies[i].is_spec == spec]
        return sum((self._counts[i] * self._supplies[i].tokens_per_sequence for i in mine), Fraction(0))

    def _refuse_empty(self, spec: bool, part: Fraction, counted: Fraction, key: str) -> None:
        if self._weight[spec] > 0 or (part == 0 and counted == 0):
            return
        if counted:
            raise MixtureError(
                f"{key}: spec_share and tokens or epochs of all {_side(spec)} say the same thing twice. Set spec_share to null, or give "
                f"one of them by weight."
            )
        share = float(part if spec else 1 - part)
        raise MixtureError(
            f"{key}.spec_share={share:g} leaves {float(part):g} of the tokens to {_side(spec)}, and none has a weight above 0. "
            f"Give such a source in sources, or set {key}.spec_share={0 if spec else 1}."
        )


def _side(spec: bool) -> str:
    return "sources with role spec" if spec else "sources with a role other than spec"


def _too_many(supplies: Sequence[Supply], counts: Mapping[int, int], num_sequences: int, key: str) -> MixtureError:
    most = max(counts, key=lambda index: counts[index])
    over = sum(counts.values()) - num_sequences
    lower = ""
    if counts[most] > over:
        fewer = int((counts[most] - over) * supplies[most].tokens_per_sequence)
        epochs = remedies.lowered(Fraction(counts[most] - over, supplies[most].epoch.sequences))
        lower = f"Lower {supplies[most].name!r} to {fewer:,} tokens ({epochs} epochs), or make"
    return MixtureError(
        f"{key}: sources given as tokens or epochs need {sum(counts.values()):,} sequences, over the {num_sequences:,} of the stage. "
        f"{lower or 'Make'} the stage longer by {over:,} sequences."
    )
