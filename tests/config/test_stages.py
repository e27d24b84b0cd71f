"""What a mixture may say of its stages, and of sources by tokens and epochs."""

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError

BASE = [
    "run.name=x",
    "model.path=/m",
    "mixture.total_tokens=1000",
    "sources.spec={role:spec,paths:[/s]}",
    "sources.web={role:general,paths:[/w]}",
]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["mixture.stages=[{steps:3,tokens:9}]"], ["mixture.stages.0", "steps=3 and tokens=9"]),
        (["mixture.stages=[{end_spec_share:0.3}]"], ["mixture.stages.0", "an end without a start"]),
        (["mixture.stages=[{spec_share:0.3,ratios:{spec:0.3,web:0.7}}]"], ["mixture.stages.0", "exclude each other"]),
        (["mixture.stages=[{ratios:{spec:0.3,web:0.6}}]"], ["mixture.stages.0", "must sum to 1, got 0.9"]),
        (["mixture.stages=[{ratios:{spec:0.3,web:0.7},end_ratios:{spec:1}}]"], ["mixture.stages[0].end_ratios", "'web'"]),
        (["mixture.stages=[{source_tokens:{spek:9}}]"], ["mixture.stages[0].source_tokens names 'spek'", "spec, web"]),
        (["mixture.stages=[{end_ratios:{spec:1}}]"], ["mixture.stages.0", "an end without a start", "ratios with end_ratios"]),
        (["mixture.stages=[{spec_share:0.5,end_ratios:{spec:1,web:0}}]"], ["mixture.stages.0", "an end without a start"]),
        (
            ["mixture.stages=[{ratios:{spec:1,web:0},end_ratios:{spec:0.5,web:0}}]"],
            ["mixture.stages.0", "end_ratios must sum to 1, got 0.5"],
        ),
        (["mixture.stages=[{ratios:{spec:1,web:0},source_tokens:{spec:9}}]"], ["give every source its share", "spec has tokens or epochs"]),
        (["mixture.stages=[{source_tokens:{spec:9},source_epochs:{spec:1}}]"], ["'spec' is given by source_tokens and by source_epochs"]),
        (["mixture.stages=[{steps:1},{source_epochs:{spek:1}}]"], ["mixture.stages[1].source_epochs", "'spek'", "spec, web"]),
        (["mixture.stages=[{ratios:{spek:1}}]"], ["mixture.stages[0].ratios", "'spek'", "spec, web"]),
        (["mixture.stages=[{ratios:{spec:1,web:0},end_ratios:{spek:1}}]"], ["mixture.stages[0].end_ratios", "'spek'", "spec, web"]),
        (["mixture.stages=[{steps:0}]"], ["mixture.stages.0.steps=0"]),
        (["mixture.stages=[{steps:5,spec_share:2}]"], ["mixture.stages.0.spec_share=2"]),
        (["mixture.stages=[{source_epochs:{spec:0}}]"], ["mixture.stages.0.source_epochs.spec=0"]),
        (["mixture.stages=[{stepps:3}]"], ["mixture.stages.0.stepps", "The closest is mixture.stages.0.steps"]),
        (["mixture.source_epochs={spek:1}"], ["mixture.source_epochs names 'spek'", "spec, web"]),
        (["mixture.source_tokens={spek:1}"], ["mixture.source_tokens names 'spek'", "spec, web"]),
        (["mixture.source_epochs={spec:1}", "mixture.source_tokens={spec:9}"], ["'spec'", "source_tokens and by source_epochs"]),
        (["mixture.spec_share=null", "mixture.ratios={spec:0.5,web:0.5}", "mixture.source_tokens={spec:9}"], ["spec has tokens or epochs"]),
        (["mixture.source_tokens={spec:0}"], ["mixture.source_tokens.spec", "greater than or equal to 1"]),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_key(words: list[str], named: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([*BASE, *words])
    assert [part for part in named if part not in str(caught.value)] == []


def test_stages_come_out_as_they_were_said() -> None:
    said = "[{steps:10},{tokens:500,spec_share:0.1,end_spec_share:0.3},{source_epochs:{spec:1.5}}]"
    first, ramp, counted = load_config([*BASE, f"mixture.stages={said}"]).mixture.stages
    assert (first.steps, first.has_own_ratios) == (10, False)
    assert (ramp.tokens, ramp.spec_share, ramp.end_spec_share, ramp.has_own_ratios) == (500, 0.1, 0.3, True)
    assert (counted.steps, counted.tokens, counted.source_epochs, counted.has_own_ratios) == (None, None, {"spec": 1.5}, True)
