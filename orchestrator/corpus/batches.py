"""Batches of a quarter of a megabyte of text: large enough that arrays pay, small enough that they stay in a processor's cache."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from orchestrator.corpus.documents import Document, Reject

BATCH_CHARACTERS = 1 << 18
Item = TypeVar("Item")


def in_batches(items: Iterable[Item], characters: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Group items in their order; a batch is full with the item that takes it to BATCH_CHARACTERS, so a larger item is never split.

    Args:
        items: to group.
        characters: the length of an item.

    Yields:
        Lists of at least one item that hold every item once.
    """
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += characters(item)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def document_batches(items: Iterable[Document | Reject]) -> Iterator[list[Document | Reject]]:
    """Group what a file holds into batches of about a quarter of a megabyte of text."""
    return in_batches(items, lambda item: len(item.text if isinstance(item, Document) else item.origin))


def count_rows(items: Iterable[Document | Reject]) -> int:
    """How many things a file holds: a document is one, a reject as many as it stands for."""
    return sum(item.num_rows if isinstance(item, Reject) else 1 for item in items)


def accepted(items: Sequence[Document | Reject]) -> list[Document]:
    """The documents among what a file holds."""
    return [item for item in items if isinstance(item, Document)]
