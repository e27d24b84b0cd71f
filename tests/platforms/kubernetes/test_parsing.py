import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.platforms.kubernetes.parsing import leaves_dropped, parse_manifest

THINGS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: {c: 1, c: 2}", "key 'c' stands there twice"),
        ("a: 1\na: 2", "key 'a' stands there twice"),
        ("a: [1", "is not YAML"),
        ("a: 1\n---\nb: 2", "has 2 documents"),
        ("- a", "one RayJob is wanted"),
        ("", "one RayJob is wanted"),
    ],
)
def test_what_is_not_one_mapping_without_repeated_keys_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_manifest(text)


@given(THINGS)
def test_nothing_is_dropped_of_what_comes_back_as_it_was(thing: object) -> None:
    assert leaves_dropped(thing, thing) == []


def test_what_a_server_adds_or_writes_otherwise_is_not_dropped() -> None:
    sent: dict[str, object] = {"spec": {"memory": "1024Mi", "list": [{"name": "a"}], "labels": {}, "nothing": None, "value": ""}}
    kept = {"spec": {"memory": "1Gi", "list": [{"name": "a", "port": 1}, {"name": "b"}], "default": 3}, "status": {}}
    assert leaves_dropped(sent, kept) == []


def test_what_is_dropped_is_named_by_its_place() -> None:
    sent = {"spec": {"entryPoint": "x", "groups": [{"name": "a", "replica": 2}, {"name": "b"}]}}
    assert leaves_dropped(sent, {"spec": {"groups": [{"name": "a"}]}}) == ["spec.entryPoint", "spec.groups[0].replica", "spec.groups[1]"]
