"""The one dial: what spec sources and the others get of it."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import MixtureError
from orchestrator.mixture.apportion import exact
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.summary import summarise
from orchestrator.mixture.wishes import Ratios, Supply, sequence_shares
from tests.mixture.mixtures import LAW, supply, whole, wish

ROLES = {"spec": "spec", "code": "general", "rules": "spec", "docs": "general"}
POSITIVE = st.floats(1e-6, 1e6)


def shares(dial: float, roles: dict[str, str], weights: dict[str, float]) -> dict[str, Fraction]:
    supplies = [supply(name, exact(weights[name]), role=role) for name, role in roles.items()]
    found = sequence_shares(Ratios(spec_share=exact(dial)), supplies, {}, num_sequences=100, key="mixture")
    return dict(zip(roles, found, strict=True))


def planned(supplies: list[Supply], dial: float | None) -> Plan:
    return make_plan(supplies, [wish(dial)], total_tokens=800, sequence_length=8, sequences_per_step=4, seed=0)


@LAW
@given(st.floats(0, 1), st.fixed_dictionaries(dict.fromkeys(ROLES, POSITIVE)))
def test_spec_sources_divide_the_dial_and_the_others_the_rest_exactly_by_weight(dial: float, weights: dict[str, float]) -> None:
    found = shares(dial, ROLES, weights)
    assert found["spec"] + found["rules"] == exact(dial)
    assert sum(found.values()) == 1
    assert found["spec"] * exact(weights["rules"]) == found["rules"] * exact(weights["spec"])
    assert found["code"] * exact(weights["docs"]) == found["docs"] * exact(weights["code"])


@LAW
@given(POSITIVE, st.floats(0, 1))
def test_a_weight_of_zero_leaves_a_source_out(weight: float, dial: float) -> None:
    found = shares(dial, ROLES, {"spec": weight, "rules": 0.0, "code": 0.0, "docs": 3.0})
    assert found == {"spec": exact(dial), "rules": 0, "code": 0, "docs": 1 - exact(dial)}


@pytest.mark.parametrize(
    ("dial", "roles", "said", "remedy"),
    [
        (0.3, ["general"], ["mixture.spec_share=0.3", "leaves 0.3 of", "role spec"], 0),
        (1.0, ["general"], ["mixture.spec_share=1", "leaves 1 of", "role spec"], 0),
        (1e-6, ["general", "general"], ["mixture.spec_share=1e-06", "leaves 1e-06 of", "role spec"], 0),
        (0.3, ["spec"], ["mixture.spec_share=0.3", "leaves 0.7 of", "other than spec"], 1),
        (0.0, ["spec", "spec"], ["mixture.spec_share=0", "leaves 1 of", "other than spec"], 1),
    ],
)
def test_a_side_with_a_share_and_no_source_is_an_error_and_both_its_remedies_work(
    dial: float, roles: list[str], said: list[str], remedy: int
) -> None:
    names = {f"s{i}": role for i, role in enumerate(roles)}
    weights = dict.fromkeys(names, 1.0)
    with pytest.raises(MixtureError) as caught:
        shares(dial, names, weights)
    for part in [*said, f"mixture.spec_share={remedy}."]:
        assert part in str(caught.value)
    assert sum(shares(float(remedy), names, weights).values()) == 1
    names["given"] = "general" if remedy else "spec"
    assert sum(shares(dial, names, weights | {"given": 1.0}).values()) == 1


def test_a_side_whose_weights_are_all_zero_is_a_side_with_no_source() -> None:
    with pytest.raises(MixtureError, match="none has a weight above 0"):
        shares(0.5, {"spec": "spec", "code": "general"}, {"spec": 0.0, "code": 1.0})


def test_a_dial_of_zero_is_the_control_and_lists_the_spec_with_no_sequence() -> None:
    plan = planned([supply(name, role=role) for name, role in ROLES.items()], 0.0)
    assert [(source.name, source.role) for source in plan.sources] == list(ROLES.items())
    assert plan.sequences == [0, 50, 0, 50]
    assert set(plan.look_up(whole(plan)).sources.tolist()) == {1, 3}
    assert [row["first_step"] for row in summarise(plan)["sources"]] == [None, 1, None, 1]


def test_the_control_trains_its_general_sources_in_the_same_order_as_a_run_of_nothing_else() -> None:
    code = supply("code", unique=30, max_epochs=4)
    control, alone = planned([supply("spec", role="spec"), code], 0.0), planned([code], None)
    assert control.look_up(whole(control)).positions.tolist() == alone.look_up(whole(alone)).positions.tolist()


def test_a_dial_that_rises_over_the_run_gives_the_spec_the_mean_of_its_ends() -> None:
    supplies = [supply("spec", role="spec"), supply("web")]
    plan = make_plan(supplies, [wish(0.0, 0.5)], total_tokens=8000, sequence_length=8, sequences_per_step=1, seed=0)
    assert plan.sequences == [250, 750]
    assert abs(plan.sequences_before([500])[0, 0] - 62.5) < 1
