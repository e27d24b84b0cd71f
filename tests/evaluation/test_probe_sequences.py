"""Probes as tokens: text that goes on, one context for all choices of an item, and what does not fit."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from orchestrator.errors import DataError
from orchestrator.evaluation.probe_items import ProbeItem
from orchestrator.evaluation.probe_sequences import make_probe, open_probes
from orchestrator.shards.vocabulary import Vocabulary
from tests.evaluation.asking import ITEMS, LENGTH, tiny_probe, tiny_vocabulary, write_lines
from tests.support.tiny import END

TEXTS = st.text(alphabet="the river é漢", min_size=1, max_size=12).filter(lambda text: not text.isspace())


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return tiny_vocabulary(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module")
def tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    return vocabulary.open()


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=TEXTS, choices=st.lists(TEXTS, min_size=2, max_size=4, unique=True), data=st.data())
def test_a_choice_is_the_text_that_goes_on_and_all_of_an_item_have_one_context(
    vocabulary: Vocabulary, tokenizer: Tokenizer, prompt: str, choices: list[str], data: st.DataObject
) -> None:
    answer = data.draw(st.integers(0, len(choices) - 1))
    probe = make_probe("p", [ProbeItem(prompt, tuple(choices), answer, "")], vocabulary, 200)
    assert (probe.num_choices.tolist(), probe.answers.tolist(), probe.num_cut) == ([len(choices)], [answer], 0)
    contexts = set()
    for choice, sequence, num in zip(choices, probe.sequences, probe.num_scored.tolist(), strict=True):
        assert sequence.tolist() == [vocabulary.separator_id, *tokenizer.encode(prompt + choice).ids]
        contexts.add(tuple(sequence[: len(sequence) - num].tolist()))
    (context,) = contexts
    alone = tokenizer.encode(prompt).ids
    assert list(context[1:]) == alone[: len(context) - 1]
    reaches = [tokenizer.encode(prompt + choice).ids[: len(context)] for choice in choices]
    assert len(context) - 1 == len(alone) or any(ids != alone[: len(context)] for ids in reaches)  # no token of the context is left out


def test_a_token_that_reaches_over_the_end_of_the_prompt_is_the_choices_and_what_others_have_there_is_theirs(
    vocabulary: Vocabulary, tokenizer: Tokenizer
) -> None:
    assert [tokenizer.encode(text).tokens for text in ("the ", "the seam")] == [["t", "he", "Ġ"], ["t", "he", "Ġs", "eam"]]
    probe = make_probe("p", [ProbeItem("the ", ("seam", "7", "hand"), 0, "")], vocabulary, 200)
    assert probe.num_scored.tolist() == [2, 2, 2]  # without the first choice, the space would be the prompt's
    kept = make_probe("p", [ProbeItem("the ", ("7", "hand"), 0, "")], vocabulary, 200)
    assert kept.num_scored.tolist() == [1, 1]
    assert [each.tolist() for each in probe.sequences[1:]] == [each.tolist() for each in kept.sequences]


def test_what_spells_a_special_token_is_text(vocabulary: Vocabulary) -> None:
    probe = make_probe("p", [ProbeItem(f"the {END}", (" a", " hand"), 0, "")], vocabulary, 200)
    assert [each.tolist().count(vocabulary.separator_id) for each in probe.sequences] == [1, 1]


def test_an_item_that_is_too_long_loses_as_much_on_the_left_of_each_choice_and_is_counted(vocabulary: Vocabulary) -> None:
    whole, cut = make_probe("p", ITEMS, vocabulary, 10**6), tiny_probe(vocabulary)
    assert (whole.num_cut, cut.num_cut) == (0, 1)
    assert cut.num_scored.tolist() == whole.num_scored.tolist()
    assert cut.longest == LENGTH + 1
    lost = {len(a) - len(b) for a, b in zip(whole.sequences[-2:], cut.sequences[-2:], strict=True)}
    assert len(lost) == 1
    for a, b in zip(whole.sequences, cut.sequences, strict=True):
        assert b.tolist() == a[len(a) - len(b) :].tolist()
    assert [each.tolist() for each in whole.sequences[:-2]] == [each.tolist() for each in cut.sequences[:-2]]


@pytest.mark.parametrize("length", range(8, 14))
def test_however_short_sequences_are_the_first_token_of_a_choice_has_a_context(vocabulary: Vocabulary, length: int) -> None:
    probe = make_probe("p", [ProbeItem("7", (" 12345678"[:length], " 9"), 0, "")], vocabulary, length)
    assert probe.longest <= length + 1
    assert all(num < len(sequence) for sequence, num in zip(probe.sequences, probe.num_scored.tolist(), strict=True))


def test_a_choice_that_does_not_fit_into_a_sequence_is_refused_with_where_it_stands(vocabulary: Vocabulary) -> None:
    with pytest.raises(DataError, match=r"items:3: the choice .* has 40 tokens, over training\.sequence_length=32\. Shorten it"):
        make_probe("p", [ProbeItem("the", ("7" * 40, " 9"), 0, "items:3")], vocabulary, 32)


def test_files_that_have_not_changed_are_read_once_and_changed_ones_again(tmp_path: Path, vocabulary: Vocabulary) -> None:
    path = write_lines(tmp_path / "keeper.jsonl")
    (first,), (again,) = (open_probes({"keeper": [str(path)]}, vocabulary, LENGTH) for _ in range(2))
    assert first is again
    write_lines(path, [{"prompt": "a", "choices": [" b", " c"], "answer": 1}])
    (other,) = open_probes({"keeper": [str(path)]}, vocabulary, LENGTH)
    assert other.items != first.items
    assert len(other.sequences) == 2
