"""The newest attempt holds a run, whatever older ones believe."""

from pathlib import Path

import pytest

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.fence import newest_token, raise_fence, still_ours


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def test_the_newer_attempt_shuts_the_older_one_out(run: RunDirectory) -> None:
    older = raise_fence(run, 1)
    assert still_ours(run, older)
    newer = raise_fence(run, 2)
    assert (still_ours(run, older), still_ours(run, newer)) == (False, True)
    assert newest_token(run) == newer


def test_two_attempts_that_take_the_same_number_are_told_apart(run: RunDirectory) -> None:
    one, other = raise_fence(run, 3), raise_fence(run, 3)
    assert (still_ours(run, one), still_ours(run, other)) == (False, True)


@pytest.mark.parametrize("content", [None, "", '{"attempt": 1', '{"attempt": 1, "host": "h"}'])
def test_a_fence_that_cannot_be_read_shuts_nobody_out(run: RunDirectory, content: str | None) -> None:
    token = raise_fence(run, 1)
    run.fence.unlink()
    if content is not None:
        run.fence.write_text(content)
    assert still_ours(run, token)
