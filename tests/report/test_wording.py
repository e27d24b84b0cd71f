"""What the report says in words."""

from dataclasses import replace

import pytest

from orchestrator.report.summary import HeldoutChange
from orchestrator.report.wording import change_in_words, duration, headline, percent, progress
from tests.support.typed import plain


def change(share: float, error: float | None = 0.002, *, role: str = "general", step: int = 60) -> HeldoutChange:
    """A change of a loss that was 4.00 before."""
    after = 4.0 * (1 + share)
    return HeldoutChange(
        role=role,
        step=step,
        before=4.0,
        after=after,
        stderr=0.01,
        change=share,
        change_stderr=error,
        num_sequences=1 if error is None else 24,
    )


SPEC = change(-0.112, 0.006, role="spec")


@pytest.mark.parametrize(
    ("general", "said"),
    [
        (
            {"code": change(-0.031), "docs": change(-0.08)},
            "Of the general sources, code changed by -3.1 % and docs by -8.0 %: nothing was forgotten.",
        ),
        ({"code": change(-0.031)}, "The general source code changed by -3.1 %: nothing was forgotten."),
        (
            {"code": change(0.021, 0.003), "docs": change(-0.08)},
            "Of the general sources, code rose by 2.1 % ± 0.3 and docs changed by -8.0 %: code was forgotten in part.",
        ),
        (
            {"code": change(0.021), "docs": change(0.05)},
            "Of the general sources, code rose by 2.1 % ± 0.2 and docs by 5.0 % ± 0.2: all were forgotten in part.",
        ),
        (
            {"code": change(0.003), "docs": change(-0.08)},
            "Of the general sources, code changed by +0.3 % (within twice its standard error of zero) and docs by -8.0 %: "
            "no forgetting is shown.",
        ),
        (
            {"code": change(0.05, None)},
            "The general source code changed by +5.0 % (measured on one sequence, so without a standard error): no forgetting is shown.",
        ),
        ({}, "No general text was held out, so what was forgotten was not measured."),
    ],
)
def test_the_headline_says_which_general_sources_rose_and_which_changes_are_not_clear(general: dict[str, HeldoutChange], said: str) -> None:
    assert (
        plain(headline({"spec": SPEC, **general}))
        == f"The spec\N{RIGHT SINGLE QUOTATION MARK}s held-out loss fell by 11.2 % ± 0.6 (4.00 → 3.55). {said}"
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (change(0.04, role="spec"), "loss rose by 4.0 % ± 0.2 (4.00 → 4.16)."),
        (change(-0.003, role="spec"), "loss changed by -0.3 % ± 0.2 (4.00 → 3.99), within twice its standard error of zero."),
        (change(-0.3, None, role="spec"), "loss changed by -30.0 % (4.00 → 2.80), measured on one sequence, so without a standard error."),
    ],
)
def test_the_headline_says_when_the_spec_was_not_learned(spec: HeldoutChange, said: str) -> None:
    assert said in plain(headline({"spec": spec}))


def test_the_headline_tells_several_spec_sources_apart() -> None:
    said = plain(headline({"constitution": SPEC, "cases": change(-0.05, role="spec")}))
    assert "sources, constitution fell by 11.2 % ± 0.6 (4.00 → 3.55) and cases fell by 5.0 % ± 0.2 (4.00 → 3.80)." in said


def test_the_headline_names_only_the_worst_of_many_sources() -> None:
    many = {f"fell{i}": change(-0.01 * i) for i in range(1, 6)} | {"worst": change(0.09), "bad": change(0.01)}
    said = plain(headline({"spec": SPEC, **many}))
    assert (
        "worst rose by 9.0 % ± 0.2, bad by 1.0 % ± 0.2 and the other 5 changed by -5.0 % to -1.0 %: worst and bad were forgotten in part."
        in said
    )


def test_the_headline_says_when_nothing_was_measured() -> None:
    assert "how well it was learned was not measured" in headline({})
    assert "not been measured since before the first step" in headline({"spec": change(0.0, 0.0, role="spec", step=0)})


def test_a_source_measured_on_one_document_is_said_to_be() -> None:
    one = replace(change(0.05, None), num_sequences=7, num_documents=1)
    assert "code changed by +5.0 % (measured on one document, so without a standard error)" in plain(headline({"code": one}))


@pytest.mark.parametrize(
    ("share", "error", "words"),
    [
        (-0.1123, 0.0061, "-11.2 % ± 0.6"),
        (-0.1123, 0.0004, "-11.23 % ± 0.04"),
        (-0.1123, 0.000001, "-11.230 % ± 0.000"),
        (0.05, None, "+5.0 %"),
    ],
)
def test_a_change_has_as_many_digits_as_its_standard_error_bears(share: float, error: float | None, words: str) -> None:
    assert plain(change_in_words(change(share, error), signed=True)) == words


@pytest.mark.parametrize(("share", "words"), [(0.0, "0.0 %"), (-0.0001, "0.0 %"), (0.0312, "+3.1 %"), (-0.0312, "-3.1 %")])
def test_a_signed_percentage_that_rounds_to_zero_has_no_sign(share: float, words: str) -> None:
    assert plain(percent(share, signed=True)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.012, "12 ms"), (4.21, "4.2 s"), (59.96, "1 min 00 s"), (200, "3 min 20 s"), (3719.6, "1 h 02 min")],
)
def test_durations_are_told_in_units_that_fit_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_only_an_unfinished_run_is_called_that() -> None:
    assert progress(60, 60) is None
    assert "step 30 of 60" in (progress(30, 60) or "")
