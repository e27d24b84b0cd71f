"""The pictures of a frontier."""

import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.report.sweep.pictures import write_pictures
from orchestrator.report.sweep.records import SweepRecords
from tests.support.sweep_records import MadeUpSweep, hostile_sweep, large_sweep, make_records, small_sweep


def test_the_same_sweep_gives_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    one, other = (write_pictures(small_sweep(), folder) for folder in folders)
    assert [path.name for path in one] == ["frontier.png", "frontier.svg"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert b"<dc:date>" not in one[1].read_bytes()


@pytest.mark.parametrize("made_up", [large_sweep, hostile_sweep])
def test_many_settings_and_hostile_names_are_drawn_too(tmp_path: Path, made_up: Callable[[], SweepRecords]) -> None:
    png, svg = write_pictures(made_up(), tmp_path)
    width, height = struct.unpack(">II", png.read_bytes()[16:24])
    assert (width, height) == (1650, 1200)
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")


def test_a_frontier_without_knee_and_law_is_drawn(tmp_path: Path) -> None:
    assert len(write_pictures(make_records(MadeUpSweep(has_knee=False, has_law=False)), tmp_path)) == 2


def test_without_a_frontier_there_is_no_picture_and_none_of_an_earlier_one(tmp_path: Path) -> None:
    records = make_records(MadeUpSweep(states={f"t{number:03d}": "queued" for number in range(14)}))
    write_pictures(small_sweep(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert write_pictures(records, tmp_path) == []
    assert list(tmp_path.iterdir()) == []
