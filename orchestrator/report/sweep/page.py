"""The page of a sweep: which ratio, how long, at what cost."""

from typing import Any

from orchestrator.frontier.estimates import Frontier
from orchestrator.report.frame import render
from orchestrator.report.looks import styles_of
from orchestrator.report.sweep import costs, findings, law
from orchestrator.report.sweep.curves import curve_values
from orchestrator.report.sweep.quantities import hours_in_words, share_in_words
from orchestrator.report.sweep.records import SweepRecords
from orchestrator.report.sweep.scatter import forgotten_sources, frontier_values
from orchestrator.report.sweep.settings import names_of, setting_rows
from orchestrator.report.sweep.trials import failures_by_class, states_of, trial_rows

_MOST_BARS = 24  # more settings are folded away
_LATE_FROM = 40  # rows; a longer table is laid out once the charts have been drawn


def render_sweep_page(records: SweepRecords) -> str:
    """Write the page of a sweep.

    Args:
        records: what became of it so far.

    Returns:
        HTML with everything in it, that needs no network.
    """
    frontier = records.frontier
    values = {
        "name": records.name,
        "model": records.model,
        "facts": records.facts,
        "progress": findings.progress(records),
        "headline": findings.headline(records),
        "findings": list(findings.finding_cards(records)),
        "costs": list(findings.cost_cards(records)),
        "has_frontier": frontier is not None,
        "values": {"frontier": frontier_values(records, frontier) if frontier else None, "curves": curve_values(records)},
        "sources": list(records.roles),
        "probes": records.probes,
        "keys": list(names_of(records).keys.values()),
        "trials": trial_rows(records),
        "states": states_of(records),
        "failures": failures_by_class(records),
        "looks": {style.name: style for style in styles_of(records.roles)},
        **(_of_frontier(records, frontier) if frontier else {"warnings": [records.no_frontier] if records.no_frontier else []}),
        **_of_cost(records),
        "late_from": _LATE_FROM,
        "command": records.command,
        "config_text": records.config_text,
    }
    charts = list(law.law_charts(records, frontier)) if frontier else []
    return render("sweep/page.html.j2", charts, values)


def _of_frontier(records: SweepRecords, frontier: Frontier) -> dict[str, Any]:
    limit, fit, repetition = frontier.limit, frontier.law, frontier.repetition
    return {
        "warnings": list(frontier.warnings),
        "general_sources": forgotten_sources(frontier, records.roles),
        "settings": setting_rows(frontier, names_of(records), records.probes),
        "num_draws": frontier.num_draws,
        "limit": share_in_words(limit.max_forgetting) if limit else None,
        "limit_sentence": findings.limit_sentence(frontier),
        "law_rows": law.law_rows(fit) if fit else [],
        "law_sentence": law.law_sentence(fit) if fit else None,
        "law_warnings": list(fit.warnings) if fit else [],
        "repetition": law.repetition_sentence(repetition) if repetition else None,
        "repetition_warnings": list(repetition.warnings) if repetition else [],
    }


def _of_cost(records: SweepRecords) -> dict[str, Any]:
    settings = costs.costs_by_setting(records)
    most_hours = max((cost.hours for cost in settings), default=0.0)
    total_hours = sum(cost.hours for cost in settings)
    return {
        "hours_name": findings.hours_name(records),
        "hours_word": findings.hours_word(records),
        "hours": lambda hours: hours_in_words(hours, total_hours),
        "arm_costs": costs.costs_by_arm(records),
        "state_costs": costs.costs_by_state(records),
        "setting_costs": settings,
        "setting_hours": lambda hours: hours_in_words(hours, most_hours),
        "most_hours": most_hours or 1.0,
        "folds_bars": len(settings) > _MOST_BARS,
        "cost_sentence": findings.cost_sentence(records),
        "saved": records.saved,
    }
