"""Trials that share a cluster: what kills one leaves the other alone, and what kills the cluster loses no more than either would alone."""

from pathlib import Path

from orchestrator.runs.lines import read_lines
from orchestrator.sweep.directory import SweepDirectory, read_trials
from tests.chaos.breaking import CHANGES, EVERY, STEPS, below, command, ended, last_step, wait_for
from tests.support.tiny import overrides


def starts(run: Path) -> list[int]:
    """The steps that its attempts began from."""
    return [line["from_step"] for line in read_lines(run / "attempts.jsonl") if line["event"] == "start"]


def test_when_rays_own_server_is_killed_all_trials_go_on_from_their_checkpoints_in_another_cluster(folder: Path) -> None:
    sweep = SweepDirectory(folder / "sweeps" / "broken")
    steps = 4 * STEPS
    changes = CHANGES | {"run.name": "broken", "sweep.dir": sweep.root, "sweep.controls": "false", "scheduling.world_size": 1}
    changes |= {"mixture.total_tokens": steps * 128, "mixture.max_epochs": "{spec:9,code:9,docs:9}"}
    given = [word for word in overrides(folder, **changes) if not word.startswith(("mixture.spec_share=", "run.dir="))]

    def trials() -> list[Path]:
        return [sweep.run(entry.trial_id).root for entry in read_trials(sweep)] if sweep.exists else []

    with command("sweep", *given, "mixture.spec_share=0.1,0.25", folder=folder) as process:
        wait_for(lambda: (len(trials()) == 2 and all(last_step(run) > EVERY for run in trials())) or process.poll() is not None)
        (raylet,) = (one for one in below(process, "raylet/raylet") if one.name() == "raylet")
        raylet.kill()
        ended(process)
    for run in trials():
        first, second = starts(run)
        assert (first, second >= EVERY, last_step(run)) == (0, True, steps)
