"""From ratios, a token budget and what the corpora hold to a plan, or to an error that says who is the culprit and what would work."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from orchestrator.errors import MixtureError
from orchestrator.mixture import remedies
from orchestrator.mixture.apportion import exact, round_quotas
from orchestrator.mixture.interleave import MAX_SEQUENCES
from orchestrator.mixture.plan import Plan, PlannedSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Supply:
    """A source as planning sees it: what it holds and what is asked of it.

    Attributes:
        name: its name in the configuration.
        role: `spec` or `general`.
        fingerprint: of its manifest.
        unique_sequences: whole sequences in one epoch.
        asked_share: the share of trained tokens asked for, an exact rational; over all sources they sum to 1.
        max_epochs: how often its tokens may be passed over.
    """

    name: str
    role: str
    fingerprint: str
    unique_sequences: int
    asked_share: Fraction
    max_epochs: float


def shares_from_spec_share(spec_share: float, roles: dict[str, str], weights: dict[str, float]) -> dict[str, Fraction]:
    """Each source's share of trained tokens from the one dial: spec sources divide `spec_share`, the others the rest, by weight.

    Args:
        spec_share: share of the spec sources together, 0 to 1.
        roles: each source's role.
        weights: each source's weight among those of its side.

    Returns:
        Exact shares that sum to 1.

    Raises:
        MixtureError: one side has a share and no source, or weights of a side sum to 0.
    """
    spec_part = exact(spec_share)
    shares: dict[str, Fraction] = {}
    for part, is_spec in ((spec_part, True), (1 - spec_part, False)):
        side = {name: exact(weights[name]) for name, role in roles.items() if (role == "spec") == is_spec}
        total = sum(side.values())
        if part > 0 and total == 0:
            kind = "role spec" if is_spec else "a role other than spec"
            raise MixtureError(
                f"mixture.spec_share={spec_share} leaves {float(part):g} of the tokens to sources with {kind}, and none has a weight "
                f"above 0. Give such a source in sources, or set mixture.spec_share={0 if is_spec else 1}."
            )
        shares |= {name: part * weight / total if total else Fraction(0) for name, weight in side.items()}
    return {name: shares[name] for name in roles}


def make_plan(supplies: Sequence[Supply], *, total_tokens: int, sequence_length: int, sequences_per_step: int, seed: int) -> Plan:
    """Resolve a mixture to exact counts.

    The budget is cut to whole steps; the plan's `tokens` shows what is left of it.

    Args:
        supplies: the sources, at least one, with shares that sum to 1.
        total_tokens: the budget.
        sequence_length: tokens trained in a sequence.
        sequences_per_step: sequences of one update, over all ranks.
        seed: of every shuffle.

    Returns:
        The plan.

    Raises:
        MixtureError: the budget is under one step, a source would get no sequence, or more epochs than it may.
    """
    assert sum(supply.asked_share for supply in supplies) == 1
    tokens_per_step = sequence_length * sequences_per_step
    steps = total_tokens // tokens_per_step
    if steps == 0:
        raise MixtureError(
            f"mixture.total_tokens={total_tokens:,} is less than one step of {tokens_per_step:,} tokens "
            f"({sequences_per_step} sequences of {sequence_length}). Raise it to {tokens_per_step:,}"
            f"{' or lower training.sequences_per_step' if total_tokens >= sequence_length else ''}."
        )
    num_sequences = steps * sequences_per_step
    if num_sequences > MAX_SEQUENCES:
        raise MixtureError(
            f"mixture.total_tokens={total_tokens:,} is {num_sequences:,} sequences; a plan holds {MAX_SEQUENCES:,}. "
            f"Lower it to {MAX_SEQUENCES * sequence_length:,}, or raise training.sequence_length to {-(-total_tokens // MAX_SEQUENCES):,}."
        )
    counts = _counts(supplies, num_sequences)
    for supply, count in zip(supplies, counts, strict=True):
        _check_supply(supply, count, steps, tokens_per_step, sequence_length)
    return Plan(
        sequence_length=sequence_length,
        sequences_per_step=sequences_per_step,
        steps=steps,
        seed=seed,
        sources=tuple(_planned(supply, count) for supply, count in zip(supplies, counts, strict=True)),
    )


def _counts(supplies: Sequence[Supply], num_sequences: int) -> list[int]:
    """Sequences of each source: the spec side is rounded first, within half a sequence of its share, then each side's parts."""
    is_spec = [supply.role == "spec" for supply in supplies]
    spec_share = sum((s.asked_share for s, spec in zip(supplies, is_spec, strict=True) if spec), Fraction(0))
    spec_total = int(spec_share * num_sequences + Fraction(1, 2))
    counts = [0] * len(supplies)
    for side, total in ((True, spec_total), (False, num_sequences - spec_total)):
        members = [i for i, spec in enumerate(is_spec) if spec == side]
        quotas = [supplies[i].asked_share * num_sequences for i in members]
        for i, count in zip(members, round_quotas(total, quotas), strict=True):
            counts[i] = count
    return counts


def _planned(supply: Supply, count: int) -> PlannedSource:
    return PlannedSource(
        name=supply.name,
        role=supply.role,
        fingerprint=supply.fingerprint,
        unique_sequences=supply.unique_sequences,
        asked_share=float(supply.asked_share),
        sequences=count,
    )


def _check_supply(supply: Supply, count: int, steps: int, tokens_per_step: int, sequence_length: int) -> None:
    per_step = tokens_per_step // sequence_length
    num_sequences, share = steps * per_step, float(supply.asked_share)
    if supply.asked_share > 0 and count == 0:
        needed_tokens = remedies.fewest_steps(supply.asked_share, per_step) * tokens_per_step
        raise MixtureError(
            f"source {supply.name!r}: ratio {share:g} of {num_sequences:,} sequences rounds to none: it would not be seen. Train at "
            f"least {needed_tokens:,} tokens (mixture.total_tokens), or raise its ratio to {remedies.raised(Fraction(1, num_sequences))}."
        )
    most = int(exact(supply.max_epochs) * supply.unique_sequences)
    if count > most:
        fewer = remedies.most_steps(supply.asked_share, per_step, most) * tokens_per_step
        epochs = Fraction(count, max(1, supply.unique_sequences))
        raise MixtureError(
            f"source {supply.name!r} has {supply.unique_sequences * sequence_length:,} unique tokens; ratio {share:g} of "
            f"{num_sequences * sequence_length:,} trained tokens needs {float(epochs):.2f} epochs, over "
            f"mixture.max_epochs.{supply.name}={supply.max_epochs:g}. Lower its ratio to {remedies.lowered(Fraction(most, num_sequences))}"
            f"{f', train {fewer:,} tokens,' if fewer else ''} or raise the cap to {remedies.raised_cap(epochs)}."
        )
