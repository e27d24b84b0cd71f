"""What a stream of documents holds that is elsewhere too: its ids, its overlap with evaluation sets, its near copies of spec documents."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xxhash

from orchestrator.corpus.batches import accepted
from orchestrator.corpus.documents import Document, Reject
from orchestrator.corpus.duplicates import Ids, parse_ids
from orchestrator.corpus.near_copies import NearCopyIndex, find_near_copies, hash_near_copy_index, index_spec_documents
from orchestrator.corpus.overlap import OverlapIndex, find_overlaps, hash_overlap_index, index_evaluation_sets
from orchestrator.corpus.words import RULES, split_words

MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Watch:
    """What to look for in a stream of documents.

    Attributes:
        evaluation: 13-grams and short lines of evaluation sets.
        spec: spec documents, of which there may be near copies.
        fingerprint: a hash of both and of the rules; audits with the same one of the same documents are equal.
    """

    evaluation: OverlapIndex
    spec: NearCopyIndex
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Example:
    """A document that was found.

    Attributes:
        id, origin: the document's.
        match: the text that an evaluation set has too, or the id of the spec document that it is a near copy of.
        similarity: the estimated Jaccard similarity to that document; 1 for a text.
    """

    id: str
    origin: str
    match: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Finding:
    """How many documents were found, their UTF-8 bytes in all, and the first MOST_EXAMPLES of them."""

    num_documents: int
    text_bytes: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditResult:
    """What was found in a stream of documents.

    Attributes:
        num_documents: without what was rejected.
        text_bytes: of their UTF-8.
        ids: (num_documents, 2) in the order of the stream.
        overlaps: by evaluation set; one without any is left out.
        near_copies: by spec source; one without any is left out.
    """

    num_documents: int
    text_bytes: int
    ids: Ids
    overlaps: dict[str, Finding]
    near_copies: dict[str, Finding]


def build_watch(spec_documents: Mapping[str, Iterable[Document | Reject]], evaluation_items: Mapping[str, Iterable[str]]) -> Watch:
    """Prepare what to look for. It does not depend on the order of the names, only on that of each one's documents.

    Args:
        spec_documents: by spec source; leave it empty to audit a spec source itself.
        evaluation_items: texts by evaluation set.
    """
    evaluation, spec = index_evaluation_sets(evaluation_items), index_spec_documents(spec_documents)
    content = "/".join([RULES, str(MOST_EXAMPLES), hash_overlap_index(evaluation), hash_near_copy_index(spec)])
    return Watch(evaluation, spec, xxhash.xxh3_128_hexdigest(content.encode()))


def audit(batches: Iterable[Sequence[Document | Reject]], watch: Watch) -> AuditResult:
    """Audit a stream of documents.

    Args:
        batches: of about a quarter of a megabyte of text, as `document_batches` makes them; their sizes do not change the result.
        watch: what to look for.
    """
    return merge([audit_batch(batch, watch) for batch in batches])


def audit_batch(items: Sequence[Document | Reject], watch: Watch) -> AuditResult:
    """Audit one batch, for a caller that has other use for its documents too; `merge` the results."""
    documents = accepted(items)
    words = split_words([document.text for document in documents])
    overlaps = ((o.set_name, o.document, o.text, 1.0) for o in find_overlaps(words, watch.evaluation))
    copies = ((c.spec_source, c.document, c.spec_id, c.jaccard) for c in find_near_copies(words, watch.spec))
    return AuditResult(
        num_documents=len(documents),
        text_bytes=len(words.data) - len(documents),
        ids=parse_ids([document.id for document in documents]),
        overlaps=_findings(overlaps, documents),
        near_copies=_findings(copies, documents),
    )


def merge(results: Iterable[AuditResult]) -> AuditResult:
    """The audit of several streams one after another."""
    parts = list(results)
    return AuditResult(
        num_documents=sum(part.num_documents for part in parts),
        text_bytes=sum(part.text_bytes for part in parts),
        ids=np.concatenate([parse_ids([]), *(part.ids for part in parts)]),
        overlaps=_merge(part.overlaps for part in parts),
        near_copies=_merge(part.near_copies for part in parts),
    )


def audit_as_json(result: AuditResult) -> dict[str, Any]:
    """An audit without its ids, which `duplicates.write_ids` keeps, as what JSON can hold."""
    findings = {
        kind: {name: asdict(finding) for name, finding in found.items()}
        for kind, found in (("overlaps", result.overlaps), ("near_copies", result.near_copies))
    }
    return {"num_documents": result.num_documents, "text_bytes": result.text_bytes} | findings


def audit_from_json(content: Mapping[str, Any], ids: Ids) -> AuditResult:
    """The audit that `audit_as_json` was given, from what it gave and the ids (num_documents, 2)."""
    overlaps, near_copies = (
        {
            name: Finding(**(found | {"examples": tuple(Example(**example) for example in found["examples"])}))
            for name, found in kind.items()
        }
        for kind in (content["overlaps"], content["near_copies"])
    )
    numbers = {name: content[name] for name in ("num_documents", "text_bytes")}
    return AuditResult(**numbers, ids=ids, overlaps=overlaps, near_copies=near_copies)


def _findings(found: Iterable[tuple[str, int, str, float]], documents: Sequence[Document]) -> dict[str, Finding]:
    findings: dict[str, Finding] = {}
    for name, number, match, similarity in found:
        document = documents[number]
        example = Example(document.id, document.origin, match, similarity)
        findings[name] = _sum(findings.get(name, _NONE), Finding(1, len(document.text.encode()), (example,)))
    return findings


def _merge(parts: Iterable[dict[str, Finding]]) -> dict[str, Finding]:
    merged: dict[str, Finding] = {}
    for part in parts:
        for name, finding in part.items():
            merged[name] = _sum(merged.get(name, _NONE), finding)
    return dict(sorted(merged.items()))


def _sum(one: Finding, other: Finding) -> Finding:
    examples = (*one.examples, *other.examples)[:MOST_EXAMPLES]
    return Finding(one.num_documents + other.num_documents, one.text_bytes + other.text_bytes, examples)


_NONE = Finding(0, 0, ())
