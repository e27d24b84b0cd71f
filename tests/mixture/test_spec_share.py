"""The one dial, weights, ratios and counts: the shares of sequences that give the shares of trained tokens that were asked for."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.errors import MixtureError
from orchestrator.mixture.apportion import exact
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.summary import summarise
from orchestrator.mixture.wishes import Ratios, StageWish, Supply, sequence_shares
from tests.mixture.mixtures import LAW, supply, whole

ROLES = {"spec": "spec", "code": "general", "rules": "spec", "docs": "general"}
POSITIVE = st.floats(1e-6, 1e6)
DENSITIES = st.fixed_dictionaries(dict.fromkeys(ROLES, st.integers(1, 800)))


def supplies_of(weights: dict[str, float], trained: dict[str, int] | None = None) -> list[Supply]:
    """Sources of a hundred sequences of eight tokens, of which some may carry no loss."""
    return [
        Supply(
            name=name,
            role=role,
            fingerprint="f",
            unique_sequences=100,
            trained_tokens=(trained or {}).get(name, 800),
            weight=exact(weights[name]),
            max_epochs=None,
        )
        for name, role in ROLES.items()
    ]


def shares_of(ratios: Ratios, supplies: list[Supply], counts: dict[int, int] | None = None) -> list[Fraction]:
    """Each source's share of the trained tokens of a stage of 1,000 sequences."""
    shares = sequence_shares(ratios, supplies, counts or {}, num_sequences=1000, key="mixture")
    assert sum(shares) == 1
    tokens = [share * s.tokens_per_sequence for share, s in zip(shares, supplies, strict=True)]
    return [token / sum(tokens) for token in tokens]


@LAW
@given(st.floats(0, 1), st.fixed_dictionaries(dict.fromkeys(ROLES, POSITIVE)), DENSITIES)
def test_spec_sources_divide_the_dial_and_the_others_the_rest_exactly_by_weight(
    dial: float, weights: dict[str, float], trained: dict[str, int]
) -> None:
    spec, code, rules, docs = shares_of(Ratios(spec_share=exact(dial)), supplies_of(weights, trained))
    assert spec + rules == exact(dial)
    assert spec * exact(weights["rules"]) == rules * exact(weights["spec"])
    assert code * exact(weights["docs"]) == docs * exact(weights["code"])


@LAW
@given(st.fixed_dictionaries(dict.fromkeys(ROLES, st.integers(1, 1000))), DENSITIES)
def test_ratios_are_shares_of_trained_tokens(parts: dict[str, int], trained: dict[str, int]) -> None:
    ratios = {name: Fraction(part, sum(parts.values())) for name, part in parts.items()}
    assert shares_of(Ratios(by_source=ratios), supplies_of(dict.fromkeys(ROLES, 1.0), trained)) == [ratios[name] for name in ROLES]


@LAW
@given(st.fixed_dictionaries(dict.fromkeys(ROLES, POSITIVE)), DENSITIES, st.integers(0, 900))
def test_beside_an_exact_count_the_other_sources_divide_the_rest_by_weight(
    weights: dict[str, float], trained: dict[str, int], count: int
) -> None:
    supplies = supplies_of(weights, trained)
    shares = sequence_shares(Ratios(), supplies, {0: count}, num_sequences=1000, key="mixture")
    assert shares[0] == Fraction(count, 1000)
    tokens = [share * s.tokens_per_sequence for share, s in zip(shares, supplies, strict=True)]
    assert tokens[1] * supplies[2].weight == tokens[2] * supplies[1].weight
    assert tokens[1] * supplies[3].weight == tokens[3] * supplies[1].weight


@LAW
@given(st.integers(1, 99), st.fixed_dictionaries(dict.fromkeys(ROLES, POSITIVE)), DENSITIES, st.integers(0, 300))
def test_the_dial_holds_for_the_spec_as_a_whole_beside_an_exact_count(
    percent: int, weights: dict[str, float], trained: dict[str, int], count: int
) -> None:
    try:
        spec, _, rules, _ = shares_of(Ratios(spec_share=Fraction(percent, 100)), supplies_of(weights, trained), {0: count})
    except MixtureError as error:
        assume("for all of that side" not in str(error))
        raise
    assert spec + rules == Fraction(percent, 100)


@pytest.mark.parametrize(
    ("ratios", "counts", "said"),
    [
        (Ratios(spec_share=Fraction(1, 10)), {0: 10, 2: 10}, "say the same thing twice. Set spec_share to null"),
        (Ratios(spec_share=Fraction(1, 100)), {0: 500}, "train 4,000 tokens, and spec_share=0.01 is 80 for all of that side"),
        (Ratios(), {0: 1001}, r"need 1,001 sequences, over the 1,000 of the stage. Lower 'spec' to 8,000 tokens \(10 epochs\)"),
        (Ratios(), {0: 1, 1: 1, 2: 1, 3: 1}, "leave 996 sequences to nobody"),
    ],
)
def test_counts_and_ratios_that_contradict_each_other_are_refused(ratios: Ratios, counts: dict[int, int], said: str) -> None:
    with pytest.raises(MixtureError, match=said):
        shares_of(ratios, supplies_of(dict.fromkeys(ROLES, 1.0)), counts)


@pytest.mark.parametrize(
    ("dial", "role", "said"),
    [
        (0.3, "general", "mixture.spec_share=0.3 leaves 0.3 of the tokens to sources with role spec"),
        (1e-6, "general", "mixture.spec_share=1e-06 leaves 1e-06 of the tokens to sources with role spec"),
        (0.3, "spec", "mixture.spec_share=0.3 leaves 0.7 of the tokens to sources with a role other than spec"),
    ],
)
def test_a_side_with_a_share_and_no_source_is_refused_with_the_dial_that_would_do(dial: float, role: str, said: str) -> None:
    with pytest.raises(MixtureError) as caught:
        sequence_shares(Ratios(spec_share=exact(dial)), [supply("only", Fraction(1), role=role)], {}, num_sequences=10, key="mixture")
    assert said in str(caught.value)
    remedy = Fraction(0 if role == "general" else 1)
    assert f"set mixture.spec_share={remedy}" in str(caught.value)
    assert sequence_shares(Ratios(spec_share=remedy), [supply("only", Fraction(1), role=role)], {}, num_sequences=10, key="mixture") == (
        Fraction(1),
    )


def planned(supplies: list[Supply], dial: int) -> Plan:
    wish = StageWish(start=Ratios(spec_share=Fraction(dial)), end=Ratios(spec_share=Fraction(dial)))
    return make_plan(supplies, [wish], total_tokens=800, sequence_length=8, sequences_per_step=4, seed=0)


def test_a_dial_of_zero_is_the_control_and_lists_the_spec_with_no_sequence() -> None:
    plan = planned(supplies_of(dict.fromkeys(ROLES, 1.0)), 0)
    assert plan.sequences == [0, 50, 0, 50]
    assert set(plan.look_up(whole(plan)).sources.tolist()) == {1, 3}
    assert [row["first_step"] for row in summarise(plan)["sources"]] == [None, 1, None, 1]


def test_the_control_trains_its_general_sources_in_the_same_order_as_a_run_of_nothing_else() -> None:
    code = supply("code", Fraction(1), unique=30, max_epochs=4)
    control, alone = planned([supply("spec", Fraction(1), role="spec"), code], 0), planned([code], 0)
    assert control.look_up(whole(control)).positions.tolist() == alone.look_up(whole(alone)).positions.tolist()
