"""Documents to token ids, and the spans of these that carry no loss: a masked prefix, and what in a conversation is not the assistant's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.corpus.conversations import messages_of
from orchestrator.corpus.documents import Document, Reject
from orchestrator.shards.chat import ChatTemplate, RenderingError, Run, render_runs
from orchestrator.shards.encoder import open_encoder
from orchestrator.shards.engines import EngineName
from orchestrator.shards.vocabulary import Vocabulary

TokenIds = NDArray[np.uint32]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A document as tokens.

    Attributes:
        document: which.
        ids: (num_tokens,) without the separator after it.
        untrained: spans of tokens that carry no loss, sorted, and none reaches into another; the last may reach over the separator.
    """

    document: Document
    ids: TokenIds
    untrained: tuple[Span, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendering:
    """What documents become before they are encoded.

    Attributes:
        masked_prefix: a text before each, whose special tokens are parsed and which carries no loss; none: nothing.
        chat: documents are conversations, under this template; none: they are texts.
    """

    masked_prefix: str | None = None
    chat: ChatTemplate | None = None


class DocumentEncoder:
    """Encodes documents of one source."""

    def __init__(self, vocabulary: Vocabulary, engine: EngineName, rendering: Rendering) -> None:
        """
        Args:
            vocabulary: the tokenizer.
            engine: what encodes texts. Where special tokens are parsed, it is the tokenizer itself.
            rendering: what documents become first.
        """
        self._vocabulary, self._engine, self._chat = vocabulary, engine, rendering.chat
        self._prefix = self._parsed([rendering.masked_prefix])[0] if rendering.masked_prefix else None
        if rendering.chat:
            special = {id_: token.content for id_, token in vocabulary.open().get_added_tokens_decoder().items() if token.special}
            self._special_ids = np.array(list(special), dtype=np.uint32)
            self._spelled = re.compile("|".join(map(re.escape, special.values())) or r"(?!)")

    def encode(self, documents: Sequence[Document]) -> list[Encoded | Reject]:
        """Encode each document on its own.

        Returns:
            In their order: each, or why it is none after all.
        """
        found = self._conversations(documents) if self._chat else self._texts(documents)
        return [item if isinstance(item, Reject) or self._prefix is None else _after(self._prefix, item) for item in found]

    def _texts(self, documents: Sequence[Document]) -> list[Encoded | Reject]:
        ids = open_encoder(self._vocabulary, self._engine).encode_batch([document.text for document in documents])
        return [Encoded(*pair) for pair in zip(documents, ids, strict=True)]

    def _conversations(self, documents: Sequence[Document]) -> list[Encoded | Reject]:
        rendered = [self._runs(document) for document in documents]
        ids = iter(self._parsed([run.text for runs in rendered if not isinstance(runs, Reject) for run in runs]))
        return [
            runs if isinstance(runs, Reject) else self._joined(document, [(run.is_assistant, next(ids)) for run in runs])
            for document, runs in zip(documents, rendered, strict=True)
        ]

    def _runs(self, document: Document) -> list[Run] | Reject:
        assert self._chat
        messages = messages_of(document)
        for number, message in enumerate(messages, 1):
            if spelled := self._spelled.search(f"{message['role']}\n{message['content']}"):
                reason = f"message {number} spells the special token {spelled[0]!r}, and would become it"
                return Reject(document.file, document.place, reason)
        try:
            return render_runs(self._chat, messages)
        except RenderingError as error:
            return Reject(document.file, document.place, str(error))

    def _joined(self, document: Document, runs: Sequence[tuple[bool, TokenIds]]) -> Encoded:
        """The runs in a row. The assistant's carry loss up to the special token that ends the turn; what white space follows does not."""
        spans, at, untrained_from = list[Span](), 0, 0
        for is_assistant, ids in runs:
            if is_assistant:
                spans.append((untrained_from, at))
                ending = np.flatnonzero(np.isin(ids, self._special_ids))
                untrained_from = at + (int(ending[-1]) + 1 if len(ending) else len(ids))
            at += len(ids)
        spans.append((untrained_from, at + 1))  # the separator, too: the turn has an end of its own
        return Encoded(document, np.concatenate([ids for _, ids in runs]), tuple(span for span in spans if span[0] < span[1]))

    def _parsed(self, texts: Sequence[str]) -> list[TokenIds]:
        return open_encoder(self._vocabulary, "tokenizers", "parsed").encode_batch(texts)


def _after(prefix: TokenIds, encoded: Encoded) -> Encoded:
    moved = ((begin + len(prefix), end + len(prefix)) for begin, end in encoded.untrained)
    return Encoded(encoded.document, np.concatenate([prefix, encoded.ids]), ((0, len(prefix)), *moved))
