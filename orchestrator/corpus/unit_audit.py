"""One unit audited: its documents read and given ids, its rejects, and what is found in what would be trained. The marker comes last."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from orchestrator.corpus.audit import Findings, Found, Watch, audit, merge
from orchestrator.corpus.batches import document_batches
from orchestrator.corpus.documents import Document, Reject
from orchestrator.corpus.duplicates import ContentId, Ids, content_id, parse_ids, write_ids
from orchestrator.corpus.overlap import EvaluationSet
from orchestrator.corpus.rejects import Rejects, RejectWriter, rejects_file
from orchestrator.corpus.units import SPLITS, Split, Unit, writing_to
from orchestrator.runs.records import read_record, write_record


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitAudit:
    """What the audit of a unit found.

    Attributes:
        request: a hash of all that decides the result; another request is other work.
        num_documents: of each split, without what was rejected.
        rejects: what was no document.
        content: of the documents that would be trained.
        heldout_content: of those that are held out.
        documents: a hash of all documents in their order.
        evaluation_sets: those that were looked for.
        overlaps, near_copies: what was found among the documents that would be trained.
    """

    request: str
    num_documents: dict[Split, int]
    rejects: Rejects
    content: ContentId
    heldout_content: ContentId
    documents: str
    evaluation_sets: tuple[EvaluationSet, ...]
    overlaps: Findings
    near_copies: Findings

    @property
    def num_read(self) -> int:
        """What was read: documents, and all that the rejects stand for."""
        return sum(self.num_documents.values()) + self.rejects.num_rows


@dataclass(frozen=True, slots=True)
class AuditTask:
    """A unit, and a fingerprint of what to look for in it."""

    unit: Unit
    watch_fingerprint: str

    @property
    def name(self) -> str:
        return f"audit of {self.unit.files[0].path}"

    @property
    def size(self) -> int:
        return self.unit.size_bytes

    @property
    def marker(self) -> Path:
        """The file that says that the audit is complete."""
        return self.unit.result("audit", ".json")

    @property
    def request(self) -> str:
        """A hash of all but the place; the tokenizer has no part in it."""
        return f"{self.unit.request}-{self.watch_fingerprint}"

    def completed(self) -> UnitAudit | None:
        """The result, if the audit was completed for the same request."""
        try:
            found = read_record(self.marker, UnitAudit)
        except (OSError, ValueError):
            return None
        files_there = all(ids_file(self.unit, split).is_file() for split in SPLITS if found.num_documents[split])
        files_there = files_there and found.rejects.are_written(rejects_file(self.unit, "audit"))
        return found if found.request == self.request and files_there else None


def ids_file(unit: Unit, split: Split) -> Path:
    """Where the ids of a unit's documents of a split are; a split without documents has none."""
    return unit.result("audit", f".{split}.npy")


def audit_unit(task: AuditTask, watch: Watch) -> UnitAudit:
    """Audit a unit, and leave its ids and its marker.

    Args:
        task: the unit.
        watch: what its fingerprint says.

    Raises:
        OrchestratorError: a file cannot be read or is not the one that was listed, or the result cannot be written.
    """
    with writing_to(task.unit.directory):
        task.marker.unlink(missing_ok=True)  # it speaks of what is replaced now
        result = _audit(task, watch)
        write_record(task.marker, result)
    return result


def _audit(task: AuditTask, watch: Watch) -> UnitAudit:
    ids: dict[Split, list[Ids]] = {split: [parse_ids([])] for split in SPLITS}
    found: list[Found] = []
    with RejectWriter(rejects_file(task.unit, "audit")) as writer:
        for batch in document_batches(task.unit.read()):
            writer.add([item for item in batch if isinstance(item, Reject)])
            documents = _by_split(task.unit, batch)
            found.append(audit(documents["train"], watch))
            for split in SPLITS:
                ids[split].append(parse_ids([document.id for document in documents[split]]))
        rejects = writer.finish()
    joined = {split: np.concatenate(ids[split]) for split in SPLITS}
    for split in SPLITS:
        if len(joined[split]):
            write_ids(ids_file(task.unit, split), joined[split])
    return _result(task, rejects, joined, merge(found), watch.evaluation.sets)


def _by_split(unit: Unit, batch: list[Document | Reject]) -> dict[Split, list[Document]]:
    parted: dict[Split, list[Document]] = {split: [] for split in SPLITS}
    for item in batch:
        if isinstance(item, Document):
            parted[unit.split_of(item)].append(item)
    return parted


def _result(
    task: AuditTask, rejects: Rejects, ids: dict[Split, Ids], found: Found, evaluation_sets: tuple[EvaluationSet, ...]
) -> UnitAudit:
    digest = xxhash.xxh3_128()
    for split in SPLITS:
        digest.update(ids[split].tobytes())
    return UnitAudit(
        request=task.request,
        num_documents={split: len(ids[split]) for split in SPLITS},
        rejects=rejects,
        content=content_id(ids["train"]),
        heldout_content=content_id(ids["heldout"]),
        documents=digest.hexdigest(),
        evaluation_sets=evaluation_sets,
        overlaps=found.overlaps,
        near_copies=found.near_copies,
    )
