import pytest

from orchestrator.platforms.kubernetes.rules import broken_rules
from tests.platforms.kubernetes.broken import AGAINST_THE_RULES
from tests.platforms.kubernetes.making import SMALL, make_job, manifest_of, settings_of

SETTINGS = settings_of("claims={/runs: runs}", *SMALL)


@pytest.mark.parametrize("gpus", [0, 1])
@pytest.mark.parametrize("profile", ["kubernetes", "kubernetes-h100"])
def test_what_ships_breaks_no_rule(profile: str, gpus: int) -> None:
    job = make_job(settings_of(profile=profile), ranks=16, gpus=gpus)
    assert broken_rules(manifest_of(job)) == []


@pytest.mark.parametrize("case", sorted(AGAINST_THE_RULES))
def test_a_broken_manifest_breaks_a_rule(case: str) -> None:
    manifest = manifest_of(make_job(SETTINGS, ranks=4, gpus=1))
    AGAINST_THE_RULES[case](manifest)
    assert broken_rules(manifest) != []


@pytest.mark.parametrize(
    "value", [None, 7, "text", [], [None], {}, {"spec": {"rayClusterSpec": {"workerGroupSpecs": [7, {"template": 7}]}}}]
)
def test_what_is_of_the_wrong_type_breaks_a_rule_and_not_the_rules(value: object) -> None:
    manifest = manifest_of(make_job(SETTINGS))
    assert broken_rules(manifest | {"spec": value}) != []
    assert broken_rules({"spec": value}) != []


def test_a_message_names_the_place_and_the_value() -> None:
    manifest = manifest_of(make_job(SETTINGS))
    manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplicas"] = 7
    (message,) = broken_rules(manifest)
    assert message == (
        "spec.rayClusterSpec.workerGroupSpecs[0]: replicas, minReplicas and maxReplicas are 1, 1, 7; all must be the same, 1 or more"
    )


def test_a_secret_in_plain_sight_is_not_repeated() -> None:
    manifest = manifest_of(make_job(SETTINGS))
    AGAINST_THE_RULES["a secret in plain sight"](manifest)
    assert "hf_abcdefghijklmnop" not in str(broken_rules(manifest))
