"""Plans that are not made: who is the culprit, what is the limit, and numbers that would work."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

from orchestrator.errors import MixtureError
from orchestrator.mixture import remedies
from orchestrator.mixture.apportion import exact
from orchestrator.mixture.plan import Plan, PlannedSource
from orchestrator.mixture.wishes import StageWish, Supply


def changed(source: PlannedSource, supply: Supply) -> MixtureError:
    """Other content, another part of it or another role under a name that a run has trained: which of its sequences were trained would be
    lost."""
    if replace(source, subset=supply.subset) == supply.planned:
        was, now = (f"{x.epoch.sequences:,} of its {x.unique_sequences:,} sequences" for x in (source, supply))
        return MixtureError(
            f"mixture.unique_tokens: the run has used {was} of source {supply.name!r}; it would use {now}. Put it back, or start a new run."
        )
    was, now = (f"{x.role}, {x.unique_sequences:,} sequences, {x.fingerprint[:12]}" for x in (source, supply))
    return MixtureError(
        f"source {supply.name!r} is not what the run has trained: it was {was}; it is {now}. Prepare it again as it was, or "
        f"start a new run."
    )


def refuse_starved(plan: Plan, number: int, wish: StageWish) -> None:
    """Refuse a stage in which a source has a part that comes to no sequence.

    Args:
        plan: with the stage.
        number: of the stage, from 0.
        wish: what was asked of it.
    """
    stage = plan.stages[number]
    first = sum(before.made_steps for before in plan.stages[:number])
    counts = plan.sequences_before([first + stage.made_steps])[0] - plan.sequences_before([first])[0]
    for index, source in enumerate(plan.sources):
        if counts[index]:
            continue
        if stage.exact[index] is not None:
            raise MixtureError(
                f"source {source.name!r}: what {wish.key} gives it in tokens or epochs is less than one sequence of "
                f"{plan.sequence_length} tokens. Raise it to {plan.sequence_length:,} tokens, or leave the source out."
            )
        if stage.shares[index] + stage.end_shares[index] > 0:
            raise _starved(plan, number, wish, index)


def _starved(plan: Plan, number: int, wish: StageWish, index: int) -> MixtureError:
    stage, per_step = plan.stages[number], plan.sequences_per_step
    shares = [(start + end) / 2 for start, end in zip(stage.shares, stage.end_shares, strict=True)]
    num_sequences = stage.made_steps * per_step
    surely = 2 if number else 1  # the stages before may have left the source one ahead, which comes off
    ratio, enough = (_ratio(plan, shares, index, share) for share in (shares[index], Fraction(surely, num_sequences)))
    needed = remedies.fewest_steps(shares[index] / surely, per_step) * per_step * plan.sequence_length
    return MixtureError(
        f"source {plan.sources[index].name!r}: ratio {float(ratio):g} of {num_sequences:,} sequences rounds to none: it would not be seen. "
        f"Train at least {needed:,} tokens ({wish.key}.{'total_tokens' if wish.key == 'mixture' else 'tokens'}), or raise its ratio to "
        f"{remedies.raised(enough)}."
    )


def refuse_over_cap(plan: Plan, index: int, supply: Supply, wishes: Sequence[StageWish], *, before: int) -> None:
    """Refuse more passes over a source than it may have. Passes that a stage names are asked for, and what was trained before stays.

    Args:
        plan: whole.
        index: of the source.
        supply: what it holds, and its cap.
        wishes: what was asked of the stages that are new.
        before: sequences of it in the stages that are not.
    """
    assert supply.max_epochs is not None
    asked = sum((exact(wish.source_epochs.get(supply.name, 0.0)) for wish in wishes), Fraction(0))
    count = plan.sequences[index]
    most = max(int(exact(supply.max_epochs) * supply.epoch.sequences), before + int(asked * supply.epoch.sequences))
    if count <= most:
        return
    epochs = Fraction(count, supply.epoch.sequences)
    said = f"source {supply.name!r} has {supply.epoch.trained_tokens:,} unique tokens; "
    over = f"needs {float(epochs):.2f} epochs, over mixture.max_epochs.{supply.name}={supply.max_epochs:g}. "
    raised = remedies.raised_cap(epochs)
    if len(plan.stages) > 1 or wishes[0].is_ramp or any(given is not None for given in plan.stages[0].exact):
        less = ceil((count - most) * supply.tokens_per_sequence)
        raise MixtureError(f"{said}the plan {over}Lower its part of the run by {less:,} tokens, or raise the cap to {raised}.")
    shares, per_step = plan.stages[0].shares, plan.sequences_per_step
    fewer = remedies.most_steps(shares[index], per_step, most) * per_step * plan.sequence_length
    ratio, enough = (_ratio(plan, shares, index, share) for share in (shares[index], Fraction(most, plan.num_sequences)))
    raise MixtureError(
        f"{said}ratio {float(ratio):g} of {plan.tokens:,} trained tokens {over}Lower its ratio to {remedies.lowered(enough)}"
        f"{f', train {fewer:,} tokens,' if fewer else ''} or raise the cap to {raised}."
    )


def _ratio(plan: Plan, shares: Sequence[Fraction], index: int, share: Fraction) -> Fraction:
    """The share of trained tokens that a source has with a share of the sequences, when the others keep their proportions."""
    tokens = [source.tokens_per_sequence for source in plan.sources]
    others = sum((part * tokens[i] for i, part in enumerate(shares) if i != index), Fraction(0))
    if not others:
        return Fraction(1)
    mine = share * tokens[index]
    return mine / (mine + (1 - share) * others / (1 - shares[index]))
