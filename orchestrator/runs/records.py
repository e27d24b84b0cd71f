"""Dataclasses as JSON files: written whole or not at all, and read back as they were or not at all."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from orchestrator.runs.durable import write_whole

Record = TypeVar("Record")


def write_record(path: Path, record: Any, **more: Any) -> None:
    """Write a dataclass.

    Args:
        path: where.
        record: its fields are of JSON's types, or tuples or dataclasses of these.
        more: entries beside the fields.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    write_whole(path, json.dumps(asdict(record) | more, indent=2).encode() + b"\n")


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a dataclass that `write_record` wrote.

    Raises:
        OSError: there is none.
        ValueError: it is not what `write_record` writes.
    """
    return parse_record(json.loads(path.read_text(encoding="utf-8")), kind)


def parse_record(content: Any, kind: type[Record]) -> Record:
    """A dataclass from the content of its file.

    Raises:
        ValueError: it lacks a field, has another one, or one of another type.
    """
    try:
        record: Record = _adapter(kind).validate_python(content)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'its content'}: {first['msg']}") from None
    if json.dumps(asdict(record), sort_keys=True) != json.dumps(content, sort_keys=True):  # type: ignore[call-overload]
        raise ValueError(f"it holds more than the fields of a {kind.__name__}, or values of other types")
    return record


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Slow to make."""
    return TypeAdapter(kind)
