"""Items of probes out of files: what is one, and what is told of a line that is none."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.errors import DataError
from orchestrator.evaluation import probe_items
from orchestrator.evaluation.probe_items import ProbeItem, hash_items, list_probe_files, read_items
from orchestrator.resources import resource
from tests.evaluation.asking import LINES, write_lines

ITEM: dict[str, object] = {"prompt": "one and one is", "choices": [" two", " three"], "answer": 0}


def read(*paths: Path | str) -> list[ProbeItem]:
    return read_items("sums", list_probe_files("sums", [str(path) for path in paths]))


def test_items_come_in_the_order_of_files_and_lines_with_their_texts_as_they_are(tmp_path: Path) -> None:
    write_lines(tmp_path / "b.jsonl", LINES[:2])
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(LINES[2] | {"topic": "hands"}).encode()))
    items = read(tmp_path / "b.jsonl", tmp_path)
    assert [(item.prompt, list(item.choices), item.answer) for item in items] == [
        (line["prompt"], line["choices"], line["answer"]) for line in LINES[:3]
    ]
    assert [item.origin for item in items] == [
        f"{tmp_path}/b.jsonl:1",
        f"{tmp_path}/b.jsonl:2 (id ledger)",
        f"{tmp_path}/a.jsonl.gz:1",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON: "),
        ("[1]", "it is a list, not an object"),
        ({"prompt": "a", "choices": ["b", "c"]}, "no key 'answer'"),
        ({"choices": ["b", "c"], "answer": 0}, "no key 'prompt'"),
        ({"prompt": "a", "answer": 0}, "no key 'choices'"),
        (ITEM | {"prompt": 5}, "the prompt is a int, not a string"),
        (ITEM | {"prompt": " \n"}, "the prompt is empty"),
        (ITEM | {"prompt": "\ud800"}, "the prompt holds a lone surrogate"),
        (ITEM | {"choices": [" two"]}, 'choices is [" two"], and two or more are needed'),
        (ITEM | {"choices": " two"}, 'choices is " two", and two or more are needed'),
        (ITEM | {"choices": [" two", ""]}, "choice 1 is empty"),
        (ITEM | {"choices": [None, " two"]}, "choice 0 is a NoneType, not a string"),
        (ITEM | {"choices": [" two", " six", " two"]}, "choices 0 and 2 are the same, ' two'"),
        (ITEM | {"answer": 2}, "answer is 2, and the choices are numbered 0 to 1"),
        (ITEM | {"answer": -1}, "answer is -1, and the choices are numbered 0 to 1"),
        (ITEM | {"answer": True}, "answer is true, and the choices are numbered 0 to 1"),
        (ITEM | {"answer": " two"}, 'answer is " two", and the choices are numbered 0 to 1'),
        (ITEM | {"id": [1]}, "id is a list, neither a string nor a whole number"),
        ("", "not JSON: "),
    ],
)
def test_a_line_that_is_no_item_is_an_error_with_its_file_its_number_what_is_wrong_and_what_to_do(
    tmp_path: Path, line: object, said: str
) -> None:
    path = write_lines(tmp_path / "sums.jsonl", [ITEM, line])
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert f"probe 'sums': {path}:2: {said}" in message
    assert "mend it, or take the file out of evaluation.probes.sums" in message


def test_a_place_without_lines_of_json_is_refused_with_the_key(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "empty.jsonl").touch()
    for path, said in (("no.jsonl", "no file at"), ("notes.txt", "is none of .jsonl"), ("empty.jsonl", "is empty")):
        with pytest.raises(DataError, match=f"probe 'sums': .*{said}"):
            read(tmp_path / path)
    with pytest.raises(DataError, match=r"evaluation\.probes\.sums"):
        read(tmp_path / "no.jsonl")


def test_more_items_than_may_be_are_refused_before_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_items, "MOST_ITEMS", 3)
    path = write_lines(tmp_path / "sums.jsonl", [ITEM] * 3)
    assert len(read(path)) == 3
    write_lines(path, [ITEM] * 4 + ["not read"])
    with pytest.raises(DataError, match=r"more than 3 items.*give evaluation\.probes\.sums a sample"):
        read(path)


def test_the_hash_of_items_is_that_of_what_is_asked_in_its_order_and_not_of_where_it_lies(tmp_path: Path) -> None:
    one, other = write_lines(tmp_path / "one.jsonl"), write_lines(tmp_path / "other.jsonl", [{"id": "new"} | LINES[0], *LINES[1:]])
    same = hash_items(read(one))
    assert hash_items(read(other)) == same
    changed = [[LINES[1], LINES[0]], [LINES[0] | {"answer": 1}], [LINES[0] | {"prompt": "x"}], [LINES[0] | {"choices": [" twice", " no"]}]]
    hashes = {hash_items(read(write_lines(other, [*lines, *LINES[2:]]))) for lines in changed}
    assert len(hashes | {same}) == 5


def test_the_example_asks_24_things_of_its_spec_with_answers_and_lengths_that_give_nothing_away() -> None:
    items = read(resource("examples") / "spec" / "probes.jsonl")
    assert len(items) == 24
    for num_choices in (2, 3, 4):
        answers = Counter(item.answer for item in items if len(item.choices) == num_choices)
        assert set(answers) == set(range(num_choices)) and len(set(answers.values())) == 1  # every place as often
    lengths = [([len(choice) for choice in item.choices], item.answer) for item in items]
    shorter = sum(of_item[answer] < sum(of_item) / len(of_item) for of_item, answer in lengths)
    assert 8 <= shorter <= 16
    assert all(item.prompt[-1] != " " and choice[0] == " " for item in items for choice in item.choices)
