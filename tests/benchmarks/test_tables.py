from typing import Any

import pytest

from benchmarks.settings import FULL
from benchmarks.tables import BEGIN, END, between_markers, render, spread

MACHINE = {"date": "a day", "cpu": "a processor"}
PEER = {"configuration": "as it comes", "versions": {"grain": "1"}}


def results(**parts: Any) -> dict[str, Any]:
    return {"machine": MACHINE, "settings": FULL.as_json(), **parts}


def test_the_prose_around_the_markers_stays() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_markers(document, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        ([1.0, 2.0, 9.0], "**2.0** (1.0 to 9.0)"),
        ({"error": "ValueError: a | b"}, "fails: ValueError: a \\| b"),
        ([], "-"),
    ],
)
def test_a_cell_shows_the_median_and_the_range_or_the_failure(values: Any, cell: str) -> None:
    assert spread(values) == cell


def test_a_peer_that_fails_keeps_its_row_with_the_first_line_of_its_error() -> None:
    found = render(results(peers={"grain": PEER, "megatron": {"error": "ImportError: no helpers"}}))
    assert "| megatron-core | fails: ImportError: no helpers | - |" in found
    assert "| Google grain | as it comes | grain 1 |" in found


def test_throughput_is_in_million_tokens_a_second_and_in_the_order_of_the_settings() -> None:
    found = render(results(throughput={"grain": {"50:50, 8": [2e6], "5:95, 64": {"error": "slow"}, "5:95, 8": [1e6, 3e6]}}))
    assert "|  | 5:95, 8 | 5:95, 64 | 50:50, 8 | 50:50, 64 |" in found
    assert "| Google grain | **2.0** (1.0 to 3.0) | fails: slow | **2.0** (2.0 to 2.0) | - |" in found


def test_a_loader_that_ends_early_shows_where() -> None:
    mixes = {"5:95": {"errors": [1.0, 2.0, 3.0], "sequences": 7_000}, "50:50": {"error": "ended"}}
    found = render(results(ratio={"litdata": mixes}))
    assert "| LitData | 1.0 | 2.0 | 3.0 (ended at 7,000) | fails: ended | - | - |" in found


def test_dropped_tokens_show() -> None:
    tools = {
        "ours": {"1": {"seconds": [2.0], "tokens": [100]}},
        "hf_datasets": {"1": {"seconds": [1.0], "tokens": [90]}, "2": {"error": "no"}},
    }
    found = render(results(preparing=[{"said": ", in parts", "text_bytes": 4_000_000, "tools": tools}]))
    assert "### Preparing 4 MB, in parts\n" in found
    assert "| midtrain prepare | **2.00** (2.00 to 2.00) | - | 0 |" in found
    assert "| HF datasets.map | **4.00** (4.00 to 4.00) | fails: no | 10 |" in found


def test_world_sizes_that_train_other_sequences_are_told_with_their_number() -> None:
    found = render(results(ranks={"ours": {"steps": 100, "same": {"2": 100, "3": 4}}, "mosaic": {"error": "hung"}}))
    assert "| midtrain, in process | yes, 100 of 100 | **no**, 4 of 100 |" in found
    assert "| MosaicML streaming | fails: hung | - |" in found


def test_what_was_not_measured_has_no_table() -> None:
    assert "###" not in render(results(peers={}, throughput={}))
