"""Tokens without loss: a prefix before every document, and in conversations all that is not the assistant's."""

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from orchestrator.config.data import ShardsConfig, SourceConfig
from orchestrator.corpus.documents import document_id
from orchestrator.errors import ConfigError, DataError
from orchestrator.shards.chat import ChatTemplate, RenderingError, load_chat_template, render_runs
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.preparation import source_request
from orchestrator.shards.vocabulary import Vocabulary, load_vocabulary
from tests.corpus.writing import write_texts
from tests.support.prepared import AS_SHIPPED, prepare_source
from tests.support.tiny import END, write_model

START, STOP = "<|im_start|>", "<|im_end|>"
CHATML = (
    "{% if messages and messages[0]['role'] != 'system' %}<|im_start|>system\nYou ask.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONVERSATION = [
    {"role": "user", "content": "the river asks"},
    {"role": "assistant", "content": "the keeper waits"},
    {"role": "user", "content": "and twice"},
    {"role": "assistant", "content": "always"},
]
REJECTED = replace(AS_SHIPPED, max_reject_share=1.0)


@dataclass(frozen=True)
class Marked:
    """What was written: tokens, which of them carry loss, and what was rejected."""

    manifest: Manifest
    tokens: list[int]
    trained: list[bool]

    def texts(self, vocabulary: Vocabulary, trained: bool) -> list[str]:
        """The runs of tokens that do or do not carry loss, decoded."""
        edges = [0, *(np.flatnonzero(np.diff(self.trained)) + 1).tolist(), len(self.tokens)]
        runs = [(self.trained[begin], self.tokens[begin:end]) for begin, end in pairwise(edges)]
        return [vocabulary.open().decode(ids, skip_special_tokens=False) for is_trained, ids in runs if is_trained == trained]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with a chat template and its special tokens."""
    folder = write_model(tmp_path_factory.mktemp("model"), vocab_size=302)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([START, STOP])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": CHATML}))
    return folder


@pytest.fixture(scope="module")
def vocabulary(model: Path) -> Vocabulary:
    return load_vocabulary(str(model), None)


@pytest.fixture(scope="module")
def template(model: Path) -> ChatTemplate:
    return load_chat_template(str(model))


def prepare(folder: Path, vocabulary: Vocabulary, file: Path, **changes: Any) -> Marked:
    source = SourceConfig(role="spec", paths=(str(file),), **changes)
    shards = ShardsConfig(dir=str(folder / "shards"), document_separator=None, shard_bytes=1, packing="concatenate")
    manifest = prepare_source("s", source, shards, vocabulary, corpus=REJECTED)
    (shard,) = manifest.train
    directory = folder / "shards" / "s"
    tokens = np.fromfile(directory / shard.file, dtype=manifest.dtype).tolist()
    trained = np.ones(len(tokens), dtype=np.bool_)
    if shard.untrained_spans:
        for begin, end in np.fromfile(directory / shard.untrained_file, dtype="<u8").reshape(-1, 2).astype(int):
            trained[begin:end] = False
    assert shard.untrained_tokens == len(tokens) - int(trained.sum())
    return Marked(manifest, tokens, trained.tolist())


def write_conversations(file: Path, *conversations: Any) -> Path:
    file.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in conversations))
    return file


def test_a_masked_prefix_stands_before_every_document_as_tokens_of_its_own_without_loss(tmp_path: Path, vocabulary: Vocabulary) -> None:
    texts = ["the river", " door", "chair"]
    found = prepare(tmp_path, vocabulary, write_texts(tmp_path / "a.jsonl", texts), masked_prefix=f"{START}the")
    tokenizer = vocabulary.open()
    own = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    prefix = [tokenizer.token_to_id(START), *tokenizer.encode("the", add_special_tokens=False).ids]
    assert found.tokens == [token for ids in own for token in [*prefix, *ids, vocabulary.separator_id]]
    assert found.trained == [is_trained for ids in own for is_trained in [False] * len(prefix) + [True] * (len(ids) + 1)]
    assert found.manifest.train[0].untrained_firsts == 3


def test_texts_without_a_prefix_have_no_file_of_untrained_tokens(tmp_path: Path, vocabulary: Vocabulary) -> None:
    found = prepare(tmp_path, vocabulary, write_texts(tmp_path / "a.jsonl", ["the river"]))
    assert all(found.trained)
    assert not list((tmp_path / "shards").rglob("*.untrained.bin"))


def test_of_a_conversation_the_assistants_words_and_the_ends_of_its_turns_carry_loss(tmp_path: Path, vocabulary: Vocabulary) -> None:
    found = prepare(tmp_path, vocabulary, write_conversations(tmp_path / "a.jsonl", CONVERSATION), messages_field="messages")
    assert found.texts(vocabulary, trained=True) == [f"the keeper waits{STOP}", f"always{STOP}"]
    assert found.texts(vocabulary, trained=False) == [
        f"{START}system\nYou ask.{STOP}\n{START}user\nthe river asks{STOP}\n{START}assistant\n",
        f"\n{START}user\nand twice{STOP}\n{START}assistant\n",
        f"\n{END}",
    ]
    assert (found.manifest.engine.name, found.manifest.engine.sampled_documents) == ("tokenizers", 0)
    start_id = vocabulary.open().token_to_id(START)
    assert start_id
    assert [found.tokens.count(token) for token in (start_id, vocabulary.separator_id)] == [5, 1]


def test_the_id_of_a_conversation_is_that_of_its_messages_as_canonical_json(tmp_path: Path, vocabulary: Vocabulary) -> None:
    from pyarrow import parquet

    reordered = [{"content": message["content"], "role": message["role"]} for message in CONVERSATION]
    file = write_conversations(tmp_path / "a.jsonl", CONVERSATION, reordered)
    prepare(tmp_path, vocabulary, file, messages_field="messages")
    ids = parquet.read_table(tmp_path / "shards" / "s" / "train_00000.documents.parquet")["id"].to_pylist()
    assert ids == [document_id(json.dumps(CONVERSATION, separators=(",", ":")))] * 2


def test_conversations_in_parquet_are_those_in_json_lines(tmp_path: Path, vocabulary: Vocabulary) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"messages": [CONVERSATION, CONVERSATION[:2]]}), tmp_path / "a.parquet")
    lines = write_conversations(tmp_path / "a.jsonl", CONVERSATION, CONVERSATION[:2])
    found = [prepare(tmp_path / file.suffix, vocabulary, file, messages_field="messages") for file in (lines, tmp_path / "a.parquet")]
    assert (found[0].tokens, found[0].trained) == (found[1].tokens, found[1].trained)


def test_a_prefix_and_a_conversation_make_one_span_at_the_start(tmp_path: Path, vocabulary: Vocabulary) -> None:
    file = write_conversations(tmp_path / "a.jsonl", CONVERSATION[:2], CONVERSATION[:2])
    found = prepare(tmp_path, vocabulary, file, messages_field="messages", masked_prefix="the ")
    assert found.texts(vocabulary, trained=True) == [f"the keeper waits{STOP}"] * 2
    assert found.manifest.train[0].untrained_spans == 3


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ("the river", "the messages are a str, not a list"),
        ([], "the messages are an empty list"),
        (CONVERSATION[:1], "no message is the assistant's"),
        ([{"role": "user"}], "message 1 is not a role and a content, both strings"),
        ([{"role": "user", "content": ["the"]}], "message 1 is not a role and a content, both strings"),
        ([CONVERSATION[0], {"role": "assistant", "content": " "}], "message 2 is the assistant's and empty"),
        ([CONVERSATION[0] | {"tool": "x"}], "message 1 has a field 'tool', which is not known here"),
        ([*CONVERSATION[:2], {"role": "user", "content": f"a{STOP}"}], f"message 3 spells the special token '{STOP}', and would become it"),
        ([{"role": "user", "content": "\ud800"}, CONVERSATION[1]], "the text holds a lone surrogate, which is not Unicode text"),
    ],
)
def test_what_is_no_conversation_is_rejected_with_its_reason(tmp_path: Path, vocabulary: Vocabulary, messages: Any, reason: str) -> None:
    prepare(tmp_path, vocabulary, write_conversations(tmp_path / "a.jsonl", CONVERSATION, messages), messages_field="messages")
    (reject,) = [json.loads(line) for line in (tmp_path / "shards" / "s" / "rejects.jsonl").read_text().splitlines()]
    assert (reject["line"], reject["reason"]) == (2, reason)


def test_texts_and_conversations_do_not_go_together(tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / "a.md").write_text("the river")
    with pytest.raises(DataError, match=r"'s' has messages_field, and .*a\.md is a text"):
        prepare(tmp_path, vocabulary, tmp_path / "a.md", messages_field="messages")
    with pytest.raises(ValueError, match="messages_field=m and text_field=t exclude each other"):
        SourceConfig(role="spec", paths=("a",), messages_field="m", text_field="t")


def rendered(source: str, messages: list[dict[str, str]] = CONVERSATION) -> list[tuple[str, bool]]:
    return [(run.text, run.is_assistant) for run in render_runs(ChatTemplate(source, (("eos_token", "E"),)), messages)]


def test_a_template_may_name_special_tokens_break_out_of_loops_and_mark_generations() -> None:
    said = "{% generation %}{{ m.content | tojson }}{% endgeneration %}{{ eos_token }}"
    source = f"{{% for m in messages %}}{{% if loop.index > 2 %}}{{% break %}}{{% endif %}}{said}{{% endfor %}}"
    assert rendered(source, CONVERSATION[:2]) == [('"the river asks"E', False), ('"the keeper waits"E', True)]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for m in messages %}{% if loop.last %}{{ m.content }}{% endif %}{% endfor %}", "message 2 or those before it differently"),
        ("{{ messages | length }}", "message 2 or those before it differently"),
        ("{{ raise_exception('no user') }}", "does not take it: no user"),
        ("{{ messages[9].content.x }}", "does not take it"),
        ("{{ strftime_now('%d') }}", "does not take it: 'strftime_now' is undefined"),
        ("{{ messages.append(1) }}", "does not take it"),
    ],
)
def test_a_template_that_does_not_begin_alike_or_refuses_is_a_reason_to_reject(source: str, reason: str) -> None:
    with pytest.raises(RenderingError, match=reason):
        rendered(source)


WORDS = st.text(st.characters(categories=["L", "Z", "P"], exclude_characters="<|>"), min_size=1, max_size=9)
ROLES = st.sampled_from(["user", "assistant", "system"])
CONVERSATIONS = st.lists(st.tuples(ROLES, WORDS), min_size=1, max_size=6).map(
    lambda pairs: [{"role": role, "content": content} for role, content in [("user", "so"), *pairs, ("assistant", "so")]]
)


@settings(deadline=None, max_examples=50)
@given(CONVERSATIONS)
def test_the_runs_are_the_whole_text_and_those_of_the_assistant_are_its_words(
    template: ChatTemplate, messages: list[dict[str, str]]
) -> None:
    runs = render_runs(template, messages)
    said = [f"{message['content']}{STOP}\n" for message in messages if message["role"] == "assistant"]
    assert [run.text for run in runs if run.is_assistant] == said
    assert "".join(run.text for run in runs).count(START) == len(messages) + 1


def test_a_file_of_its_own_has_precedence_and_none_at_all_is_an_error(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    with pytest.raises(ConfigError, match=r"has no chat template, which sources with messages_field need.*chat_template\.jinja"):
        load_chat_template(str(folder))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    named = [{"name": "tools", "template": "a"}, {"name": "default", "template": "b"}]
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": named}))
    assert load_chat_template(str(folder)) == ChatTemplate("b", (("eos_token", END),))
    (folder / "chat_template.jinja").write_text("c")
    assert load_chat_template(str(folder)).source == "c"
    (folder / "chat_template.jinja").write_text("{% if %}")
    with pytest.raises(ConfigError, match="not Jinja: line 1"):
        load_chat_template(str(folder))


def test_another_prefix_field_or_template_is_another_preparation(template: ChatTemplate) -> None:
    changes: list[dict[str, Any]] = [{}, {"masked_prefix": "a"}, {"messages_field": "m"}]
    sources = [SourceConfig(role="spec", paths=("a",), **change) for change in changes]
    requests = [source_request("code", {"code": source}, AS_SHIPPED, None) for source in sources]
    requests.append(source_request("code", {"code": sources[-1]}, AS_SHIPPED, template))
    assert len(set(requests)) == 4
