"""What documents hold that is elsewhere too: overlap with evaluation sets, and near copies of spec documents."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from orchestrator.corpus.conversations import searched_text
from orchestrator.corpus.documents import Document
from orchestrator.corpus.near_copies import NearCopyIndex, find_near_copies
from orchestrator.corpus.overlap import OverlapIndex, find_overlaps
from orchestrator.corpus.words import split_words

MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Watch:
    """What to look for in documents.

    Attributes:
        evaluation: 13-grams and short lines of evaluation sets.
        spec: spec documents, of which there may be near copies.
    """

    evaluation: OverlapIndex
    spec: NearCopyIndex

    @property
    def is_empty(self) -> bool:
        return not len(self.evaluation.hashes) and not len(self.spec.ids)


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
    """How many documents were found, their words in all, and which they are."""

    num_documents: int
    num_words: int
    examples: tuple[Example, ...]


Findings = dict[str, Finding]  # by name


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in documents.

    Attributes:
        overlaps: by evaluation set; one without any is left out.
        near_copies: by spec source; one without any is left out.
    """

    overlaps: Findings
    near_copies: Findings


def audit(documents: Sequence[Document], watch: Watch) -> Found:
    """Look for what is watched for in a batch of documents; how documents are batched does not change what `merge` makes of it.

    Args:
        documents: about a quarter of a megabyte of text, as `document_batches` makes them.
        watch: what to look for; an empty one costs nothing.
    """
    if watch.is_empty:
        return Found({}, {})
    words = split_words([searched_text(document) for document in documents])
    num_words = [after - before for before, after in pairwise(words.documents.tolist())]
    overlaps = ((o.set_name, o.document, o.text, 1.0) for o in find_overlaps(words, watch.evaluation))
    copies = ((c.spec_source, c.document, c.spec_id, c.jaccard) for c in find_near_copies(words, watch.spec))
    return Found(_findings(overlaps, documents, num_words), _findings(copies, documents, num_words))


def merge(parts: Sequence[Found]) -> Found:
    """What was found in several batches one after another."""
    return Found(merge_findings([part.overlaps for part in parts]), merge_findings([part.near_copies for part in parts]))


def merge_findings(parts: Sequence[Mapping[str, Finding]]) -> Findings:
    """Findings of several batches one after another, by name in alphabetical order."""
    names = sorted({name for part in parts for name in part})
    found = {name: [part[name] for part in parts if name in part] for name in names}
    return {
        name: Finding(
            num_documents=sum(finding.num_documents for finding in findings),
            num_words=sum(finding.num_words for finding in findings),
            examples=tuple(chain.from_iterable(finding.examples for finding in findings)),
        )
        for name, findings in found.items()
    }


def shorten(findings: Mapping[str, Finding]) -> Findings:
    """The findings with the first MOST_EXAMPLES examples."""
    return {name: replace(finding, examples=finding.examples[:MOST_EXAMPLES]) for name, finding in findings.items()}


def _findings(found: Iterable[tuple[str, int, str, float]], documents: Sequence[Document], num_words: Sequence[int]) -> Findings:
    return merge_findings(
        [
            {name: Finding(1, num_words[number], (Example(documents[number].id, documents[number].origin, match, similarity),))}
            for name, number, match, similarity in found
        ]
    )
