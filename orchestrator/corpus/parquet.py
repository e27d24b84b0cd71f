"""Documents out of one column of Parquet, as a stream: neither the file nor one of its row groups need fit into memory."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.corpus.documents import Document, Judge, Reject, judge, judge_bytes

if TYPE_CHECKING:
    from pyarrow import Array
    from pyarrow.parquet import ParquetFile

_READ_BYTES = 8 << 20  # of one column chunk at once
_BATCH_BYTES = 4 << 20
_BATCH_ROWS = 1024


def from_parquet(path: str, file: io.RawIOBase, field: str, judged: Judge = judge) -> Iterator[Document | Reject]:
    """The document of each row. Of the other columns nothing is read, whatever they are.

    Args:
        path: of the file.
        file: opened.
        field: the column.
        judged: makes a document of what a row has there.
    """
    import pyarrow
    from pyarrow import parquet

    row = 0
    try:
        with parquet.ParquetFile(file, buffer_size=_READ_BYTES, pre_buffer=False) as opened:
            if field not in opened.schema_arrow.names:
                yield Reject(path, None, f"no column {field!r}; columns: {', '.join(opened.schema_arrow.names)}")
                return
            for batch in opened.iter_batches(batch_size=_rows_at_once(opened), columns=[field], use_threads=False):
                for item in _from_column(path, row, batch.column(0), judged):
                    yield item
                    row += 1
    except MemoryError:  # Arrow's is also an exception of its own
        raise
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:  # not of the disk or network: `file` reports those
        yield Reject(path, row or None, f"not readable as Parquet: {error}")


def _rows_at_once(opened: "ParquetFile") -> int:
    """So many that they come to about `_BATCH_BYTES`, in the row group with the longest."""
    groups = [opened.metadata.row_group(index) for index in range(opened.metadata.num_row_groups)]
    row_bytes = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=1)
    return int(min(_BATCH_ROWS, max(1, _BATCH_BYTES // max(1, row_bytes))))


def _from_column(path: str, first_row: int, column: "Array", judged: Judge) -> Iterator[Document | Reject]:
    """Strings are decoded one by one, so that one that is not UTF-8 does not take its neighbours with it."""
    import pyarrow

    is_text = judged is judge and (pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type))
    values = (column.cast(pyarrow.large_binary()) if is_text else column).to_pylist()
    for row, value in enumerate(values, first_row):
        yield judge_bytes(path, row, value) if isinstance(value, bytes) and is_text else judged(path, row, value)
