"""Dataclasses as JSON files: written whole or not at all, and read back as they were or not at all."""

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from orchestrator.runs.durable import write_whole

Record = TypeVar("Record")


def write_record(path: Path, record: Any) -> None:
    """Write a dataclass.

    Args:
        path: where.
        record: its fields are of JSON's types, or tuples or dataclasses of these.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    write_whole(path, _adapter(type(record)).dump_json(record, indent=2) + b"\n")  # type: ignore[arg-type]


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a dataclass that `write_record` wrote.

    Raises:
        OSError: there is none.
        ValueError: it lacks a field that has no default, has another one, or one of another type.
    """
    try:
        record: Record = _adapter(kind).validate_json(path.read_bytes(), strict=True, extra="forbid")  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'its content'}: {first['msg']}") from None
    return record


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Slow to make."""
    return TypeAdapter(kind)
