"""Numbers and settings in words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.frontier.estimates import Estimate
from orchestrator.frontier.trials import Value
from orchestrator.report.sweep.quantities import (
    estimate_digits,
    estimate_in_words,
    hours_in_words,
    key_names,
    setting_in_words,
    share_in_words,
    shares_in_words,
    tokens_in_words,
    tried_share_in_words,
    value_in_words,
)
from tests.support.typed import plain


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(value=0.1234, low=0.118, high=0.129), "12.3 % [11.8, 12.9]"),
        (Estimate(value=0.1234, low=0.1229, high=0.1241), "12.34 % [12.29, 12.41]"),
        (Estimate(value=-0.004, low=-0.006, high=-0.002), "-0.4 % [-0.6, -0.2]"),
        (Estimate(value=0.1234), "12.3 %"),
        (Estimate(value=0.0, low=0.0, high=0.0), "0.0 % [0.0, 0.0]"),
    ],
)
def test_an_estimate_has_as_many_digits_as_its_interval_bears(estimate: Estimate, words: str) -> None:
    assert plain(estimate_in_words(estimate)) == words


def test_a_share_that_was_estimated_may_have_no_digit_after_the_point() -> None:
    assert plain(shares_in_words(Estimate(value=0.283, low=0.262, high=0.309))) == "28 % [26, 31]"
    assert plain(shares_in_words(Estimate(value=0.283, low=0.281, high=0.285))) == "28.3 % [28.1, 28.5]"


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(value=0.004, low=0.001, high=0.02), "0.4 % [0.1, 2.0]"),
        (Estimate(value=0.0004, low=0.0, high=0.03), "0.04 % [0.00, 3.00]"),
        (Estimate(value=1e-17, low=0.0, high=0.03), "0 % [0, 3]"),
    ],
)
def test_a_small_share_that_was_estimated_keeps_its_first_digit(estimate: Estimate, words: str) -> None:
    assert plain(shares_in_words(estimate)) == words


def test_a_share_that_was_tried_is_told_as_it_was() -> None:
    assert plain(tried_share_in_words(Estimate(value=0.125, low=0.1, high=0.125))) == "12.5 % [10, 12.5]"
    assert plain(tried_share_in_words(Estimate(value=0.125, low=0.125, high=0.125))) == "12.5 %"
    assert plain(tried_share_in_words(Estimate(value=0.125))) == "12.5 %"


def test_a_column_has_the_digits_of_its_usual_interval() -> None:
    wide, narrow = Estimate(value=0.1, low=0.05, high=0.15), Estimate(value=0.1, low=0.0995, high=0.1005)
    assert estimate_digits([wide, wide, narrow]) == 1
    assert estimate_digits([wide, narrow, narrow]) == 2
    assert estimate_digits([Estimate(value=0.1)]) == 1


@given(value=st.floats(-5, 5), below=st.floats(0, 1), above=st.floats(0, 1))
def test_what_is_told_of_an_interval_still_holds_its_value(value: float, below: float, above: float) -> None:
    words = plain(estimate_in_words(Estimate(value=value, low=value - below, high=value + above)))
    middle, low, high = (float(number) for number in re.findall(r"-?\d+\.\d+", words))
    assert low <= middle <= high


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("mixture.spec_share", 0.1, "10 %"),
        ("mixture.spec_share", 0.00125, "0.125 %"),
        ("mixture.spec_share", 0.0734829, "7.35 %"),
        ("mixture.spec_share", 1, "100 %"),
        ("mixture.total_tokens", 50_000_000, "50 M"),
        ("mixture.total_tokens", 1_250_000_000, "1.25 B"),
        ("mixture.unique_tokens", 512, "512"),
        ("training.learning_rate", 3e-5, "3\N{MULTIPLICATION SIGN}10⁻⁵"),
        ("training.learning_rate", 0.002, "0.002"),
        ("training.sequences_per_step", 1024, "1,024"),
        ("training.optimizer", "=cmd", "=cmd"),
        ("training.liger", True, "true"),
        ("training.lora", None, "null"),
        ("a.bias", -0.5, "-0.5"),
    ],
)
def test_a_value_is_told_in_the_unit_of_its_key(key: str, value: Value, words: str) -> None:
    assert plain(value_in_words(key, value)) == words


@given(st.floats(1e-6, 1))
def test_no_share_is_told_with_more_than_three_digits_or_far_off(share: float) -> None:
    told = share_in_words(share).removesuffix("\N{NARROW NO-BREAK SPACE}%")
    mantissa, _, exponent = told.partition("\N{MULTIPLICATION SIGN}10⁻")
    value = float(mantissa) / 10 ** (int(exponent.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789"))) if exponent else 0)
    assert value == pytest.approx(100 * share, rel=0.006)
    assert len(mantissa.replace(".", "").strip("0")) <= 3


def test_tokens_and_hours_have_three_digits_at_most() -> None:
    assert [plain(tokens_in_words(n)) for n in (0, 9_999, 12_345, 999_999_999_999)] == ["0", "9,999", "12.3 k", "1,000 B"]
    assert [hours_in_words(h) for h in (0, 0.012, 0.95, 7.6, 22.8, 574.2)] == ["0", "0.012", "0.95", "7.60", "22.8", "574"]


def test_hours_of_a_column_have_the_same_digits() -> None:
    assert [hours_in_words(h, 574.2) for h in (0, 0.42, 574.2)] == ["0.0", "0.4", "574.2"]


def test_a_key_is_called_by_its_last_part_or_by_two_where_others_end_alike() -> None:
    keys = ["mixture.spec_share", "training.adam.beta", "training.muon.beta"]
    assert list(key_names(keys).values()) == ["spec share", "adam beta", "muon beta"]


def test_a_setting_is_told_in_the_order_of_the_keys_and_without_those_that_it_lacks() -> None:
    names = key_names(["mixture.spec_share", "mixture.total_tokens", "training.learning_rate"])
    setting = {"training.learning_rate": 0.01, "mixture.spec_share": 0.2}
    assert plain(setting_in_words(setting, names)) == "spec share 20 %, learning rate 0.01"
