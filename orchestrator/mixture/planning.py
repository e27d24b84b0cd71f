"""From wishes, a token budget and what the corpora hold to a plan, or to an error that says who is the culprit and what would work."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from orchestrator.errors import MixtureError
from orchestrator.mixture import remedies
from orchestrator.mixture.apportion import exact
from orchestrator.mixture.interleave import MAX_SEQUENCES
from orchestrator.mixture.plan import Amendment, Plan, PlannedSource
from orchestrator.mixture.stages import Stage
from orchestrator.mixture.wishes import StageWish, Supply, exact_counts, sequence_shares


def make_plan(
    supplies: Sequence[Supply],
    wishes: Sequence[StageWish],
    *,
    total_tokens: int,
    sequence_length: int,
    sequences_per_step: int,
    seed: int,
    request: str = "",
) -> Plan:
    """Resolve a mixture to exact counts.

    The budget is cut to whole steps; the plan's `tokens` shows what is left of it.

    Args:
        supplies: the sources, at least one.
        wishes: the stages, at least one, in order.
        total_tokens: the budget.
        sequence_length: tokens of a sequence.
        sequences_per_step: sequences of one update, over all ranks.
        seed: of every shuffle.
        request: a hash of what the configuration asks for.

    Returns:
        The plan.

    Raises:
        MixtureError: budget or stages do not fit each other, a source would get no sequence, or more epochs than it may.
    """
    total_steps = _total_steps(total_tokens, sequence_length, sequences_per_step)
    plan = Plan(
        sequence_length=sequence_length,
        sequences_per_step=sequences_per_step,
        seed=seed,
        sources=tuple(map(_planned, supplies)),
        stages=(),
        request=request,
    )
    return _with_stages(plan, supplies, wishes, total_steps)


def amend_plan(
    plan: Plan, supplies: Sequence[Supply], wishes: Sequence[StageWish], *, from_step: int, total_tokens: int, request: str
) -> Plan:
    """Change what is trained from a step on. What is trained before it stays, and no sequence is lost or repeated by the change.

    Args:
        plan: as it is.
        supplies: the sources from then on: those of the plan that go on, and new ones.
        wishes: the stages from then on.
        from_step: the first step that changes, counted from 1.
        total_tokens: the budget of the whole run.
        request: a hash of what the configuration asks for now.

    Returns:
        The plan, with the replaced one's fingerprint still to be entered into its history.

    Raises:
        MixtureError: as in `make_plan`, or no step is left.
    """
    total_steps = _total_steps(total_tokens, plan.sequence_length, plan.sequences_per_step)
    if not 1 <= from_step <= total_steps:
        raise MixtureError(
            f"--from-step {from_step} is not among the run's steps 1 to {total_steps:,}. Choose one of them, or raise mixture.total_tokens."
        )
    known = {source.name: source for source in plan.sources}
    new = [supply for supply in supplies if supply.name not in known]
    kept = replace(
        plan,
        sources=(*plan.sources, *map(_planned, new)),
        stages=tuple(_widened(stage, len(new)) for stage in _cut(plan.stages, from_step - 1)),
        request=request,
    )
    by_name = {supply.name: supply for supply in supplies}
    every = [by_name.get(source.name) or _dropped(source) for source in kept.sources]
    return _with_stages(kept, every, wishes, total_steps)


def amended(plan: Plan, old: Plan, *, from_step: int, at: str, changes: Sequence[str]) -> Plan:
    """Enter an amendment into a plan's history."""
    entry = Amendment(from_step=from_step, replaced=old.fingerprint, at=at, changes=tuple(changes))
    return replace(plan, amendments=(*old.amendments, entry))


def _planned(supply: Supply) -> PlannedSource:
    return PlannedSource(
        name=supply.name,
        role=supply.role,
        fingerprint=supply.fingerprint,
        unique_sequences=supply.unique_sequences,
        trained_tokens=supply.trained_tokens,
    )


def _dropped(source: PlannedSource) -> Supply:
    return Supply(
        name=source.name,
        role=source.role,
        fingerprint=source.fingerprint,
        unique_sequences=source.unique_sequences,
        trained_tokens=source.trained_tokens,
        weight=Fraction(0),
        max_epochs=None,
    )


def _cut(stages: Sequence[Stage], steps: int) -> list[Stage]:
    """The stages of the first steps."""
    kept = []
    for stage in stages:
        made = min(stage.made_steps, steps)
        if made:
            kept.append(replace(stage, made_steps=made))
        steps -= made
    return kept


def _widened(stage: Stage, num_new: int) -> Stage:
    nothing = (Fraction(0),) * num_new
    return replace(stage, shares=stage.shares + nothing, end_shares=stage.end_shares + nothing, exact=stage.exact + (None,) * num_new)


def _total_steps(total_tokens: int, sequence_length: int, sequences_per_step: int) -> int:
    tokens_per_step = sequence_length * sequences_per_step
    steps = total_tokens // tokens_per_step
    if steps == 0:
        raise MixtureError(
            f"mixture.total_tokens={total_tokens:,} is less than one step of {tokens_per_step:,} tokens "
            f"({sequences_per_step} sequences of {sequence_length}). Raise it to {tokens_per_step:,}"
            f"{' or lower training.sequences_per_step' if total_tokens >= sequence_length else ''}."
        )
    if steps * sequences_per_step > MAX_SEQUENCES:
        raise MixtureError(
            f"mixture.total_tokens={total_tokens:,} is {steps * sequences_per_step:,} sequences; a plan holds {MAX_SEQUENCES:,}. "
            f"Lower it to {MAX_SEQUENCES * sequence_length:,}, or raise training.sequence_length to {-(-total_tokens // MAX_SEQUENCES):,}."
        )
    return steps


