"""The list of a shard's documents, which lies beside it: written as they come, and read."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from orchestrator.errors import ShardError
from orchestrator.runs.durable import writing_whole
from orchestrator.shards.manifest import Shard
from orchestrator.shards.mapped import marker_of

if TYPE_CHECKING:
    from pyarrow import Table
    from pyarrow.parquet import ParquetWriter

_GROUP_ROWS = 1 << 14  # about 4 MB of Python's objects


class DocumentListWriter:
    """Lists documents, a row group as soon as there are enough of them; without `finish` there is no list."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: of the list.
        """
        self._path = path
        self._stack = ExitStack()
        self._opened: tuple[BinaryIO, ParquetWriter] | None = None
        self._columns = _no_rows()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._opened:
            self._opened[1].is_open = False  # or it would write the end of a list that is given up
        self._stack.__exit__(kind, error, trace)

    def add(self, ids: Sequence[str], origins: Sequence[str], starts: Sequence[int], lengths: Sequence[int]) -> None:
        """List the documents that follow: of each its id, its origin, its first token in the shard, and its tokens, separator included."""
        for held, more in zip(self._columns.values(), (ids, origins, starts, lengths), strict=True):
            held += more
        if len(self._columns["id"]) >= _GROUP_ROWS:
            self._write_group()

    def finish(self) -> int:
        """Make the list durable.

        Returns:
            Its size in bytes.
        """
        if self._columns["id"] or not self._opened:
            self._write_group()
        assert self._opened
        file, writer = self._opened
        writer.close()
        size_bytes = file.tell()
        self._stack.close()
        return size_bytes

    def _write_group(self) -> None:
        import pyarrow
        from pyarrow import parquet

        types = {"id": pyarrow.string(), "origin": pyarrow.string(), "start": pyarrow.int64(), "tokens": pyarrow.int64()}
        table = pyarrow.table(self._columns, pyarrow.schema(types))
        if not self._opened:
            file = self._stack.enter_context(writing_whole(self._path))
            self._opened = file, parquet.ParquetWriter(file, table.schema, write_page_checksum=True)
        self._opened[1].write_table(table)
        self._columns = _no_rows()


def _no_rows() -> dict[str, list[Any]]:
    return {"id": [], "origin": [], "start": [], "tokens": []}


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
