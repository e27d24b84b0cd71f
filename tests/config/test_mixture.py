"""What the mixture's keys and those of its stages say twice, or of nobody, is refused with the keys and the values."""

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError

WHOLE = ["run.name=a", "model.path=/m", "mixture.total_tokens=100000", "sources.spec={role:spec,paths:[/spec.md]}"]


def refusal(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config([*WHOLE, *words])
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["mixture.spec_share=null", "mixture.ratios={spec:0.9}"], ["must sum to 1", "0.9", "mixture"]),
        (["mixture.spec_share=null", "mixture.ratios={spec:0.999999}"], ["must sum to 1", "0.999999"]),
        (["mixture.spec_share=null", "mixture.ratios={spec:0.6,code:0.6}"], ["must sum to 1", "1.2"]),
        (["mixture.spec_share=null"], ["spec_share=null and ratios={}", "source_tokens or source_epochs"]),
        (["mixture.ratios={spec:1}"], ["spec_share=0.1 and ratios={'spec': 1.0}", "exclude each other", "null (spec_share)"]),
        (["mixture.spec_share=null", "mixture.ratios={spec:1}", "mixture.source_epochs={spec:1}"], ["ratios", "spec has tokens or epochs"]),
        (["mixture.source_tokens={spec:9}", "mixture.source_epochs={spec:1}"], ["'spec'", "source_tokens and by source_epochs"]),
        (["mixture.source_epochs={spek:1}"], ["mixture.source_epochs", "'spek'", "spec"]),
        (["mixture.source_tokens={spek:1}"], ["mixture.source_tokens", "'spek'", "spec"]),
        (["mixture.spec_share=null", "mixture.ratios={spek:1}"], ["mixture.ratios", "'spek'", "spec"]),
        (["mixture.max_epochs={spek:2}"], ["mixture.max_epochs", "'spek'", "spec"]),
        (["mixture.spec_share=null", "mixture.ratios={spec:1}", "sources.code={role:general,paths:[/c]}"], ["mixture.ratios", "'code'"]),
    ],
)
def test_a_mixture_that_contradicts_itself_is_refused(words: list[str], named: list[str]) -> None:
    message = refusal(*words)
    assert [part for part in named if part not in message] == []


@pytest.mark.parametrize(
    ("stage", "named"),
    [
        ("{steps:5,tokens:9}", ["mixture.stages.0", "steps=5 and tokens=9", "Set one of them"]),
        ("{end_spec_share:0.5}", ["mixture.stages.0", "an end without a start", "spec_share with end_spec_share"]),
        ("{end_ratios:{spec:1}}", ["mixture.stages.0", "an end without a start", "ratios with end_ratios"]),
        ("{spec_share:0.5,end_ratios:{spec:1}}", ["mixture.stages.0", "an end without a start"]),
        ("{spec_share:0.5,ratios:{spec:1}}", ["spec_share=0.5 and ratios={'spec': 1.0}", "exclude each other"]),
        ("{ratios:{spec:0.9}}", ["mixture.stages.0", "ratios must sum to 1, got 0.9"]),
        ("{ratios:{spec:1},end_ratios:{spec:0.5}}", ["mixture.stages.0", "end_ratios must sum to 1, got 0.5"]),
        ("{ratios:{spec:1},source_tokens:{spec:9}}", ["ratios give every source its share", "spec has tokens or epochs"]),
        ("{source_tokens:{spec:9},source_epochs:{spec:1}}", ["'spec' is given by source_tokens and by source_epochs"]),
        ("{source_epochs:{spek:1}}", ["mixture.stages[0].source_epochs", "'spek'", "spec"]),
        ("{source_tokens:{spek:1}}", ["mixture.stages[0].source_tokens", "'spek'", "spec"]),
        ("{ratios:{spek:1}}", ["mixture.stages[0].ratios", "'spek'", "spec"]),
        ("{ratios:{spec:1},end_ratios:{spek:1}}", ["mixture.stages[0].end_ratios", "'spek'", "spec"]),
        ("{steps:0}", ["mixture.stages.0.steps=0"]),
        ("{steps:5,spec_share:2}", ["mixture.stages.0.spec_share=2"]),
        ("{source_epochs:{spec:0}}", ["mixture.stages.0.source_epochs.spec=0"]),
        ("{step:5}", ["mixture.stages.0.step", "mixture.stages.0.steps"]),
    ],
)
def test_a_stage_that_contradicts_itself_is_refused_with_its_number(stage: str, named: list[str]) -> None:
    message = refusal(f"mixture.stages=[{stage}]")
    assert [part for part in named if part not in message] == []


def test_stages_are_read_in_order_and_one_that_names_no_ratios_has_the_mixtures() -> None:
    config = load_config([*WHOLE, "mixture.stages=[{steps:5},{tokens:4096,spec_share:0.5,end_spec_share:0},{source_epochs:{spec:2}}]"])
    assert [(stage.steps, stage.tokens, stage.has_own_ratios) for stage in config.mixture.stages] == [
        (5, None, False),
        (None, 4096, True),
        (None, None, True),
    ]
    assert (config.mixture.stages[1].spec_share, config.mixture.stages[1].end_spec_share) == (0.5, 0.0)


def test_ratios_that_are_thirds_sum_to_one() -> None:
    third = 1 / 3
    sources = [f"sources.{name}={{role:general,paths:[/x]}}" for name in ("b", "c")]
    config = load_config([*WHOLE, *sources, "mixture.spec_share=null", f"mixture.ratios={{spec:{third},b:{third},c:{third}}}"])
    assert dict(config.mixture.ratios) == {"spec": third, "b": third, "c": third}
