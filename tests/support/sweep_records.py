"""Sweeps without a run: records with made-up figures, drawn from a mixing law."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default

import numpy as np

from orchestrator.frontier.trials import Value
from orchestrator.report.sweep.records import Curves, SweepRecords, TrialRecord
from tests.support.sweep_frontier import SHARE, UNIQUE_SPEC_TOKENS, MadeUpSource, make_frontier

TOKENS, RATE = "mixture.total_tokens", "training.learning_rate"
HOSTILE = "</script><b>\"'"
FORMULA = "=cmd|' /C calc'!A0"

SOURCES: Mapping[str, MadeUpSource] = {
    "spec": MadeUpSource(role="spec", before=4.14, base=-0.172, reach=0.160, rate=-9.0),
    "web": MadeUpSource(role="general", before=2.91, base=-0.0085, reach=0.0055, rate=4.2),
    "code": MadeUpSource(role="general", before=1.62, base=-0.0052, reach=0.0048, rate=5.1),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeUpSweep:
    """What to make up.

    Attributes:
        shares, tokens, rates, seeds: the grid; a key is varied when it has more than one value.
        states: trial id -> its state, for those that did not finish.
        probes: their names; a trial answers as many more right as it took up.
        num_points: of a curve.
        has_law, has_knee: whether there are enough settings for them.
    """

    shares: Sequence[float] = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
    tokens: Sequence[int] = (40_000_000,)
    rates: Sequence[float] = (2e-5,)
    seeds: Sequence[int] = (1, 2)
    sources: Mapping[str, MadeUpSource] = default(default_factory=lambda: SOURCES)
    states: Mapping[str, str] = default(default_factory=lambda: {"t008": "failed", "t010": "pruned", "t011": "running"})
    probes: Sequence[str] = ()
    num_points: int = 12
    has_law: bool = True
    has_knee: bool = True


def small_sweep() -> SweepRecords:
    """Six shares with two seeds, two controls, two probes; one trial failed, one was pruned, one runs."""
    return make_records(MadeUpSweep(probes=("recall", "refusals")))


def large_sweep() -> SweepRecords:
    """200 trials: nine shares and the control, five budgets, two rates, two seeds, 60 points a curve."""
    shares = (0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.35, 0.5)
    tokens = (10_000_000, 20_000_000, 40_000_000, 80_000_000, 160_000_000)
    states = {"t017": "failed", "t044": "failed", "t090": "pruned", "t091": "pruned", "t198": "running", "t199": "queued"}
    return make_records(MadeUpSweep(shares=shares, tokens=tokens, rates=(1e-5, 3e-5), states=states, num_points=60))


def hostile_sweep() -> SweepRecords:
    """The small one with texts that try to break out of wherever they are put."""
    sources = dict(zip((f"spec {HOSTILE}", FORMULA, "%{x} $x_{1}$"), SOURCES.values(), strict=True))
    records = make_records(MadeUpSweep(sources=sources, probes=[f"probe {HOSTILE}"]))
    names = {trial.trial_id: f"{trial.trial_id}{HOSTILE}" for trial in records.trials}
    key = f"model.{HOSTILE}"
    trials = [_hostile(trial, names[trial.trial_id], key) for trial in records.trials]
    assert records.frontier
    points = [
        replace(point, setting={**point.setting, key: FORMULA}, trials=tuple(names[trial] for trial in point.trials))
        for point in records.frontier.points
    ]
    return replace(
        records,
        name=f"sweep {HOSTILE}",
        model=f"a model {HOSTILE}",
        facts=[f"a fact {HOSTILE}"],
        keys=[*records.keys, key],
        trials=trials,
        frontier=replace(records.frontier, points=tuple(points), warnings=(f"a warning {HOSTILE}",)),
        saved=f"saved {HOSTILE}",
        command=f"midtrain sweep {HOSTILE}",
        config_text=f"name: {HOSTILE}\n",
    )


def _hostile(trial: TrialRecord, name: str, key: str) -> TrialRecord:
    reason = None if trial.reason is None else f"{FORMULA} {HOSTILE}"
    reason_class = None if trial.reason_class is None else f"class {HOSTILE}"
    command = f"midtrain train run.name='{HOSTILE}'"
    changed = replace(trial, trial_id=name, setting={**trial.setting, key: FORMULA}, reason=reason)
    return replace(changed, reason_class=reason_class, command=command)


def make_records(made_up: MadeUpSweep) -> SweepRecords:
    """The records of a made-up sweep, with a frontier of those of its trials that are finished."""
    trials = list(_trials(made_up))
    lengths = {SHARE: len(made_up.shares), TOKENS: len(made_up.tokens), RATE: len(made_up.rates)}
    keys = [key for key, length in lengths.items() if length > 1]
    return SweepRecords(
        name="ratios",
        model="SmolLM2-135M, a base model",
        facts=["40 M tokens a run", "LoRA adapters of rank 16", "bf16"],
        keys=keys,
        roles={name: source.role for name, source in made_up.sources.items()},
        trials=trials,
        frontier=make_frontier(trials, made_up.sources, has_law=made_up.has_law, has_knee=made_up.has_knee),
        no_frontier=None,
        has_gpus=True,
        wall_seconds=sum(trial.seconds for trial in trials) / 3.2,
        saved="Early stopping spared about 1.4 GPU hours: one trial was stopped at step 300 of 1,220."
        if "pruned" in _states(trials)
        else None,
        command="midtrain sweep experiment=ratios 'mixture.spec_share=0.02,0.05,0.1,0.2,0.35,0.5' seeds=1,2",
        config_text="name: ratios\nvary:\n  mixture.spec_share: [0.02, 0.05, 0.1, 0.2, 0.35, 0.5]\nseeds: [1, 2]\nmax_forgetting: 0.01\n",
    )


def _states(trials: Sequence[TrialRecord]) -> set[str]:
    return {trial.state for trial in trials}


def _trials(made_up: MadeUpSweep) -> Iterator[TrialRecord]:
    pick = np.random.default_rng(7)
    grid = itertools.product(made_up.tokens, made_up.rates, (0.0, *made_up.shares), made_up.seeds)
    for index, (tokens, rate, share, seed) in enumerate(grid):
        trial_id = f"t{index:03d}"
        setting: dict[str, Value] = {SHARE: share} if share and len(made_up.shares) > 1 else {}
        setting |= {TOKENS: tokens} if len(made_up.tokens) > 1 else {}
        setting |= {RATE: rate} if len(made_up.rates) > 1 else {}
        state = made_up.states.get(trial_id, "finished")
        steps = tokens // 32_768
        step = {"finished": steps, "running": steps // 2, "queued": 0}.get(state, steps // 4)
        strength = (tokens / 40_000_000) ** 0.3 * (rate / 2e-5) ** 0.25
        finals = {name: strength * source.change(share) + pick.normal(0, 0.0008) for name, source in made_up.sources.items()}
        trained = [name for name, source in made_up.sources.items() if share or source.role == "general"]
        curves = _curves(made_up, finals, trained, (step, steps), pick) if step else None
        yield _trial(made_up, trial_id, setting, (share, seed, tokens), (state, step, steps), curves)


def _curves(
    made_up: MadeUpSweep, finals: Mapping[str, float], trained: Sequence[str], progress: tuple[int, int], pick: np.random.Generator
) -> Curves:
    """Losses that go a square root's way towards their final change, as far as a trial is done."""
    step, planned = progress
    along = np.linspace(0, step / planned, made_up.num_points)
    heldout = {name: made_up.sources[name].before * (1 + final * np.sqrt(along)) for name, final in finals.items()}
    noisy = {name: heldout[name] + pick.normal(0, 0.02, len(along)) for name in trained}
    steps = np.linspace(0, step, made_up.num_points).round().astype(np.int64)
    return Curves(heldout_steps=steps, heldout=heldout, steps=np.maximum(steps, 1), losses=noisy)


