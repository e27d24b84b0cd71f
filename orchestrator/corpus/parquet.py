"""Documents out of one column of Parquet, as a stream: neither the file nor one of its row groups need fit into memory."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.corpus.documents import Document, Judge, Reject, judge, judge_bytes

if TYPE_CHECKING:
    from pyarrow import Array, Scalar
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

    Yields:
        A document or a reject a row; where rows cannot be told apart, one reject for all of them, which knows how many they are.
    """
    import pyarrow
    from pyarrow import parquet

    num_rows = 1  # as long as the file does not say how many there are
    try:
        with parquet.ParquetFile(file, buffer_size=_READ_BYTES, pre_buffer=False) as opened:
            num_rows = max(1, opened.metadata.num_rows)
            if field in opened.schema_arrow.names:
                yield from _from_groups(path, opened, field, judged)
            else:
                yield Reject(path, None, f"no column {field!r}; columns: {', '.join(opened.schema_arrow.names)}", num_rows)
    except MemoryError:  # Arrow's is also an exception of its own
        raise
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:  # not of the disk or network: `file` reports those
        yield Reject(path, None, f"not readable as Parquet: {error}", num_rows)


def _from_groups(path: str, opened: "ParquetFile", field: str, judged: Judge) -> Iterator[Document | Reject]:
    """Row group by row group: what breaks in one takes the rest of it, and nothing of the others."""
    row = 0
    for index in range(opened.metadata.num_row_groups):
        end = row + opened.metadata.row_group(index).num_rows
        fault = "its column ends there"
        for read in _columns(opened, index, field):
            if isinstance(read, Exception):
                fault = str(read)
                break
            yield from _from_column(path, row, read, judged)
            row += len(read)
        if row < end:
            yield Reject(path, row, f"not readable as Parquet up to row {end - 1}, the last of its row group: {fault}", end - row)
        row = max(row, end)


def _columns(opened: "ParquetFile", index: int, field: str) -> Iterator["Array | Exception"]:
    """The column in a row group, in batches, up to its end or to what is wrong with it."""
    import pyarrow

    group = opened.metadata.row_group(index)
    row_bytes = group.total_byte_size // max(1, group.num_rows)
    rows_at_once = min(_BATCH_ROWS, max(1, _BATCH_BYTES // max(1, row_bytes)))
    try:
        for batch in opened.iter_batches(batch_size=rows_at_once, row_groups=[index], columns=[field], use_threads=False):
            yield batch.column(0)
    except MemoryError:
        raise
    except (OSError, pyarrow.ArrowException) as error:
        yield error


def _from_column(path: str, first_row: int, column: "Array", judged: Judge) -> Iterator[Document | Reject]:
    """Strings are decoded one by one, so that one that is not UTF-8 does not take its neighbours with it."""
    import pyarrow

    if judged is judge and (pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)):
        for row, data in enumerate(column.cast(pyarrow.large_binary()).to_pylist(), first_row):
            yield judge(path, row, None) if data is None else judge_bytes(path, row, data)
        return
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError, LookupError):
        for row, scalar in enumerate(column, first_row):
            yield _from_scalar(path, row, scalar, judged)
    else:
        for row, value in enumerate(values, first_row):
            yield judged(path, row, value)


def _from_scalar(path: str, row: int, scalar: "Scalar", judged: Judge) -> Document | Reject:
    """Of a row whose batch holds something that Python has no value for: bytes in a string, a date far away, an unknown time zone."""
    try:
        value = scalar.as_py()
    except UnicodeDecodeError as error:
        return Reject(path, row, f"not UTF-8: {error.reason} at byte {error.start} of a string in it")
    except (ValueError, OverflowError, LookupError) as error:
        return Reject(path, row, f"not readable: {error}")
    return judged(path, row, value)
