"""The engines by name, and the choice of one for a source."""

from dataclasses import dataclass
from typing import Literal

EngineName = Literal["tiktoken", "tokenizers"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineChoice:
    """The engine for a source, and what it rests on.

    Attributes:
        name: `tiktoken` or `tokenizers`.
        sampled_documents, sampled_bytes: what both engines encoded of the source; bytes of UTF-8.
        reason: why it was chosen.
    """

    name: EngineName
    sampled_documents: int
    sampled_bytes: int
    reason: str
