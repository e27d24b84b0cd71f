from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rows import ROW, SEQUENCE_LENGTH, VOCABULARY, identify, largest_error, read_rows, sources_of, write_source


@pytest.mark.parametrize("source", ["spec", "general"])
def test_each_row_tells_which_sequence_of_which_source_it_is(tmp_path: Path, source: str) -> None:
    write_source(tmp_path, source, 5, seed=1)
    ids = identify(np.stack(list(read_rows(tmp_path))))
    assert (ids // 2).tolist() == [0, 1, 2, 3, 4]
    assert set(sources_of(ids).tolist()) == {("spec", "general").index(source)}


def test_a_row_ends_with_the_first_token_of_the_next_sequence(tmp_path: Path) -> None:
    write_source(tmp_path, "general", 3, seed=1)
    rows = list(read_rows(tmp_path))
    assert {row.shape for row in rows} == {(ROW,)}
    assert [row[SEQUENCE_LENGTH] for row in rows[:-1]] == [row[0] for row in rows[1:]]


def test_numbers_beyond_one_token_are_told_by_two() -> None:
    assert identify(np.array([[1, 7, 2]], dtype=np.uint16)).tolist() == [2 * (2 * VOCABULARY + 7) + 1]


@given(st.lists(st.integers(0, 1), min_size=1, max_size=200), st.floats(0, 1))
def test_the_largest_error_is_that_of_the_worst_prefix(sources: list[int], share: float) -> None:
    spec = [source == 0 for source in sources]
    worst = max(abs(sum(spec[:length]) - share * length) for length in range(1, len(spec) + 1))
    assert largest_error(np.array(sources), share, [len(sources)]) == pytest.approx([worst])
