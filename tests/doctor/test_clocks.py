"""How far clocks are apart, by law, by table, and between real ranks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.doctor.clocks import Exchange, Offset, judge_offset, offset_of
from tests.doctor.talking import offsets_with_clocks_ahead
from tests.support.rank_processes import on_ranks

ways = st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=20)


@given(ahead=st.floats(-1000, 1000), ways=ways)
def test_the_true_offset_is_never_further_away_than_is_said(ahead: float, ways: list[tuple[float, float]]) -> None:
    exchanges = [Exchange(100.0 * k, 100.0 * k + there + ahead, 100.0 * k + there + back) for k, (there, back) in enumerate(ways)]
    offset = offset_of(exchanges)
    assert abs(offset.seconds - ahead) <= offset.uncertainty_seconds + 1e-6
    assert offset.uncertainty_seconds == pytest.approx(min(there + back for there, back in ways) / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("seconds", "uncertainty", "verdict", "said"),
    [
        (0.002, 0.001, "good", "2.0 ms ahead, ±1.0 ms"),
        (-0.9, 0.0, "good", "900.0 ms behind, ±0.0 ms"),
        (1.5, 0.1, "warning", "1.5 s ahead, ±100.0 ms"),
        (1.5, 0.6, "good", "1.5 s ahead, ±600.0 ms"),  # it may be less than a second
        (-3600.0, 0.1, "bad", "3,600.0 s behind, ±100.0 ms"),
    ],
)
def test_a_clock_is_judged_by_what_it_is_off_for_sure(seconds: float, uncertainty: float, verdict: str, said: str) -> None:
    found = judge_offset("clock", "node-1", Offset(seconds=seconds, uncertainty_seconds=uncertainty))
    assert (found.verdict, found.value) == (verdict, said)


def test_ranks_learn_whose_clock_is_ahead_of_rank_0s() -> None:
    first, *others = on_ranks(offsets_with_clocks_ahead, [5.0, 8.0, -2.0], world_size=3)
    assert others == [{}, {}]
    assert first["1"] == pytest.approx(3.0, abs=0.2)
    assert first["2"] == pytest.approx(-7.0, abs=0.2)
