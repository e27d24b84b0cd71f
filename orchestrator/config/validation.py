"""From nested values to a frozen, strict dataclass; what is wrong with them is said with the key, the value and the closest known key."""

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import ConfigError

Kind = TypeVar("Kind")

_MOST_MESSAGES = 5


def validated(kind: type[Kind], values: Any, prefix: str = "") -> Kind:
    """Make a dataclass of values.

    Args:
        kind: its class.
        values: of JSON's types.
        prefix: what messages put before each key.

    Raises:
        ConfigError: a key is unknown or missing, or a value wrong.
    """
    try:
        made: Kind = _adapter(kind).validate_json(json.dumps(values))  # type: ignore[arg-type]  # JSON: strict, yet an object may stand for a dataclass
        return made
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(kind, detail, prefix) for detail in error.errors()[:_MOST_MESSAGES])) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Slow to make."""
    return TypeAdapter(kind)


def _explain(kind: Any, detail: ErrorDetails, prefix: str) -> str:
    location = [str(part) for part in detail["loc"]]
    key = ".".join([prefix, *location]) if prefix else ".".join(location)
    if detail["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = [f"{prefix}.{other}" if prefix else other for other in _known_keys(kind, location)]
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        return f"{key} is not a configuration key. The closest is {close[0]}." if close else f"{key} is not a configuration key."
    if detail["type"] in ("missing", "missing_argument"):
        return f"{key} has no value. Give one: {key}=…"
    if detail["type"] == "value_error":
        return f"{key}: {detail['ctx']['error']}" if location else str(detail["ctx"]["error"])
    return f"{key}={detail['input']!r}: {detail['msg']}."


def _known_keys(kind: Any, location: Sequence[str]) -> list[str]:
    """All keys that could have been meant: those of the same group, if it is one."""
    known = list(_keys_of(kind, "", location))
    return [key for key in known if len(location) > 1 and key.startswith(f"{location[0]}.")] or known


def _keys_of(kind: Any, prefix: str, location: Sequence[str]) -> Iterator[str]:
    """The keys of a dataclass and of those within it; of what has names or numbers for keys, the one of the location is followed."""
    for field in fields(kind):
        key = f"{prefix}{field.name}"
        yield key
        inner, is_many = _dataclass_of(field.type)
        if inner and is_many:
            depth = key.count(".") + 1
            if len(location) > depth and location[:depth] == key.split("."):
                yield from _keys_of(inner, f"{key}.{location[depth]}.", location)
        elif inner:
            yield from _keys_of(inner, f"{key}.", location)


def _dataclass_of(annotation: Any) -> tuple[Any, bool]:
    """The dataclass that a type has, if any, and whether it has many of them."""
    if is_dataclass(annotation):
        return annotation, False
    arguments = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    found = next((inner for inner in map(_dataclass_of, arguments) if inner[0]), (None, False))
    return found[0], found[1] or get_origin(annotation) in (dict, tuple)
