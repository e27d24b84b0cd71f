"""What a sweep found, in plain words and as figures that stand out."""

from collections import Counter
from collections.abc import Iterator

from orchestrator.frontier.estimates import COVERAGE, Estimate, Frontier, Limit, Point
from orchestrator.report.frame import NONE, Card
from orchestrator.report.sweep.quantities import (
    SHARE_KEY,
    estimate_digits,
    estimate_in_words,
    hours_in_words,
    interval_in_words,
    setting_in_words,
    share_digits,
    share_in_words,
    shares_in_words,
    tried_interval_in_words,
    tried_share_in_words,
    value_in_words,
)
from orchestrator.report.sweep.records import SweepRecords
from orchestrator.report.sweep.settings import Names, front_of, names_of
from orchestrator.report.wording import NARROW_SPACE, duration, listed, percent

_ROUNDING = 1e-9
_UNFINISHED = ("running", "starting", "queued", "planned", "stopped", "lost", "unknown", "failed", "pruned")


def headline(records: SweepRecords) -> str:
    """Which ratio, at what cost, and how sure that is, in a few sentences."""
    frontier = records.frontier
    if frontier is None:
        which = (
            "No frontier can be made of the trials that have finished" if records.no_frontier else "No trial of the spec has finished yet"
        )
        return f"{which}, so what the ratios do is not known."
    sentences = [_best_sentence(records, frontier), _doubt_sentence(frontier, names_of(records)), limit_sentence(frontier)]
    return " ".join(sentence for sentence in sentences if sentence)


def progress(records: SweepRecords) -> str | None:
    """How many trials are not finished, and in which states; none when all are."""
    others = _others(records)
    if not others:
        return None
    finished = sum(trial.state == "finished" for trial in records.trials)
    counted = f"{finished:,} of {len(records.trials):,} trials have finished ({others})."
    return f"{counted} The frontier is of those." if records.frontier else counted


def finding_cards(records: SweepRecords) -> Iterator[Card]:
    """The knee, or without one the most uptake, with what it takes up and forgets."""
    frontier = records.frontier
    best = best_of(frontier) if frontier else None
    if frontier is None or best is None:
        return
    point = frontier.points[best]
    names = names_of(records)
    where = "at the knee" if frontier.knee else "at the most uptake"
    yield _best_card(frontier, point, names)
    yield _estimate_card(f"Uptake {where}", point.uptake, point.uptake_over_control)
    yield _estimate_card(f"Forgetting {where}", point.forgetting, point.forgetting_over_control)


def cost_cards(records: SweepRecords) -> Iterator[Card]:
    """The limit, how much was trained, and what it took."""
    if records.frontier and records.frontier.limit:
        yield _limit_card(records.frontier.limit)
    finished = sum(trial.state == "finished" for trial in records.trials)
    yield Card("Trials finished", f"{finished:,} of {len(records.trials):,}", _others(records) or "none failed")
    hours, wasted = _hours(records)
    note = f"{hours_in_words(wasted)} of failed and pruned trials" if wasted else "none of failed or pruned trials"
    yield Card(hours_name(records), hours_in_words(hours), note)
    yield Card("Wall time", duration(records.wall_seconds), "without the time between commands")


def cost_sentence(records: SweepRecords) -> str:
    """What all of it took, and how much of that came to nothing."""
    hours, wasted = _hours(records)
    took = f"The sweep took {hours_in_words(hours)} {hours_word(records)} within {duration(records.wall_seconds)}"
    return f"{took}, {hours_in_words(wasted)} of them on trials that failed or were pruned."


def hours_name(records: SweepRecords) -> str:
    """What its hours are hours of, as a title."""
    return "GPU hours" if records.has_gpus else "Rank hours"


def hours_word(records: SweepRecords) -> str:
    """The same within a sentence."""
    return "GPU hours" if records.has_gpus else "rank hours"


def _hours(records: SweepRecords) -> tuple[float, float]:
    """Of all trials, and of those that failed or were pruned."""
    wasted = sum(trial.gpu_hours for trial in records.trials if trial.state in ("failed", "pruned"))
    return sum(trial.gpu_hours for trial in records.trials), wasted


def best_of(frontier: Frontier) -> int | None:
    """The point that the headline is of: the knee, or without one the spec's with the most uptake on the front."""
    if frontier.knee:
        return frontier.knee.point
    spec = [index for index in front_of(frontier) if frontier.points[index].arm == "spec"]
    return spec[-1] if spec else None


