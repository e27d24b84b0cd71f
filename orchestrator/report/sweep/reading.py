"""What one trial measured, from its run directory. The one place of the sweep's report that reads a run's files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.frontier.coordinates import Coordinates, measured_coordinates
from orchestrator.frontier.trials import Floats, ProbeScores, SourceLosses
from orchestrator.mixture.plan_file import read_plan
from orchestrator.report.probes import AnswersAt, make_asked
from orchestrator.report.sweep.records import Curves
from orchestrator.report.thinning import bucket_starts, last_of_each, mean_of_each
from orchestrator.report.timeline import Evaluation, first_measured, make_evaluations, make_timeline
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines

_MOST_POINTS = 60  # of a curve


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Measured:
    """What a trial measured.

    Attributes:
        sources: before the first step and at the newest evaluation; empty when it measured nothing since the first.
        probes: likewise.
        coordinates: of these; none without any.
        curves: none when nothing was logged.
    """

    sources: Mapping[str, SourceLosses]
    probes: Mapping[str, ProbeScores]
    coordinates: Coordinates | None
    curves: Curves | None


NOTHING_MEASURED = Measured(sources={}, probes={}, coordinates=None, curves=None)


def read_measured(run: RunDirectory, roles: Mapping[str, str]) -> Measured:
    """Read it.

    Args:
        run: its directory.
        roles: source -> `spec` or `general`, in the configuration's order.

    Raises:
        DataError: its files contradict each other.
        ConfigError: its plan, which is read where it measured other sources than those, is damaged.
    """
    metrics = list(read_lines(run.metrics))
    evaluations = make_evaluations(metrics, read_lines(run.heldout))
    sources = _sources(evaluations, _all_roles(run, evaluations, roles)) if len(evaluations) > 1 else {}
    return Measured(
        sources=sources,
        probes=_probes(make_asked(metrics, read_lines(run.probes))),
        coordinates=measured_coordinates(sources) if sources else None,
        curves=_curves(metrics, evaluations, list(roles)) if metrics else None,
    )


def _all_roles(run: RunDirectory, evaluations: Sequence[Evaluation], roles: Mapping[str, str]) -> Mapping[str, str]:
    """Those of sources too that an amendment of the trial has added, which its plan knows."""
    if evaluations[-1].losses.keys() <= roles.keys():
        return roles
    return {source.name: source.role for source in read_plan(run.plan).sources} | dict(roles)


def _sources(evaluations: Sequence[Evaluation], roles: Mapping[str, str]) -> dict[str, SourceLosses]:
    before, after = first_measured(evaluations), evaluations[-1]
    return {
        name: SourceLosses(
            role=roles[name],
            before=before.losses[name],
            after=losses,
            documents=before.documents.get(name, np.arange(len(losses))),  # older runs did not write them down
        )
        for name, losses in after.losses.items()
    }


def _probes(asked: Mapping[str, Sequence[AnswersAt]]) -> dict[str, ProbeScores]:
    repeated = {name: (each[0], each[-1]) for name, each in asked.items() if len(each) > 1}
    return {name: ProbeScores(items=before.items, before=before.correct, after=after.correct) for name, (before, after) in repeated.items()}


def _curves(metrics: Sequence[Mapping[str, float]], evaluations: Sequence[Evaluation], names: Sequence[str]) -> Curves:
    timeline = make_timeline(metrics, names)
    steps, losses = timeline.steps, {name: timeline.losses[:, index] for index, name in enumerate(names)}
    if len(steps):
        starts = bucket_starts(len(steps), _MOST_POINTS)
        weights = timeline.interval_tokens.astype(np.float64)
        losses = {name: mean_of_each(losses[name], weights[:, index], starts) for index, name in enumerate(names)}
        steps = last_of_each(steps.astype(np.float64), starts).astype(np.int64)
    measured = [name for name in names if any(name in evaluation.losses for evaluation in evaluations)]
    return Curves(
        heldout_steps=np.array([evaluation.step for evaluation in evaluations], dtype=np.int64),
        heldout={name: _means(evaluations, name) for name in measured},
        steps=steps,
        losses=losses,
    )


def _means(evaluations: Sequence[Evaluation], name: str) -> Floats:
    return np.array([evaluation.losses[name].mean() if name in evaluation.losses else np.nan for evaluation in evaluations])
