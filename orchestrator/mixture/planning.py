"""From wishes, a token budget and what the corpora hold to a plan, or to an error that says who is the culprit and what would work."""

from collections.abc import Sequence
from dataclasses import fields, replace
from fractions import Fraction

from orchestrator.errors import MixtureError
from orchestrator.mixture.interleave import MAX_SEQUENCES
from orchestrator.mixture.plan import Amendment, Plan, PlannedSource
from orchestrator.mixture.refusals import changed, refuse_over_cap, refuse_starved
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
        sources=tuple(supply.planned for supply in supplies),
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
        MixtureError: as in `make_plan`, no step is left, or a source is not what it was.
    """
    total_steps = _total_steps(total_tokens, plan.sequence_length, plan.sequences_per_step)
    last = min(total_steps, plan.steps + 1)
    if not 1 <= from_step <= last:
        raise MixtureError(
            f"--from-step {from_step} cannot begin another mixture: the plan has {plan.steps:,} steps, and mixture.total_tokens="
            f"{total_tokens:,} are {total_steps:,}. Choose 1 to {last:,}{', or raise mixture.total_tokens' if last == total_steps else ''}."
        )
    known = {source.name: source for source in plan.sources}
    for supply in supplies:
        if (source := known.get(supply.name)) is not None and source != supply.planned:
            raise changed(source, supply)
    new = [supply for supply in supplies if supply.name not in known]
    kept = replace(
        plan,
        sources=(*plan.sources, *(supply.planned for supply in new)),
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


def _dropped(source: PlannedSource) -> Supply:
    kept = {field.name: getattr(source, field.name) for field in fields(source)}
    return Supply(**kept, weight=Fraction(0), max_epochs=None)


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
        refuse_starved(whole, number, wish)
    for index, supply in enumerate(supplies):
        if supply.max_epochs is not None:
            refuse_over_cap(whole, index, supply, wishes, before=plan.sequences[index])
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
        shorter = (
            f"shorten them by {open_stages - rest:,} steps"
            if rest < open_stages
            else "leave out the length of one stage, which takes the rest"
        )
        raise MixtureError(
            f"mixture.stages have {total:,} steps{' and one more at least' if open_stages else ''}, and {steps:,} are to be divided. "
            f"Set mixture.total_tokens={(plan.steps + total + open_stages) * tokens_per_step:,}, or {shorter}."
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
