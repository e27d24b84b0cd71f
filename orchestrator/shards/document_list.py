"""The list of a shard's documents, which lies beside it: written, and read."""

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ShardError
from orchestrator.runs.durable import writing_whole
from orchestrator.shards.manifest import Shard
from orchestrator.shards.mapped import marker_of

if TYPE_CHECKING:
    from pyarrow import Table


def write_document_list(path: Path, table: "Table") -> int:
    """Write a list, whole or not at all.

    Returns:
        Its size in bytes.

    Raises:
        OSError: it cannot be written.
    """
    from pyarrow import parquet

    with writing_whole(path) as file:
        parquet.write_table(table, file, write_page_checksum=True)
        return file.tell()


def read_document_list(directory: Path, shard: Shard, columns: list[str] | None = None, document_id: str | None = None) -> "Table":
    """Read the list of a shard's documents.

    Args:
        directory: of the source.
        shard: one of its shards.
        columns: of `id`, `origin`, `start` and `tokens`; none: all.
        document_id: the document whose rows are wanted; none: those of all.

    Returns:
        A row a document, in their order.

    Raises:
        ShardError: the list is missing or damaged.
    """
    import pyarrow
    from pyarrow import compute, parquet

    path = directory / shard.documents_file
    rows = None if document_id is None else compute.field("id") == pyarrow.scalar(document_id)
    try:
        if (size_bytes := path.stat().st_size) != (shard.documents_bytes or size_bytes):
            raise OSError(f"it has {size_bytes:,} bytes, its manifest says {shard.documents_bytes:,}")
        return parquet.read_table(path, columns=columns, filters=rows, page_checksum_verification=True)
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise ShardError(
            f"{path} cannot be read ({error}). "
            f"Restore it, or delete its unit marker, {marker_of(str(path))}, and run `midtrain prepare` again."
        ) from None