def _trial(
    made_up: MadeUpSweep,
    trial_id: str,
    setting: Mapping[str, Value],
    kind: tuple[float, int, int],
    progress: tuple[str, int, int],
    curves: Curves | None,
) -> TrialRecord:
    (share, seed, tokens), (state, step, steps) = kind, progress
    changes = {} if curves is None else {name: float(losses[-1] / losses[0] - 1) for name, losses in curves.heldout.items()}
    general = {name: change for name, change in changes.items() if made_up.sources[name].role == "general"}
    spec = [-change for name, change in changes.items() if name not in general]
    reason, reason_class = _ENDS.get(state, (None, None))
    uptake = float(np.mean(spec)) if spec else None
    hours = 1.9 * step / steps * tokens / 40_000_000
    return TrialRecord(
        trial_id=trial_id,
        arm="spec" if share else "control",
        setting=setting,
        seed=seed,
        state=state,
        reason=reason,
        reason_class=reason_class,
        step=step,
        steps=steps,
        spec_share=share,
        spec_tokens=round(share * tokens),
        spec_epochs=share * tokens / UNIQUE_SPEC_TOKENS,
        total_tokens=tokens,
        uptake=uptake,
        forgetting=float(np.mean(list(general.values()))) if general else None,
        forgetting_by_source=general,
        probes={} if uptake is None else {name: uptake * (2.0 - 0.8 * number) for number, name in enumerate(made_up.probes)},
        seconds=hours * 1800,
        gpu_hours=hours,
        attempts=3 if state == "failed" else 1 if step else 0,
        curves=curves,
        command=f"midtrain train experiment=ratios run.name={trial_id} mixture.spec_share={share:g} seed={seed}",
    )


_ENDS = {
    "finished": ("all steps are done", "done"),
    "failed": ("the loss of step 305 is not finite; 3 attempts ended so, and failure.max_restarts=2", "numerics"),
    "pruned": ("uptake is below the median of the others at step 300", "pruned"),
}