def _best_sentence(records: SweepRecords, frontier: Frontier) -> str:
    best = best_of(frontier)
    if best is None:
        return "No setting of the spec is on the front: none takes up more than what forgets less."
    point = frontier.points[best]
    where = _place(point, names_of(records))
    subject = f"The knee of the front is at {where}" if frontier.knee else f"There is no knee. The most uptake is at {where}"
    hours = [trial.gpu_hours for trial in records.trials if trial.trial_id in point.trials]
    cost = f", for {hours_in_words(sum(hours) / len(hours))} {hours_word(records)} a run" if hours else ""
    return f"{subject}: it takes up {estimate_in_words(point.uptake)} and {_forgets(point.forgetting)}{cost}."


def _place(point: Point, names: Names) -> str:
    if point.arm != "spec":
        return f"the {names.full(point.arm, point.setting)}"
    if list(names.keys) == [SHARE_KEY]:
        return f"a spec share of {names.short(point.arm, point.setting)}"
    return names.full(point.arm, point.setting)


def _forgets(forgetting: Estimate) -> str:
    words = estimate_in_words(forgetting)
    if forgetting.value <= 0 and (forgetting.high is None or forgetting.high <= 0):
        return f"forgets nothing ({words})"
    if forgetting.low is not None and forgetting.low <= 0:
        return f"forgets {words}, which may be nothing"
    return f"forgets {words}"


def limit_sentence(frontier: Frontier) -> str:
    """The largest share within the limit of forgetting; empty where no limit is known."""
    limit = frontier.limit
    if limit is None:
        return ""
    most = share_in_words(limit.max_forgetting)
    if limit.spec_share is None:
        least = "the control, without the spec," if limit.has_control else "the smallest share that was tried"
        return f"Even {least} forgets more than the limit of {most}."
    if limit.is_open:
        return f"Even the largest share that was tried, {tried_share_in_words(limit.spec_share)}, forgets no more than the limit of {most}."
    return f"The largest share that forgets at most {most} is {shares_in_words(limit.spec_share)}."


def _doubt_sentence(frontier: Frontier, names: Names) -> str:
    """How many draws put it elsewhere, and where, if more do than leave an interval. What all points share is in all of a draw alike."""
    best, knee = best_of(frontier), frontier.knee
    chosen = knee.chosen if knee else frontier.most_uptake
    if best is None or chosen.get(best, 0.0) >= COVERAGE or not (knee or chosen):
        return ""
    others = {index: share for index, share in chosen.items() if index != best}
    has_none = knee is not None and sum(chosen.values()) < 1 - _ROUNDING
    what = "another took up more" if knee is None else "the knee was elsewhere or there was none" if has_none else "the knee was elsewhere"
    point = frontier.points[max(others, key=others.__getitem__)] if others else None
    where = f", most often at {names.short(point.arm, point.setting)}" if point else ""
    return f"That is not sure: in {percent(1 - chosen.get(best, 0.0), 0)} of the draws {what}{where}."


def _others(records: SweepRecords) -> str:
    counts = Counter(trial.state for trial in records.trials)
    parts = [f"{counts[state]:,} {state}" for state in _UNFINISHED if counts[state]]
    return listed(parts) if parts else ""


def _best_card(frontier: Frontier, point: Point, names: Names) -> Card:
    """Of the first key's value, with the others' below it."""
    first, *others = list(names.keys) or [""]
    what = "Knee" if frontier.knee else "Most uptake"
    title = f"{what}, {names.keys[first]}" if first else what
    value = value_in_words(first, point.setting[first]) if first in point.setting else names.short(point.arm, {})
    rest = setting_in_words({key: point.setting[key] for key in others if key in point.setting}, names.keys)
    if frontier.knee is None:
        return Card(title, value, rest or "of the settings on the front")
    often = f"the knee in {percent(frontier.knee.chosen.get(frontier.knee.point, 0.0), 0)} of {frontier.num_draws:,} draws"
    share = frontier.knee.spec_share
    interval = tried_interval_in_words(share) if first == SHARE_KEY else ""
    return Card(title, value, f"{rest}; {often}" if rest else often, interval)


def _estimate_card(title: str, estimate: Estimate, over_control: Estimate | None) -> Card:
    digits = estimate_digits([estimate])
    note = "no control to compare with" if over_control is None else f"{estimate_in_words(over_control)} over its control"
    return Card(title, percent(estimate.value, digits), note, interval_in_words(estimate, digits))


def _limit_card(limit: Limit) -> Card:
    title, share = f"Forgets at most {share_in_words(limit.max_forgetting)} up to", limit.spec_share
    if share is None:
        return Card(title, NONE, f"{'even the control' if limit.has_control else 'the smallest that was tried'} forgets more")
    if limit.is_open:
        least = f"\N{GREATER-THAN OR EQUAL TO}{NARROW_SPACE}{share_in_words(share.value)}"
        return Card(title, least, "the largest that was tried; more may do", tried_interval_in_words(share))
    value = share_in_words(share.value) if share.low is None else percent(share.value, share_digits(share))
    return Card(title, value, "between the shares that were tried", interval_in_words(share, share_digits(share)))
