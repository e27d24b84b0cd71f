"""What a document is, its id, and which are held out. What is none is told with its file, place and reason, never skipped in silence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import xxhash


@dataclass(frozen=True, slots=True)
class Document:
    """A text, and where it came from.

    Attributes:
        id: a hash of its content.
        file: path or URL.
        place: the line (from 1) that it is or begins at, or the row of Parquet (from 0); none: it is the file.
        text: not blank.
        is_conversation: whether the text is the JSON of messages.
    """

    id: str
    file: str
    place: int | None
    text: str
    is_conversation: bool = False

    @property
    def origin(self) -> str:
        """File and place in one word."""
        return _origin(self.file, self.place)


@dataclass(frozen=True, slots=True)
class Reject:
    """Something in a file that is not a document, where, and why. File and place are those of `Document`.

    Attributes:
        num_rows: how many rows it stands for, the first of which is at its place: as many documents may have been lost.
    """

    file: str
    place: int | None
    reason: str
    num_rows: int = 1

    @property
    def origin(self) -> str:
        """File and place in one word."""
        return _origin(self.file, self.place)

    def as_record(self) -> dict[str, Any]:
        """It as a line of `rejects.jsonl`."""
        place = {"row" if self.file.endswith(".parquet") else "line": self.place}
        return {"file": self.file, **place, **({"num_rows": self.num_rows} if self.num_rows > 1 else {}), "reason": self.reason}


def _origin(file: str, place: int | None) -> str:
    return file if place is None else f"{file}:{place}"


def document_id(text: str) -> str:
    """The id of a text: xxh3-128 of its UTF-8 bytes, 32 hexadecimal digits."""
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8"))


def is_heldout(identifier: str, share: float) -> bool:
    """Whether a document is kept back: a property of its content alone, so that copies go the same way."""
    return xxhash.xxh3_64_intdigest(f"heldout/{identifier}".encode()) < share * 2.0**64


Judge = Callable[[str, int | None, Any], Document | Reject]  # of a file, a place in it, and what stands there


def judge(file: str, place: int | None, text: Any) -> Document | Reject:
    """A document of a text, if it is one."""
    if not isinstance(text, str):
        return Reject(file, place, f"the text is a {type(text).__name__}, not a string")
    if not text or text.isspace():
        return Reject(file, place, "the text is empty")
    try:
        return Document(document_id(text), file, place, text)
    except UnicodeEncodeError:
        return Reject(file, place, "the text holds a lone surrogate, which is not Unicode text")


def judge_bytes(file: str, place: int | None, data: bytes) -> Document | Reject:
    """A document of the bytes of a text, if it is one."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return Reject(file, place, f"not UTF-8: {error.reason} at byte {error.start} of the text")
    return judge(file, place, text)
