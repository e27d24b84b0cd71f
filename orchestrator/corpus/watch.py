"""What sources are watched for: evaluation sets read from their files, and spec documents; and a fingerprint that needs neither read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from itertools import chain

import xxhash

from orchestrator.corpus.documents import Reject
from orchestrator.corpus.files import list_files, refuse_changed
from orchestrator.corpus.near_copies import BAND_ROWS, BANDS, NUM_PERM, SHINGLE_WORDS, THRESHOLD, NearCopyIndex, index_spec_documents
from orchestrator.corpus.overlap import FEWEST_LINE_WORDS, NGRAM_WORDS, OverlapIndex, index_evaluation_sets
from orchestrator.corpus.reading import read_documents
from orchestrator.corpus.storage import SourceFile
from orchestrator.corpus.units import Unit
from orchestrator.corpus.words import RULES
from orchestrator.errors import DataError

_TEXT_FIELD = "text"
_METHOD = ("contents of messages", RULES, NGRAM_WORDS, FEWEST_LINE_WORDS, SHINGLE_WORDS, THRESHOLD, NUM_PERM, BANDS, BAND_ROWS)
EvaluationFiles = Mapping[str, Sequence[SourceFile]]


def list_evaluation_sets(sets: Mapping[str, Sequence[str]]) -> dict[str, list[SourceFile]]:
    """The files of each evaluation set, as they are now.

    Raises:
        OrchestratorError: files are missing or empty, or cannot be reached.
    """
    return {name: list_files(name, paths, "evaluation set") for name, paths in sets.items()}


def index_evaluation_files(files: EvaluationFiles) -> OverlapIndex:
    """Read evaluation sets.

    Args:
        files: by evaluation set.

    Raises:
        OrchestratorError: a file cannot be read or has changed, or an item is no document.
    """
    return index_evaluation_sets({name: _items(name, of_set) for name, of_set in files.items()})


def index_spec_units(units: Mapping[str, Sequence[Unit]]) -> NearCopyIndex:
    """Read spec documents.

    Args:
        units: by spec source.

    Raises:
        OrchestratorError: a file cannot be read or has changed.
    """
    return index_spec_documents({name: chain.from_iterable(unit.read() for unit in of_source) for name, of_source in units.items()})


def watch_fingerprint(evaluation_files: EvaluationFiles, spec_documents: Mapping[str, Sequence[str]]) -> str:
    """A hash of what is looked for and how; audits of the same documents with the same one are equal.

    Args:
        evaluation_files: by evaluation set.
        spec_documents: by spec source a hash of each unit's documents.
    """
    files = sorted((name, [astuple(file) for file in files]) for name, files in evaluation_files.items())
    documents = sorted((name, list(hashes)) for name, hashes in spec_documents.items())
    return xxhash.xxh3_128_hexdigest(repr((_METHOD, files, documents)).encode())


def _items(name: str, files: Sequence[SourceFile]) -> Iterator[str]:
    for file in files:
        refuse_changed(file)
        for item in read_documents(file.path, text_field=_TEXT_FIELD, markdown="file"):
            if isinstance(item, Reject):
                raise DataError(
                    f"evaluation set {name!r}: {item.origin} cannot be looked for: {item.reason}. Mend it, or take it out of "
                    f"corpus.evaluation_sets.{name}; items are documents as those of sources, text_field {_TEXT_FIELD!r}."
                )
            yield item.text
