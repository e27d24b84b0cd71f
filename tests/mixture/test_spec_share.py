"""The one dial: what spec sources and the others get of it."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import MixtureError
from orchestrator.mixture.apportion import exact
from orchestrator.mixture.planning import make_plan, shares_from_spec_share
from orchestrator.mixture.summary import summarise
from tests.mixture.mixtures import LAW, supply, whole

ROLES = {"spec": "spec", "code": "general", "rules": "spec", "docs": "general"}
POSITIVE = st.floats(1e-6, 1e6)


@LAW
@given(st.floats(0, 1), st.fixed_dictionaries(dict.fromkeys(ROLES, POSITIVE)))
def test_spec_sources_divide_the_dial_and_the_others_the_rest_exactly_by_weight(dial: float, weights: dict[str, float]) -> None:
    shares = shares_from_spec_share(dial, ROLES, weights)
    assert list(shares) == list(ROLES)
    assert shares["spec"] + shares["rules"] == exact(dial)
    assert sum(shares.values()) == 1
    assert shares["spec"] * exact(weights["rules"]) == shares["rules"] * exact(weights["spec"])
    assert shares["code"] * exact(weights["docs"]) == shares["docs"] * exact(weights["code"])


@LAW
@given(POSITIVE, st.floats(0, 1))
def test_a_weight_of_zero_leaves_a_source_out(weight: float, dial: float) -> None:
    shares = shares_from_spec_share(dial, ROLES, {"spec": weight, "rules": 0.0, "code": 0.0, "docs": 3.0})
    assert shares == {"spec": exact(dial), "rules": 0, "code": 0, "docs": 1 - exact(dial)}


@pytest.mark.parametrize(
    ("dial", "roles", "said", "remedy"),
    [
        (0.3, ["general"], ["mixture.spec_share=0.3", "leaves 0.3 of", "role spec"], 0),
        (1.0, ["general"], ["mixture.spec_share=1.0", "leaves 1 of", "role spec"], 0),
        (1e-6, ["general", "general"], ["mixture.spec_share=1e-06", "leaves 1e-06 of", "role spec"], 0),
        (0.3, ["spec"], ["mixture.spec_share=0.3", "leaves 0.7 of", "other than spec"], 1),
        (0.0, ["spec", "spec"], ["mixture.spec_share=0.0", "leaves 1 of", "other than spec"], 1),
    ],
)
def test_a_side_with_a_share_and_no_source_is_an_error_and_both_its_remedies_work(
    dial: float, roles: list[str], said: list[str], remedy: int
) -> None:
    names = {f"s{i}": role for i, role in enumerate(roles)}
    weights = dict.fromkeys(names, 1.0)
    with pytest.raises(MixtureError) as caught:
        shares_from_spec_share(dial, names, weights)
    for part in [*said, f"mixture.spec_share={remedy}."]:
        assert part in str(caught.value)
    assert sum(shares_from_spec_share(float(remedy), names, weights).values()) == 1
    names["given"] = "general" if remedy else "spec"
    assert sum(shares_from_spec_share(dial, names, weights | {"given": 1.0}).values()) == 1


def test_a_side_whose_weights_are_all_zero_is_a_side_with_no_source() -> None:
    with pytest.raises(MixtureError, match="none has a weight above 0"):
        shares_from_spec_share(0.5, {"spec": "spec", "code": "general"}, {"spec": 0.0, "code": 1.0})


def test_a_dial_of_zero_is_the_control_and_lists_the_spec_with_no_sequence() -> None:
    shares = shares_from_spec_share(0.0, ROLES, dict.fromkeys(ROLES, 1.0))
    supplies = [supply(name, shares[name], role=role) for name, role in ROLES.items()]
    plan = make_plan(supplies, total_tokens=800, sequence_length=8, sequences_per_step=4, seed=0)
    assert [(source.name, source.role, source.sequences) for source in plan.sources] == [
        ("spec", "spec", 0),
        ("code", "general", 50),
        ("rules", "spec", 0),
        ("docs", "general", 50),
    ]
    assert set(plan.look_up(whole(plan)).sources.tolist()) == {1, 3}
    assert [row["first_step"] for row in summarise(plan)["sources"]] == [None, 1, None, 1]


def test_the_control_trains_its_general_sources_in_the_same_order_as_a_run_of_nothing_else() -> None:
    shares = {"spec": Fraction(0), "code": Fraction(1)}
    control = make_plan(
        [supply("spec", shares["spec"], role="spec"), supply("code", shares["code"], unique=30, max_epochs=4)],
        total_tokens=800,
        sequence_length=8,
        sequences_per_step=4,
        seed=0,
    )
    alone = make_plan(
        [supply("code", Fraction(1), unique=30, max_epochs=4)], total_tokens=800, sequence_length=8, sequences_per_step=4, seed=0
    )
    assert control.look_up(whole(control)).positions.tolist() == alone.look_up(whole(alone)).positions.tolist()
