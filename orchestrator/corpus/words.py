"""The words of a batch of documents, normalised, as arrays: where each stands, its hash, and which document and line it belongs to.

A word is a run of ASCII letters and digits (lower-cased) and of characters of two UTF-8 bytes (U+00C0 to U+07FF: Latin with accents,
Greek, Cyrillic, Hebrew, Arabic), as it stands; or one character of three or four bytes (Chinese, Japanese, Korean, Indic, emoji). All else
separates: other ASCII, U+0080 to U+00BF (no-break space, « »), U+2000 to U+207F (dashes, curly quotes, zero-width spaces) and U+3000 to
U+303F (、。「」), so that texts which differ in typography have the same words. A line ends at LF, CR or the document's end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.corpus.hashes import PADDING, Hashes, Ints, hash_byte_spans, hash_ngrams

Bytes = NDArray[np.uint8]
RULES = "words/1"  # changes when the same text would give other words or hashes
_SEPARATOR, _LINE_END = 0, 1
_LATIN_PUNCTUATION, _THREE_BYTES, _FOUR_BYTES = 0xC2, 0xE0, 0xF0  # first bytes: of U+0080 to U+00BF; of three and four byte characters


def _normal(byte: int) -> int:
    if byte >= 0x80:
        return byte
    character = chr(byte)
    return ord(character.lower()) if character.isalnum() else _LINE_END if character in "\r\n" else _SEPARATOR


_NORMAL = bytes(map(_normal, range(256)))


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a batch of documents, in order.

    Attributes:
        data: UTF-8 of the documents, each followed by a newline.
        starts, ends: (num_words,) where each word stands in `data`, in bytes.
        hashes: (num_words,) of the normalised words; the same word has the same hash in every batch.
        documents: (num_documents + 1,) words before each document, and in all.
        lines: (num_lines + 1,) words before each line, and in all; a document's end ends its last line.
    """

    data: bytes
    starts: Ints
    ends: Ints
    hashes: Hashes
    documents: Ints
    lines: Ints

    @property
    def document_of(self) -> Ints:
        """(num_words,) number of each word's document in the batch."""
        return np.repeat(np.arange(len(self.documents) - 1), np.diff(self.documents))

    @property
    def line_of(self) -> Ints:
        """(num_words,) number of each word's line in the batch; lines without words count."""
        return np.repeat(np.arange(len(self.lines) - 1), np.diff(self.lines))

    def text(self, first: int, length: int, most_characters: int) -> str:
        """The text from one word to the end of another as it stands, cut with … where it is longer than asked.

        Args:
            first: number of the first word.
            length: words, at least 1.
            most_characters: the longest text to give.
        """
        start, end = int(self.starts[first]), int(self.ends[first + length - 1])
        text = self.data[start : min(end, start + 4 * most_characters + 4)].decode("utf-8", errors="ignore")
        return text if len(text) <= most_characters else text[: most_characters - 1] + "…"


def split_words(texts: Sequence[str]) -> Words:
    """Find the words of documents.

    Args:
        texts: a batch of documents. One byte of prose takes 11 bytes of memory while they are searched, one of one-letter words 30.

    Returns:
        Their words.

    Raises:
        UnicodeEncodeError: a text holds a lone surrogate; a `Document` never does.
    """
    encoded = [text.encode("utf-8") for text in texts]
    data = b"\n".join([*encoded, b""])
    normal = np.frombuffer((bytearray(data) + bytes(PADDING)).translate(_NORMAL), dtype=np.uint8)
    starts, ends = _boundaries(normal)
    return Words(
        data=data,
        starts=starts,
        ends=ends,
        hashes=hash_byte_spans(normal, starts, ends),
        documents=_before(starts, np.cumsum([len(text) + 1 for text in encoded], dtype=np.int64)),
        lines=_before(starts, np.flatnonzero(normal == _LINE_END)),
    )


def ngrams(words: Words, n: int) -> tuple[Hashes, NDArray[np.bool_]]:
    """The n-grams of a batch.

    Args:
        words: of the batch.
        n: words in an n-gram, 1 to 16.

    Returns:
        (max(0, num_words - n + 1),) the hash of the n words from each word on, and whether they lie in one document.
    """
    hashes = hash_ngrams(words.hashes, n)
    crossing = (words.documents[1:-1, None] - np.arange(1, n)).ravel()
    inside = np.ones(len(hashes), dtype=np.bool_)
    inside[crossing[(crossing >= 0) & (crossing < len(hashes))]] = False
    return hashes, inside


def _before(starts: Ints, ends: Ints) -> Ints:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.searchsorted(starts, ends)])


def _boundaries(normal: Bytes) -> tuple[Ints, Ints]:
    """Where words start, and where they end. Punctuation of two or three bytes is blanked in `normal`, which ends with padding."""
    _blank(normal, np.flatnonzero(normal == _LATIN_PUNCTUATION), 2)
    wide = _wide_characters(normal)
    after = wide + 3 + (normal[wide] >= _FOUR_BYTES)
    in_word = normal > _LINE_END
    starts, ends = in_word.copy(), np.zeros(len(in_word), dtype=np.bool_)
    starts[1:] = in_word[1:] > in_word[:-1]
    starts[wide] = True
    starts[after] = in_word[after]
    ends[1:] = in_word[:-1] > in_word[1:]
    ends[wide] = in_word[wide - 1]  # of the first byte's place, the padding at the end: no word
    ends[after] = True
    return np.flatnonzero(starts), np.flatnonzero(ends)


def _wide_characters(normal: Bytes) -> Ints:
    """Where the characters of three and four bytes start that are words."""
    wide = np.flatnonzero(normal >= _THREE_BYTES)
    first, second = normal[wide], normal[wide + 1]
    separates = ((first == 0xE2) & (second <= 0x81)) | ((first == 0xE3) & (second == 0x80))
    _blank(normal, wide[separates], 3)
    words: Ints = wide[~separates]
    return words


def _blank(normal: Bytes, characters: Ints, width: int) -> None:
    for place in range(width):
        normal[characters + place] = _SEPARATOR
