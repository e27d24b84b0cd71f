"""Kubernetes' amounts, such as 500m, 64Gi or 8."""

import re
from decimal import Decimal
from typing import Any

_AMOUNT = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?P<suffix>[num]|[kMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def amount(value: Any) -> Decimal | None:
    """The number that a quantity stands for; none when it is not one, or negative."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _AMOUNT.fullmatch(str(value))
    if not found:
        return None
    number, suffix = Decimal(found["number"]), found["suffix"] or ""
    if suffix in _BINARY:
        return number * Decimal(1024 ** _BINARY[suffix])
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(int(suffix[1:]))


def as_bytes(quantity: str) -> int:
    """The whole bytes of a quantity that is known to be one."""
    number = amount(quantity)
    assert number is not None
    return int(number)
