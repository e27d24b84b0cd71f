"""Sources whose sequences carry a loss on more or fewer of their tokens: shares are of trained tokens, counts of sequences follow."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.summary import summarise
from orchestrator.mixture.wishes import Ratios, Supply, exact_counts, sequence_shares
from tests.mixture.mixtures import LAW, supply, wish

DENSITIES = st.fractions(Fraction(1, 20), Fraction(1), max_denominator=50)
LONG = 10_000_000  # sequences; of a stage in which no rounding shows


@st.composite
def dense(draw: st.DrawFn) -> list[Supply]:
    """One to three spec sources and one to six others, each with a density and a weight of its own."""
    roles = ["spec"] * draw(st.integers(1, 3)) + ["general"] * draw(st.integers(1, 6))
    unique = 100_000_000 * 50
    return [supply(f"s{i}", draw(st.integers(1, 9)), role=role, unique=unique, tokens=8 * draw(DENSITIES)) for i, role in enumerate(roles)]


def token_shares(supplies: list[Supply], sequences: list[Fraction]) -> list[Fraction]:
    """Shares of the trained tokens, of shares of the sequences."""
    tokens = [share * supply.tokens_per_sequence for share, supply in zip(sequences, supplies, strict=True)]
    return [part / sum(tokens) for part in tokens]


def asked(supplies: list[Supply], ratios: Ratios, counts: dict[int, int] | None = None) -> list[Fraction]:
    return list(sequence_shares(ratios, supplies, counts or {}, num_sequences=LONG, key="mixture"))


@LAW
@given(dense(), st.integers(1, 99))
def test_the_dial_is_the_specs_share_of_trained_tokens_and_each_side_divides_its_part_by_weight(supplies: list[Supply], dial: int) -> None:
    shares = asked(supplies, Ratios(spec_share=Fraction(dial, 100)))
    assert sum(shares) == 1
    tokens = token_shares(supplies, shares)
    for spec, part in ((True, Fraction(dial, 100)), (False, 1 - Fraction(dial, 100))):
        side = [i for i, supply in enumerate(supplies) if supply.is_spec == spec]
        assert sum(tokens[i] for i in side) == part
        assert all(tokens[i] * supplies[side[0]].weight == tokens[side[0]] * supplies[i].weight for i in side)


@LAW
@given(dense(), st.data())
def test_ratios_are_shares_of_trained_tokens(supplies: list[Supply], data: st.DataObject) -> None:
    parts = [Fraction(data.draw(st.integers(0 if i else 1, 20))) for i in range(len(supplies))]
    ratios = {supply.name: part / sum(parts) for supply, part in zip(supplies, parts, strict=True)}
    shares = asked(supplies, Ratios(by_source=ratios))
    assert sum(shares) == 1
    assert token_shares(supplies, shares) == list(ratios.values())


@LAW
@given(dense())
def test_without_a_dial_all_sources_divide_the_tokens_by_weight(supplies: list[Supply]) -> None:
    tokens = token_shares(supplies, asked(supplies, Ratios()))
    whole = sum(supply.weight for supply in supplies)
    assert tokens == [supply.weight / whole for supply in supplies]


@LAW
@given(dense(), st.integers(1, 10), st.integers(30, 60))
def test_a_dial_counts_the_tokens_of_sources_that_are_given_as_tokens(supplies: list[Supply], thousandths: int, dial: int) -> None:
    """The first of several sources of its side has a count; it and the others of its side have the side's share together."""
    if sum(supply.is_spec for supply in supplies) < 2:
        supplies = [supply("more", role="spec"), *supplies]
    counts = {0: LONG * thousandths // 1000}
    shares = asked(supplies, Ratios(spec_share=Fraction(dial, 100)), counts)
    assert shares[0] == Fraction(counts[0], LONG)
    assert sum(shares) == 1
    assert sum(token for token, supply in zip(token_shares(supplies, shares), supplies, strict=True) if supply.is_spec) == Fraction(
        dial, 100
    )


@LAW
@given(dense(), st.integers(1, 500))
def test_what_is_left_by_counts_is_divided_by_weight(supplies: list[Supply], thousandths: int) -> None:
    counts = {0: LONG * thousandths // 1000}
    shares = asked(supplies, Ratios(), counts)
    assert (shares[0], sum(shares)) == (Fraction(counts[0], LONG), 1)
    tokens = token_shares(supplies, shares)[1:]
    assert all(token * supplies[1].weight == tokens[0] * supply.weight for token, supply in zip(tokens, supplies[1:], strict=True))


def test_tokens_are_those_that_carry_a_loss_and_epochs_are_of_sequences() -> None:
    supplies = [supply("chat", unique=100, tokens=2), supply("web")]
    assert exact_counts(wish(source_tokens={"chat": 90}), supplies) == {0: 45}
    assert exact_counts(wish(source_epochs={"chat": 0.5}), supplies) == {0: 50}


def test_a_sparse_source_needs_more_sequences_for_the_same_share_and_the_summary_shows_the_share() -> None:
    supplies = [supply("chat", role="spec", unique=10_000, tokens=2), supply("web", unique=10_000)]
    plan = make_plan(supplies, [wish(0.2)], total_tokens=8 * 1000, sequence_length=8, sequences_per_step=1, seed=0)
    assert plan.sequences == [500, 500]
    summary = summarise(plan)
    assert [row["share"] for row in summary["sources"]] == [pytest.approx(0.2), pytest.approx(0.8)]
    assert [row["asked_share"] for row in summary["sources"]] == [pytest.approx(0.2), pytest.approx(0.8)]
    assert [row["trained_tokens"] for row in summary["sources"]] == [1000, 4000]
    assert summary["trained_tokens"] == 5000
