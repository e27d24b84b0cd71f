"""Ranks agree on what any of them wishes for, all at the same step."""

from tests.scheduling.agreeing import wish_at
from tests.support.rank_processes import on_ranks

NOTHING = {"stop": 0, "save": 0}


def test_what_one_rank_wishes_all_agree_on_one_step_later_and_once() -> None:
    first, second = on_ranks(wish_at, [[1, 3, "stop", 15], [0, 3, "stop", 10], [0, 6, "save", 1], [1, 9, "stop", 2]])
    assert first == second
    expected = {4: {"stop": 15, "save": 0}, 7: {"stop": 0, "save": 1}, 10: {"stop": 2, "save": 0}}
    assert first == [expected.get(step, NOTHING) for step in range(11)]
