"""General documents that are near copies of spec documents: hidden, they make the trained ratio another than the planned one.

Two documents are near copies when the Jaccard similarity of their sets of 5-word shingles, estimated by MinHash (Broder, "On the
resemblance and containment of documents", SEQUENCES 1997), is at least THRESHOLD; a document with fewer than five words has one shingle,
all of it. MinHash is too slow for all general text, so shingles are counted first: two sets that share at least t of all that is in either
share at least t of each, so a share t of the document's own distinct shingles is among the spec's. A bitmap of all the spec's shingles
errs only in letting more documents through.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.corpus.batches import accepted, document_batches
from orchestrator.corpus.bitmap import Bitmap, make_bitmap
from orchestrator.corpus.conversations import searched_text
from orchestrator.corpus.documents import Document, Reject
from orchestrator.corpus.duplicates import Ids, format_id, parse_ids
from orchestrator.corpus.hashes import Hashes, Ints, hash_runs, mix, places
from orchestrator.corpus.words import Words, ngrams, split_words

SHINGLE_WORDS = 5
THRESHOLD = 0.7  # FineWeb (arXiv 2406.17557) looks for documents that are at least 75% similar; here a miss costs more than a look
NUM_PERM = 128  # the estimate's standard deviation is sqrt(J (1 - J) / NUM_PERM): 0.04 at the threshold
BANDS, BAND_ROWS = 32, 4  # a pair at the threshold is a candidate with probability 1 - (1 - 0.7^4)^32 = 0.9998
_BITS_PER_HASH = 8
_SHINGLES_AT_ONCE = 1 << 13
Signatures = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class NearCopyIndex:
    """The spec documents that others are compared with.

    Attributes:
        source_names: the spec sources, sorted.
        source_of: (n,) number of each document's source.
        ids: (n, 2) its id.
        signatures: (n, NUM_PERM) its MinHash.
        band_hashes: (n * BANDS,) of BAND_ROWS values in a row of a signature, and of where; sorted.
        band_documents: (n * BANDS,) number of the document of each.
        shingles: of all the documents.
    """

    source_names: tuple[str, ...]
    source_of: Ints
    ids: Ids
    signatures: Signatures
    band_hashes: Hashes
    band_documents: Ints
    shingles: Bitmap


@dataclass(frozen=True, slots=True)
class NearCopy:
    """A document that is a near copy of a spec document.

    Attributes:
        document: its number in the batch.
        spec_source: the spec source.
        spec_id: the most similar document of that source; of several, the first.
        jaccard: their estimated similarity.
    """

    document: int
    spec_source: str
    spec_id: str
    jaccard: float


def index_spec_documents(documents: Mapping[str, Iterable[Document | Reject]]) -> NearCopyIndex:
    """Index spec documents. While it is made, 8 bytes for each shingle are held; afterwards 1 to 2, and 1,048 for each document.

    Args:
        documents: of each spec source; one without a word is left out.
    """
    names = tuple(sorted(documents))
    source_of, ids = [], []
    shingles, signatures = [np.zeros(0, dtype=np.uint64)], [np.zeros((0, NUM_PERM), dtype=np.uint32)]
    for number, name in enumerate(names):
        for batch in map(accepted, document_batches(documents[name])):
            hashes, starts = distinct_shingles(split_words([searched_text(document) for document in batch]))
            present = np.flatnonzero(np.diff(starts)).tolist()
            ids += [batch[document].id for document in present]
            source_of += [number] * len(present)
            signatures += [sign(hashes[starts[document] : starts[document + 1]])[None] for document in present]
            shingles.append(hashes)
    together = np.concatenate(signatures)
    bands = _hash_bands(together).ravel()
    order = np.argsort(bands, kind="stable")
    return NearCopyIndex(
        source_names=names,
        source_of=np.array(source_of, dtype=np.int64),
        ids=parse_ids(ids),
        signatures=together,
        band_hashes=bands[order],
        band_documents=order // BANDS,
        shingles=make_bitmap(np.concatenate(shingles), _BITS_PER_HASH),
    )


def find_near_copies(words: Words, index: NearCopyIndex) -> list[NearCopy]:
    """Find the documents of a batch that are near copies of spec documents.

    Args:
        words: of the batch.
        index: the spec documents.

    Returns:
        One for each document and spec source with a document that it is near, by document, then by source.
    """
    if not len(index.ids):
        return []
    hashes, starts = distinct_shingles(words)
    candidates = np.flatnonzero(_may_be_near(hashes, starts, index.shingles)).tolist()
    return [
        copy for document in candidates for copy in _most_similar(document, sign(hashes[starts[document] : starts[document + 1]]), index)
    ]


def distinct_shingles(words: Words) -> tuple[Hashes, Ints]:
    """The set of shingles of each document.

    Args:
        words: of a batch.

    Returns:
        (num_shingles,) the leading bits of the hashes, at least 34 of 64 and the others 0, sorted within each document, and
        (num_documents + 1,) shingles before each document, and in all.
    """
    hashes, inside = ngrams(words, SHINGLE_WORDS)
    num_words = np.diff(words.documents)
    short = np.flatnonzero((num_words > 0) & (num_words < SHINGLE_WORDS))
    documents = np.concatenate([words.document_of[: len(hashes)][inside], short])
    hashes = np.concatenate([hashes[inside], hash_runs(words.hashes, words.documents[short], num_words[short])])
    document_bits = np.uint64(len(num_words).bit_length())
    keys = (documents.astype(np.uint64) << (np.uint64(64) - document_bits)) | (hashes >> document_bits)
    keys.sort()
    keys = keys[np.concatenate([np.ones(min(1, len(keys)), dtype=np.bool_), keys[1:] != keys[:-1]])]
    numbers = np.arange(len(num_words) + 1, dtype=np.uint64)
    return keys << document_bits, np.searchsorted(keys, numbers << (np.uint64(64) - document_bits))


def _may_be_near(hashes: Hashes, starts: Ints, shingles: Bitmap) -> NDArray[np.bool_]:
    """(num_documents,) whether so many of a document's shingles are the spec's that its similarity may reach the threshold."""
    found = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(shingles.might_hold(hashes))])
    counts = np.diff(starts)
    return (counts > 0) & (np.diff(found[starts]) >= THRESHOLD * counts - 1e-6)  # the product may be rounded up


def sign(hashes: Hashes) -> Signatures:
    """The MinHash of a set of shingles.

    Args:
        hashes: (num_shingles,), at least one; their leading 32 bits are used.

    Returns:
        (NUM_PERM,) the smallest hash under each permutation.
    """
    minhash = _empty_minhash().copy()
    for start in range(0, len(hashes), _SHINGLES_AT_ONCE):
        minhash.update_batch((hashes[start : start + _SHINGLES_AT_ONCE] >> np.uint64(32)).tolist())
    signature: Signatures = minhash.hashvalues
    return signature


@cache
def _empty_minhash() -> Any:
    from datasketch import MinHash

    return MinHash(num_perm=NUM_PERM, seed=1, hashfunc=int, scheme="affine32")


def _hash_bands(signatures: Signatures) -> Hashes:
    """(n, BANDS) hashes of the bands of signatures (n, NUM_PERM)."""
    pairs: Hashes = np.ascontiguousarray(signatures).view(np.uint64).reshape(len(signatures), BANDS, BAND_ROWS // 2)
    numbers: Hashes = np.arange(BANDS, dtype=np.uint64)
    return mix(mix(pairs[:, :, 0] + numbers) + pairs[:, :, 1])


def _candidates(signature: Signatures, index: NearCopyIndex) -> Ints:
    """The spec documents that have a band of the signature, in order."""
    bands = _hash_bands(signature[None])[0]
    left, right = (np.searchsorted(index.band_hashes, bands, side=side) for side in ("left", "right"))
    owners, positions = places(right - left)
    return np.unique(index.band_documents[left[owners] + positions])


def _most_similar(document: int, signature: Signatures, index: NearCopyIndex) -> Iterator[NearCopy]:
    rows = _candidates(signature, index)
    similarities = (index.signatures[rows] == signature).mean(axis=1)
    for number, name in enumerate(index.source_names):
        of_source = np.flatnonzero((index.source_of[rows] == number) & (similarities >= THRESHOLD))
        if len(of_source):
            best = of_source[np.argmax(similarities[of_source])]
            yield NearCopy(document, name, format_id(index.ids[rows[best]]), float(similarities[best]))
