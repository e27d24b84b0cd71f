"""Where a text holds added tokens: tokenizers cuts them out before anything else, and what lies between is encoded on its own."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.shards.split_pattern import NotConvertibleError
from orchestrator.shards.vocabulary import SpecialTokens

Piece = tuple[str, int | None]  # a text, or with it the id of the added token that it is


class AddedTokens:
    """Cuts texts at added tokens: first those that are sought before normalisation, then the others."""

    def __init__(self, tokens: Sequence[Mapping[str, Any]], special_tokens: SpecialTokens, normalise: Callable[[str], str]) -> None:
        """
        Args:
            tokens: `added_tokens` of a `tokenizer.json`.
            special_tokens: whether special ones are sought, too.
            normalise: the tokenizer's normalizer.

        Raises:
            NotConvertibleError: one takes in the white space around it, or is a token only where it is a word.
        """
        for token in tokens:
            if flags := [flag for flag in ("lstrip", "rstrip", "single_word") if token.get(flag)]:
                raise NotConvertibleError(f"its added token {token['content']!r} has {flags[0]}")
        self._normalise = normalise
        self._ids: dict[str, int | None] = {}  # none: a special token that stays text, but hides what overlaps it
        sought: dict[bool, list[str]] = {False: [], True: []}
        for token in tokens:
            content = normalise(token["content"]) if token["normalized"] else token["content"]
            sought[token["normalized"]].append(content)
            self._ids[content] = None if token["special"] and special_tokens == "as text" else token["id"]
        self._raw, self._normalised = self._pattern(sought[False]), self._pattern(sought[True])

    def cut(self, text: str) -> Iterator[Piece]:
        """The pieces of a text in their order, normalised."""
        for piece, token_id in self._cut(text, self._raw):
            if token_id is None:
                yield from self._cut(self._normalise(piece), self._normalised)
            else:
                yield piece, token_id

    def _pattern(self, contents: Sequence[str]) -> re.Pattern[str] | None:
        """Matches the longest token where one begins; nothing if all of them stay text."""
        if all(self._ids[content] is None for content in contents):
            return None
        return re.compile("|".join(map(re.escape, sorted(contents, key=len, reverse=True))))

    def _cut(self, text: str, pattern: re.Pattern[str] | None) -> Iterator[Piece]:
        start = 0
        for match in pattern.finditer(text) if pattern else ():
            if (token_id := self._ids[match[0]]) is not None:
                yield text[start : match.start()], None
                yield match[0], token_id
                start = match.end()
        yield text[start:], None
