"""A study that is asked and told, and goes on in another process where it was left."""

from pathlib import Path

import pytest

from orchestrator.config.sweep import IntervalConfig, SamplerConfig, Value
from orchestrator.errors import ConfigError
from orchestrator.sweep.sampler import Sampler

VARY: dict[str, tuple[Value, ...] | IntervalConfig] = {
    "mixture.spec_share": IntervalConfig(low=0.01, high=0.5, log=True),
    "training.micro_batch": IntervalConfig(low=1, high=8, integer=True),
    "x": (1, None),
}
CONFIG = SamplerConfig(settings=6, random_settings=3)


def test_what_is_proposed_is_within_the_intervals_and_of_their_kind(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path / "study", VARY, CONFIG)
    for _ in range(CONFIG.settings):
        asked = sampler.ask()
        assert asked
        number, setting = asked
        share, batch = setting["mixture.spec_share"], setting["training.micro_batch"]
        assert isinstance(share, float) and 0.01 <= share <= 0.5
        assert isinstance(batch, int) and 1 <= batch <= 8
        assert setting["x"] in (1, None)
        sampler.tell(number, uptake=share, forgetting=share**2)
    assert sampler.ask() is None
    assert sampler.is_over


def test_what_was_asked_and_not_told_is_known_after_a_restart_and_counts(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path / "study", VARY, CONFIG)
    first, second = sampler.ask(), sampler.ask()
    assert first and second
    sampler.tell(first[0], uptake=0.1, forgetting=0.0)
    again = Sampler(tmp_path / "study", VARY, CONFIG)
    assert again.open_ones() == [second]
    again.tell(second[0], uptake=0.2, forgetting=0.1)
    proposed = [again.ask() for _ in range(4)]
    assert all(proposed) and again.ask() is None
    assert len({str(one and one[1]) for one in (first, second, *proposed)}) == 6


def test_what_was_being_asked_for_when_its_command_was_killed_has_failed_and_another_is_asked_for(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path / "study", VARY, CONFIG)
    sampler._study.ask()  # and no values yet
    again = Sampler(tmp_path / "study", VARY, CONFIG)
    assert again.open_ones() == []
    assert len([one for one in (again.ask() for _ in range(7)) if one]) == CONFIG.settings


def test_an_interval_may_change_later_and_values_to_choose_from_may_not(tmp_path: Path) -> None:
    asked = Sampler(tmp_path / "study", VARY, CONFIG).ask()
    assert asked
    Sampler(tmp_path / "study", VARY | {"mixture.spec_share": IntervalConfig(low=0.01, high=0.9, log=True)}, CONFIG)
    with pytest.raises(ConfigError, match="x=1,None,2, and so far the sampler of this sweep chose from 1,None"):
        Sampler(tmp_path / "study", VARY | {"x": (1, None, 2)}, CONFIG)


def test_a_setting_that_cannot_be_trained_is_replaced_but_not_for_ever(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path / "study", VARY, CONFIG)
    count = 0
    while asked := sampler.ask():
        sampler.tell_failed(asked[0])
        count += 1
    assert count == 4 * CONFIG.settings
