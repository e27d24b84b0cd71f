"""What cannot be swept, or could not be compared or measured, is refused before anything is made of it (law 4)."""

from pathlib import Path

import pytest

from orchestrator.commands.sweeping.designing import Design
from orchestrator.config.load import load_config
from orchestrator.config.varied import load_sweep
from orchestrator.errors import ConfigError, MixtureError
from orchestrator.sweep.stored import Stored
from tests.support.prepared import prepare_sources
from tests.support.tiny import overrides
from tests.sweep.test_designing import home, trials_of

__all__ = ["home"]


@pytest.mark.parametrize(("role", "source"), [("spec", "spec"), ("general", "code")])
def test_a_sweep_that_could_not_be_measured_is_refused(home: Path, role: str, source: str) -> None:
    given = {"spec": "role:spec", "code": "role:general", "docs": "role:general,weight:2"}
    without = {name: f"sources.{name}={{{given[name]},paths:[{home}/{name}{'' if name == 'spec' else '.jsonl'}]}}" for name in given}
    lacking = [word for name, word in without.items() if (name == "spec") == (role == "spec")]
    kept = [word for word in overrides(home) if not any(word.startswith(other.partition("=")[0] + "=") for other in lacking)]
    config = load_config([*kept, *lacking, f"shards.dir={home}/without_{role}"])
    prepare_sources(config)
    values, settings, fixed = load_sweep([*kept, *lacking, f"shards.dir={home}/without_{role}"])
    with pytest.raises(ConfigError, match=rf"role {role} has held-out text.*sources\.{source}\.heldout_share"):
        Design(Stored(values=values, sweep=settings, overrides=fixed))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("evaluation.max_sequences=4,8", "all trials have the same model"),
        ("training.sequence_length=int(interval(32,64))", "Make a sweep for each"),
        ("scheduling.world_size=1,2", "all trials have the same model"),
        ("training.seed=0,1", r"Give sweep\.seeds"),
    ],
)
def test_a_sampler_varies_no_more_than_a_grid(home: Path, word: str, message: str) -> None:
    values, settings, fixed = load_sweep([*overrides(home), "mixture.spec_share=interval(0.1,0.4)", "sweep.sampler={settings:2}", word])
    with pytest.raises(ConfigError, match=message):
        Design(Stored(values=values, sweep=settings, overrides=fixed))


def test_seeds_that_would_draw_other_weights_to_begin_from_are_refused(home: Path) -> None:
    from_scratch = [*overrides(home), "sweep.seeds=[0,1]"]
    values, settings, fixed = load_sweep(from_scratch)
    with pytest.raises(ConfigError, match=r"sweep.seeds=\[0, 1\] with model.initialise=scratch: each seed draws other weights"):
        Design(Stored(values=values, sweep=settings, overrides=fixed))


STAGES = "mixture.stages=[{steps:5,spec_share:0.0},{spec_share:0.5}]"


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ([STAGES, "mixture.spec_share=0.1,0.25"], ConfigError, r"^mixture\.spec_share: the trials with .*=0\.1 and with .*=0\.25 are one"),
        (["training.peak_tflops_per_rank=1,2"], ConfigError, "has no effect"),
        (["sweep.seeds=0,1"], ConfigError, r"sweep\.seeds=\[0,1\]"),
        (["model.start_from=/a,/b"], ConfigError, r"model\.start_from cannot be varied\. Make a sweep for each"),
        (["training.precision=fp32,bf16"], ConfigError, r"training\.precision cannot be varied\. Make a sweep for each"),
        (["mixture.total_tokens=1280,2560", "sweep.hold=spec_tokens"], ConfigError, r"mixture\.total_tokens=2560, seed 0: .*follows from"),
        (["mixture.total_tokens=1280,two", "sweep.hold=spec_tokens"], ConfigError, r"the trial with .*two, seed 0: mixture\.total_tokens"),
        (
            ["mixture.spec_share=null", "mixture.stages=[{ratios:{spec:1,code:0,docs:0}}]", "mixture.ratios={spec:0.5,code:0.5,docs:0}"],
            ConfigError,
            r"the control of the trial with as configured, seed 0: mixture\.stages\[0\]\.ratios.*sweep\.controls=false",
        ),
        (
            ["mixture.spec_share=0.9", "mixture.total_tokens=40000", "mixture.max_epochs={spec:9}"],
            MixtureError,
            r"the control of the trial with as configured, seed 0: .*max_epochs.*sweep\.controls=false",
        ),
        (["mixture.spec_share=0.1,9"], ConfigError, r"the trial with mixture\.spec_share=9, seed 0: mixture\.spec_share=9"),
        (["training.sequence_length=32,64"], ConfigError, "Make a sweep for each"),
        (["mixture.seed=1,2"], ConfigError, r"Give sweep\.seeds"),
        (["model.path=a,b"], ConfigError, "all trials have the same model"),
        (["mixture.total_tokens=1280,64000"], MixtureError, r"the trial with mixture\.total_tokens=64000.*max_epochs"),
        (["sweep.start_step=9,99"], ConfigError, r"Set it to 8 or less"),
        (["sweep.spec_epochs=0.05,two"], ConfigError, "not a number above 0"),
        (["sweep.proxy={total_tokens:10}"], ConfigError, "less than the 1,280 of a trial"),
        (["sweep.proxy={total_tokens:64000}", "sweep.spec_epochs=1,2"], ConfigError, r"Leave sweep\.spec_epochs out"),
    ],
)
def test_a_trial_that_cannot_be_is_named_with_what_is_wrong(home: Path, words: list[str], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        trials_of(home, *words)
