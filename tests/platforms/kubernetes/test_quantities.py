from decimal import Decimal

import pytest

from orchestrator.platforms.kubernetes.quantities import amount, as_bytes


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8", "8"),
        (8, "8"),
        ("500m", "0.5"),
        ("2.5", "2.5"),
        (".5", "0.5"),
        ("1k", "1000"),
        ("64Gi", str(64 << 30)),
        ("1e3", "1000"),
        ("1E", "1e18"),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: object, number: str) -> None:
    assert amount(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "64Gib", "64 Gi", "-1", "1KI", "eight", None, True, [8], "1m1", "Gi"])
def test_what_is_no_quantity_is_none(text: object) -> None:
    assert amount(text) is None


def test_parts_of_a_byte_are_left_out() -> None:
    assert as_bytes("1.5") == 1