def _with_stages(plan: Plan, supplies: Sequence[Supply], wishes: Sequence[StageWish], total_steps: int) -> Plan:
    """The plan with the wishes' stages after those that it has."""
    lengths = _lengths(wishes, total_steps - plan.steps, plan)
    first = len(plan.stages)
    stages = [_stage(wish, supplies, steps, plan.sequences_per_step) for wish, steps in zip(wishes, lengths, strict=True)]
    whole = replace(plan, stages=(*plan.stages, *stages))
    for number, wish in enumerate(wishes, first):
        _refuse_starved(whole, number, wish)
    for index, supply in enumerate(supplies):
        if supply.max_epochs is not None:
            _refuse_over_cap(whole, index, supply, wishes)
    return whole


def _lengths(wishes: Sequence[StageWish], steps: int, plan: Plan) -> list[int]:
    """How many steps each stage has."""
    tokens_per_step = plan.sequence_length * plan.sequences_per_step
    given = [_given_steps(wish, tokens_per_step) for wish in wishes]
    total, open_stages = sum(length or 0 for length in given), given.count(None)
    if open_stages > 1:
        raise MixtureError(f"{open_stages} of mixture.stages have no length. Give all but one of them steps or tokens.")
    rest = steps - total
    if rest < open_stages or (rest and not open_stages):
        least = (total + open_stages) * tokens_per_step
        raise MixtureError(
            f"mixture.stages have {total:,} steps{' and one more at least' if open_stages else ''}, and {steps:,} are to be divided. "
            f"Set mixture.total_tokens so that they are {total + open_stages:,} ({least:,} tokens), or "
            f"{'shorten a stage' if rest < open_stages else 'leave the length of one stage out'} by {abs(rest - open_stages):,} steps."
        )
    return [rest if length is None else length for length in given]


def _given_steps(wish: StageWish, tokens_per_step: int) -> int | None:
    if wish.tokens is not None and wish.tokens < tokens_per_step:
        raise MixtureError(
            f"{wish.key}.tokens={wish.tokens:,} is less than one step of {tokens_per_step:,} tokens. Raise it to that, or set "
            f"{wish.key}.steps=1."
        )
    return wish.steps if wish.tokens is None else wish.tokens // tokens_per_step


def _stage(wish: StageWish, supplies: Sequence[Supply], steps: int, sequences_per_step: int) -> Stage:
    counts, num_sequences = exact_counts(wish, supplies), steps * sequences_per_step
    start, end = (sequence_shares(ratios, supplies, counts, num_sequences=num_sequences, key=wish.key) for ratios in (wish.start, wish.end))
    given = tuple(counts.get(index) for index in range(len(supplies)))
    return Stage(steps=steps, made_steps=steps, shares=start, end_shares=end, exact=given)


def _refuse_starved(plan: Plan, number: int, wish: StageWish) -> None:
    """A source with a part in a stage that comes to no sequence."""
    stage, per_step = plan.stages[number], plan.sequences_per_step
    first = sum(before.made_steps for before in plan.stages[:number])
    counts = plan.sequences_before([first + stage.made_steps])[0] - plan.sequences_before([first])[0]
    num_sequences = stage.made_steps * per_step
    for index, source in enumerate(plan.sources):
        share = (stage.shares[index] + stage.end_shares[index]) / 2
        if counts[index]:
            continue
        if stage.exact[index] is not None:
            raise MixtureError(
                f"source {source.name!r}: what {wish.key} gives it in tokens or epochs is less than one sequence of "
                f"{plan.sequence_length} tokens. Raise it to {plan.sequence_length:,} tokens, or leave the source out."
            )
        if share > 0:
            needed = remedies.fewest_steps(share, per_step) * per_step * plan.sequence_length
            raise MixtureError(
                f"source {source.name!r}: ratio {float(share):g} of {num_sequences:,} sequences rounds to none: it would not be seen. "
                f"Train at least {needed:,} tokens ({wish.key}.{'total_tokens' if wish.key == 'mixture' else 'tokens'}), or raise its "
                f"ratio to {remedies.raised(Fraction(1, num_sequences))}."
            )


def _refuse_over_cap(plan: Plan, index: int, supply: Supply, wishes: Sequence[StageWish]) -> None:
    """More passes over a source than it may have. Passes that a stage names are asked for."""
    assert supply.max_epochs is not None
    asked = sum((exact(wish.source_epochs.get(supply.name, 0.0)) for wish in wishes), Fraction(0))
    cap = max(exact(supply.max_epochs), asked)
    count, most = plan.sequences[index], int(cap * supply.unique_sequences)
    if count <= most:
        return
    epochs = Fraction(count, max(1, supply.unique_sequences))
    said = f"source {supply.name!r} has {supply.unique_sequences * plan.sequence_length:,} unique tokens; "
    over = f"needs {float(epochs):.2f} epochs, over mixture.max_epochs.{supply.name}={float(cap):g}. "
    if len(plan.stages) > 1 or wishes[0].is_ramp or plan.stages[0].exact[index] is not None:
        less = (count - most) * plan.sequence_length
        raise MixtureError(
            f"{said}the plan {over}Lower its part of the run by {less:,} tokens, or raise the cap to {remedies.raised_cap(epochs)}."
        )
    share, per_step = plan.stages[0].shares[index], plan.sequences_per_step
    fewer = remedies.most_steps(share, per_step, most) * per_step * plan.sequence_length
    raise MixtureError(
        f"{said}ratio {float(share):g} of {plan.tokens:,} trained tokens {over}"
        f"Lower its ratio to {remedies.lowered(Fraction(most, plan.num_sequences))}"
        f"{f', train {fewer:,} tokens,' if fewer else ''} or raise the cap to {remedies.raised_cap(epochs)}."
    )
