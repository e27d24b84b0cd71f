"""What a table says of a sweep before it starts."""

import pytest

from orchestrator.commands.sweeping.showing import held_words
from orchestrator.sweep.directory import TrialEntry
from orchestrator.sweep.settings import CONTROL, SPEC


def entry(arm: str, total_tokens: int) -> TrialEntry:
    return TrialEntry(
        trial_id="a",
        arm=arm,
        setting={},
        seed=0,
        spec_share=0.1,
        spec_tokens=total_tokens // 10,
        spec_epochs=1.0,
        unique_spec_tokens=640,
        total_tokens=total_tokens,
        steps=10,
    )


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([entry(SPEC, 1280), entry(SPEC, 2560), entry(CONTROL, 64)], "held fixed: the trained tokens, 1,280 to 2,560"),
        ([entry(CONTROL, 1280)], "held fixed: the trained tokens, and no trial has the spec"),
        ([], "held fixed: the trained tokens, and no trial has the spec"),
    ],
)
def test_what_is_held_is_said_of_the_trials_with_the_spec(entries: list[TrialEntry], words: str) -> None:
    assert held_words(entries, "total_tokens") == words
