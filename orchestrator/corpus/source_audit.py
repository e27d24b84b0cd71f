"""The audits of a source's units together, and what is refused before anything is tokenised."""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.corpus.audit import Findings, merge_findings
from orchestrator.corpus.documents import Reject
from orchestrator.corpus.duplicates import ContentId
from orchestrator.corpus.rejects import Rejects
from orchestrator.corpus.unit_audit import UnitAudit
from orchestrator.corpus.units import Unit, writing_to
from orchestrator.errors import DataError
from orchestrator.runs.durable import write_whole

_FOUND = "found.jsonl"


@dataclass(frozen=True, slots=True)
class SourceAudit:
    """A source, its units in their order and the audit of each."""

    name: str
    role: str
    units: Sequence[Unit]
    audits: Sequence[UnitAudit]

    @property
    def directory(self) -> Path:
        return self.units[0].directory

    @property
    def num_read(self) -> int:
        """Documents, and all that rejects stand for."""
        return sum(audit.num_read for audit in self.audits)

    @property
    def num_trained(self) -> int:
        """Documents that are not held out."""
        return sum(audit.num_documents["train"] for audit in self.audits)

    @property
    def content(self) -> ContentId:
        """Of the documents that are not held out."""
        return sum((audit.content for audit in self.audits), start=ContentId(0, 0))

    @property
    def all_content(self) -> ContentId:
        """Of all documents."""
        return sum((audit.heldout_content for audit in self.audits), start=self.content)

    @property
    def overlaps(self) -> Findings:
        return merge_findings([audit.overlaps for audit in self.audits])

    @property
    def near_copies(self) -> Findings:
        return merge_findings([audit.near_copies for audit in self.audits])


def write_found(audit: SourceAudit) -> None:
    """Write a source's `found.jsonl`, a line for each document that overlaps an evaluation set or is a near copy of a spec document.

    Raises:
        InfrastructureError: it cannot be written.
    """
    kinds = {"evaluation_set": audit.overlaps, "spec_source": audit.near_copies}
    lines = [
        json.dumps({kind: name} | asdict(example), ensure_ascii=False) + "\n"
        for kind, findings in kinds.items()
        for name, finding in findings.items()
        for example in finding.examples
    ]
    with writing_to(audit.directory):
        write_whole(audit.directory / _FOUND, "".join(lines).encode())


def refuse_nothing_to_train(name: str, num_trained: int, rejects: Rejects) -> None:
    """Refuse a source that leaves nothing to train on.

    Raises:
        DataError: it does.
    """
    if not num_trained:
        first = f" The first of {rejects.num_rows:,} rejected: {_shown(rejects.first[:1])}." if rejects.first else ""
        raise DataError(f"source {name!r} has no tokens to train on.{first} Check sources.{name}.paths and text_field.")


def refuse_rejects(name: str, rejects: Rejects, num_read: int, *, max_share: float, listed: Path) -> None:
    """Refuse a source with too many rejects.

    Args:
        name: the source.
        rejects: of all its units.
        num_read: documents, and all that rejects stand for.
        max_share: the limit, `corpus.max_reject_share`.
        listed: the file that lists them.

    Raises:
        DataError: there are too many.
    """
    share = rejects.num_rows / num_read
    if share > max_share:
        enough = math.ceil(share * 10_000) / 10_000
        raise DataError(
            f"source {name!r}: {rejects.num_rows:,} of the {num_read:,} things read are no documents, a share of {share:.3g}, over "
            f"corpus.max_reject_share={max_share:g}. The first: {_shown(rejects.first)}. All of them: {listed}. Mend the files, or set "
            f"corpus.max_reject_share={enough:g} and prepare again, which is quick: what was done is kept."
        )


def refuse_same_content(audits: Sequence[SourceAudit]) -> None:
    """Refuse two sources that are one: it would be trained twice, under two names.

    Raises:
        DataError: two sources have the same documents to train on, in any order, or the same ones with those that are held out.
    """
    names: dict[str, str] = {}
    for audit, content in [(each, content) for each in audits for content in (each.content, each.all_content)]:
        first = names.setdefault(str(content), audit.name)
        if first != audit.name:
            raise DataError(
                f"sources {first!r} and {audit.name!r} hold the same {audit.num_trained:,} documents, which would be trained under both "
                f"names. Take one of them out, or give sources.{audit.name}.paths other files."
            )


def refuse_overlaps(audits: Sequence[SourceAudit], allowed: Collection[str]) -> None:
    """Refuse to train on what a model will be evaluated with.

    Args:
        audits: of all sources.
        allowed: evaluation sets that may overlap, `corpus.allowed_overlap`.

    Raises:
        DataError: documents to train on overlap another set.
    """
    found = [(audit, of, finding) for audit in audits for of, finding in audit.overlaps.items() if of not in allowed]
    if found:
        audit, of, finding = found[0]
        first = finding.examples[0]
        also = "".join(f" Also: {other.name!r} with {name!r}, {more.num_documents:,} documents." for other, name, more in found[1:])
        accepted = ",".join(dict.fromkeys([*allowed, *(name for _, name, _ in found)]))
        raise DataError(
            f"source {audit.name!r}: {finding.num_documents:,} of its documents overlap the evaluation set {of!r}, the first at "
            f"{first.origin}: {first.match!r}. All of them: {audit.directory / _FOUND}.{also} Take them out of the source, or accept it: "
            f"corpus.allowed_overlap=[{accepted}]"
        )


def _shown(rejects: Sequence[Reject]) -> str:
    return "; ".join(f"{reject.origin}: {reject.reason}" for reject in rejects)
