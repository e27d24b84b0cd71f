"""What W&B has had beside the lines."""

from pathlib import Path

import pytest

from orchestrator.tracking.sent import Sent


def test_what_was_sent_is_known_the_next_time(tmp_path: Path) -> None:
    Sent(tmp_path / "sent.json").add(["alert/1", "plan/x"])
    Sent(tmp_path / "sent.json").add(["alert/2"])
    again = Sent(tmp_path / "sent.json")
    assert [key in again for key in ("alert/1", "alert/2", "plan/x", "alert/3")] == [True, True, True, False]


@pytest.mark.parametrize("content", ["", "{", "5", "null", "[[]]"])
def test_of_a_file_that_is_damaged_nothing_was_sent(tmp_path: Path, content: str) -> None:
    (tmp_path / "sent.json").write_text(content)
    sent = Sent(tmp_path / "sent.json")
    assert "alert/1" not in sent
    sent.add(["alert/1"])
    assert "alert/1" in Sent(tmp_path / "sent.json")


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    Sent(tmp_path / "sent.json").add([])
    assert not (tmp_path / "sent.json").exists()
