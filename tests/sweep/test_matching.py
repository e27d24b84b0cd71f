"""A short trial repeats a source as often as the long run that it stands for."""

import math

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sweep.matching import Supplied, match


@given(
    share=st.floats(0.01, 0.9),
    spec=st.integers(10_000, 10**9),
    general=st.integers(10_000, 10**12),
    tokens=st.integers(10**7, 10**9),
    longer=st.floats(1, 1000),
)
def test_every_source_that_the_run_repeats_and_the_spec_have_its_epochs(
    share: float, spec: int, general: int, tokens: int, longer: float
) -> None:
    sources = [
        Supplied(name="spec", is_spec=True, tokens=spec, share=share),
        Supplied(name="web", is_spec=False, tokens=general, share=1 - share),
    ]
    for one in match(sources, total_tokens=tokens, target_tokens=int(tokens * longer), target_unique={}):
        if one.unique_tokens is None:
            assert one.source == "web"
            assert max(one.epochs, one.target_epochs) <= 1
        else:
            assert math.isclose(one.epochs, one.target_epochs, rel_tol=1 / one.unique_tokens + 1e-6)


@given(
    share=st.floats(0.0, 0.9),
    general=st.integers(10_000, 10**8),
    tokens=st.integers(10**4, 10**7),
    longer=st.floats(1, 100),
    web=st.floats(0.1, 0.9),
)
def test_what_is_used_of_a_general_source_does_not_follow_from_the_share_of_the_spec(
    share: float, general: int, tokens: int, longer: float, web: float
) -> None:
    def used(share: float) -> list[int | None]:
        spec = [Supplied(name="spec", is_spec=True, tokens=9_999, share=share)] if share else []
        others = [
            Supplied(name=name, is_spec=False, tokens=general, share=(1 - share) * part) for name, part in (("web", web), ("code", 1 - web))
        ]
        found = match([*spec, *others], total_tokens=tokens, target_tokens=int(tokens * longer), target_unique={})
        return [one.unique_tokens for one in found if one.source != "spec"]

    assert used(share) == used(0.0)


def test_what_the_run_will_have_of_the_spec_may_be_more_than_is_prepared() -> None:
    spec = Supplied(name="spec", is_spec=True, tokens=5_000, share=0.1)
    (one,) = match([spec], total_tokens=10_000, target_tokens=1_000_000, target_unique={"spec": 50_000})
    assert (one.target_epochs, one.unique_tokens, one.epochs) == (2.0, 500, 2.0)
