"""The engine of a source, chosen by documents at the beginnings of its files, and kept in `engine.json`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import xxhash

from orchestrator.corpus.documents import Document
from orchestrator.corpus.files import refuse_changed
from orchestrator.corpus.storage import SourceFile
from orchestrator.corpus.units import Unit, writing_to
from orchestrator.runs.records import read_record, write_record
from orchestrator.shards.engine_choice import choose_engine
from orchestrator.shards.engines import EngineChoice
from orchestrator.shards.vocabulary import Vocabulary

_MOST_DOCUMENTS = 200
_FEWEST_CHARACTERS, _MOST_CHARACTERS = 300_000, 2_000_000
_ONE_IN = 50  # characters are sampled, as a source of English has about as many as bytes


_OF_CHATS = EngineChoice(
    name="tokenizers", sampled_documents=0, sampled_bytes=0, reason="in conversations special tokens are parsed, which it alone does"
)


@dataclass(frozen=True, slots=True)
class _Record:
    request: str
    choice: EngineChoice


@dataclass(frozen=True, slots=True)
class EngineTask:
    """A source and the tokenizer that an engine is to be equal to."""

    source: str
    units: Sequence[Unit]
    vocabulary: Vocabulary

    @property
    def name(self) -> str:
        return f"choice of the engine for source {self.source!r}"

    @property
    def size(self) -> int:
        return 1

    @property
    def marker(self) -> Path:
        return self.units[0].directory / "engine.json"

    @property
    def request(self) -> str:
        """A hash of all that decides the choice."""
        content = ([unit.request for unit in self.units], self.vocabulary.fingerprint)
        return xxhash.xxh3_128_hexdigest(repr(content).encode())

    def completed(self) -> EngineChoice | None:
        """The choice, if it was made for the same request."""
        try:
            record = read_record(self.marker, _Record)
        except (OSError, ValueError):
            return None
        return record.choice if record.request == self.request else None


def choose_source_engine(task: EngineTask) -> EngineChoice:
    """Choose the engine of a source, and leave the choice.

    Raises:
        OrchestratorError: a file cannot be read or is not the one that was listed, or the choice cannot be written.
    """
    choice = _OF_CHATS if task.units[0].messages_field else choose_engine(task.vocabulary, sample_texts(task.units))
    with writing_to(task.marker.parent):
        write_record(task.marker, _Record(task.request, choice))
    return choice


def sample_texts(units: Sequence[Unit]) -> list[str]:
    """Up to 200 documents from the beginnings of files that are spread evenly over a source; of a large one about two million characters.

    Args:
        units: of the source.
    """
    files = [(unit, file) for unit in units for file in unit.files]
    num_files = min(len(files), _MOST_DOCUMENTS)
    characters = min(max(sum(unit.size_bytes for unit in units) // _ONE_IN, _FEWEST_CHARACTERS), _MOST_CHARACTERS)
    chosen = [files[len(files) * place // num_files] for place in range(num_files)]
    return [
        text
        for unit, file in chosen
        for text in _beginning(unit, file, num_documents=_MOST_DOCUMENTS // num_files, num_characters=characters // num_files)
    ]


def _beginning(unit: Unit, file: SourceFile, *, num_documents: int, num_characters: int) -> Iterator[str]:
    refuse_changed(file)
    items = unit.read_file(file)
    for text in islice((item.text for item in items if isinstance(item, Document)), num_documents):
        yield text
        num_characters -= len(text)
        if num_characters <= 0:
            return
