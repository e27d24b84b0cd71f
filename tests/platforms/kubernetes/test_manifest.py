import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.platforms.kubernetes.client import Api
from orchestrator.platforms.kubernetes.manifest import identity, rayjob_manifest
from orchestrator.platforms.kubernetes.parsing import parse_manifest
from orchestrator.platforms.kubernetes.platform import Kubernetes
from orchestrator.platforms.profiles import load_settings
from orchestrator.runs.directory import RunDirectory
from tests.platforms.kubernetes.making import (
    container_of,
    make_job,
    manifest_of,
    pod_of,
    settings_of,
    values_of,
)

GOLDEN = Path(__file__).parent / "golden" / "rayjob-8x8-h100.yaml"
KINDS = ("head", "worker", "submitter")
SETTINGS = settings_of("claims={/runs: runs}")
HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
LINES = HOSTILE.filter(lambda text: all(ord(character) >= 32 and ord(character) != 127 for character in text))


def _shape(thing: Any) -> Any:
    """The keys and types of a thing, without its texts; labels and annotations are of texts."""
    if isinstance(thing, dict):
        return {key: _shape(value) for key, value in thing.items()}
    if isinstance(thing, list):
        return [_shape(item) for item in thing]
    return type(thing).__name__


HARMLESS = _shape(manifest_of(make_job(SETTINGS)))


def test_eight_nodes_of_eight_h100_give_the_golden_file() -> None:
    job = make_job(settings_of(profile="kubernetes-h100"), name="spec-005", ranks=64, gpus=1, profile="kubernetes-h100")
    text = rayjob_manifest(job).replace(version("ray"), "2.60.0")
    if os.environ.get("MIDTRAIN_WRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "If the change is meant: MIDTRAIN_WRITE_GOLDEN=1 pytest tests/platforms/kubernetes/test_manifest.py"


@settings(max_examples=30, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_hostile_names_and_paths_arrive_as_they_are_and_change_nothing_else(name: str, folder: str, key: str) -> None:
    run = RunDirectory(Path("/runs") / folder.replace("\0", "0").strip("/"))
    hostile = manifest_of(make_job(SETTINGS, name=name, runs=(run,), key=key, profile=name))
    variables = values_of(container_of(hostile, "head")["env"])
    assert values_of(container_of(hostile, "worker")["env"])["MIDTRAIN_RUN"] == str(run.root)
    assert variables["MIDTRAIN_RUN"] == str(run.root)
    assert variables["MIDTRAIN_LOG"] == str(run.job_log)
    assert hostile["metadata"]["annotations"]["midtrain/run-directory"] == str(run.root)
    assert _shape(hostile) == HARMLESS
    assert hostile["spec"]["entrypoint"] == "midtrain job"


@settings(max_examples=30, deadline=None)
@given(LINES)
def test_hostile_values_of_variables_arrive_as_they_are(value: str) -> None:
    manifest = manifest_of(make_job(replace(SETTINGS, environment={"WHATEVER": value})))
    for kind in ("head", "worker"):
        assert values_of(container_of(manifest, kind)["env"])["WHATEVER"] == value


def test_a_path_that_is_not_text_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"run.dir='/runs/.udc80' is not UTF-8"):
        rayjob_manifest(make_job(SETTINGS, runs=(RunDirectory(Path("/runs/\udc80")),)))


def test_a_reference_to_another_variable_is_not_followed() -> None:
    run = RunDirectory(Path("/runs/$(HOME) $x $$"))
    variables = container_of(manifest_of(make_job(SETTINGS, runs=(run,))), "head")["env"]
    assert {"name": "MIDTRAIN_RUN", "value": "/runs/$$(HOME) $$x $$$$"} in variables


def test_secrets_are_references_and_the_submitter_has_none() -> None:
    manifest = manifest_of(make_job(settings_of("secrets.HF_TOKEN.name=midtrain", "secrets.HF_TOKEN.key=hf")))
    reference = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "midtrain", "key": "hf"}}}
    assert [reference in container_of(manifest, kind)["env"] for kind in KINDS] == [True, True, False]


def test_no_rank_runs_on_the_head_and_all_workers_are_there_or_none() -> None:
    manifest = manifest_of(make_job(SETTINGS, ranks=32, gpus=1))
    cluster = manifest["spec"]["rayClusterSpec"]
    (group,) = cluster["workerGroupSpecs"]
    assert {key: cluster["headGroupSpec"]["rayStartParams"][key] for key in ("num-cpus", "num-gpus")} == {"num-cpus": "0", "num-gpus": "0"}
    assert "nvidia.com/gpu" not in container_of(manifest, "head")["resources"]["limits"]
    assert [group[key] for key in ("replicas", "minReplicas", "maxReplicas")] == [4, 4, 4]
    assert container_of(manifest, "worker")["resources"]["limits"]["nvidia.com/gpu"] == 8


def test_requests_are_limits_and_ranks_on_cpus_ask_for_no_gpu() -> None:
    manifest = manifest_of(make_job(SETTINGS, ranks=8, gpus=0))
    for kind in KINDS:
        resources = container_of(manifest, kind)["resources"]
        assert resources["limits"] == resources["requests"]
    assert sorted(container_of(manifest, "worker")["resources"]["limits"]) == ["cpu", "memory"]


def test_no_pod_is_root_or_may_write_outside_its_volumes_or_has_a_token() -> None:
    manifest = manifest_of(make_job(SETTINGS))
    for kind in KINDS:
        spec, own = pod_of(manifest, kind)["spec"], container_of(manifest, kind)["securityContext"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert spec["restartPolicy"] == "Never"


def test_pods_run_as_whoever_made_the_runs_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("getuid", 1234), ("getgid", 1300), ("getgroups", [1300, 0, 1400])):
        monkeypatch.setattr(os, name, lambda value=value: value)
    for kind in KINDS:
        context = pod_of(manifest_of(make_job(SETTINGS)), kind)["spec"]["securityContext"]
        assert [context[key] for key in ("runAsUser", "runAsGroup", "supplementalGroups")] == [1234, 1300, [1400]]
        assert "fsGroup" not in context, "it would have a whole claim change hands at each launch"


def test_pods_run_as_the_owner_of_a_directory_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    found = tmp_path.stat()
    assert identity(RunDirectory(tmp_path)) == ((found.st_uid, found.st_gid, ()) if found.st_uid else (10001, 10001, ()))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_what_root_has_made_is_given_to_the_images_user_and_what_is_anothers_is_not(tmp_path: Path) -> None:
    ours, theirs = RunDirectory(tmp_path / "ours"), RunDirectory(tmp_path / "theirs")
    for run in (ours, theirs):
        (run.root / "launch").mkdir(parents=True)
        (run.root / "launch" / "a").touch()
    os.chown(theirs.root, 1234, 1234)
    kubernetes = Kubernetes(SETTINGS, Api())
    kubernetes.own(make_job(SETTINGS, runs=(ours, theirs)))
    assert {path.stat().st_uid for path in (ours.root, *ours.root.rglob("*"))} == {10001}
    assert (theirs.root / "launch" / "a").stat().st_uid == 0
    assert [identity(run) for run in (ours, theirs)] == [(10001, 10001, ()), (1234, 1234, ())]


def test_a_pod_has_its_grace_and_leaves_before_ray_is_ended() -> None:
    manifest = manifest_of(make_job(settings_of("grace_seconds=300")))
    for kind in ("head", "worker"):
        assert pod_of(manifest, kind)["spec"]["terminationGracePeriodSeconds"] == 300
        command = container_of(manifest, kind)["lifecycle"]["preStop"]["exec"]["command"]
        assert command == ["python", "-m", "orchestrator.scheduling.leave"]
    assert values_of(container_of(manifest, "head")["env"])["RAY_JOB_STOP_WAIT_TIME_S"] == "300"


def test_with_a_queue_the_job_waits_for_kueue_and_without_one_it_does_not() -> None:
    queued = manifest_of(make_job(settings_of("queue=research", "topology=cloud.example.com/rack")))
    assert queued["spec"]["suspend"] is True and queued["spec"]["shutdownAfterJobFinishes"] is True
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    assert pod_of(queued, "worker")["metadata"]["annotations"]["kueue.x-k8s.io/podset-required-topology"] == "cloud.example.com/rack"
    assert "suspend" not in manifest_of(make_job(SETTINGS))["spec"]


def test_limits_of_time_and_tries_are_those_of_the_settings() -> None:
    spec = manifest_of(make_job(settings_of("time_limit='0-02:00:00'", "keep_seconds=60", "max_retries=5")))["spec"]
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"], spec["backoffLimit"]) == (7200, 60, 5)
    assert spec["preRunningDeadlineSeconds"] == 3600
    assert "activeDeadlineSeconds" not in manifest_of(make_job(SETTINGS))["spec"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["environment={MIDTRAIN_RUN: x}"], "launch.environment.MIDTRAIN_RUN is set by midtrain"),
        (["secrets.RAY_AUTH_TOKEN.name=a", "secrets.RAY_AUTH_TOKEN.key=b"], "launch.secrets.RAY_AUTH_TOKEN is set by midtrain"),
        (["environment={A: x}", "secrets.A.name=a", "secrets.A.key=b"], "are the same variable"),
        (["labels={midtrain/key: x}"], "launch.labels has midtrain/key"),
        (["labels={kueue.x-k8s.io/queue-name: x}"], "a queue is named by launch.queue"),
    ],
)
def test_settings_that_say_the_same_thing_twice_are_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rayjob_manifest(make_job(settings_of(*overrides)))


@pytest.mark.parametrize("profile", ["kubernetes", "kubernetes-h100"])
def test_a_profile_without_an_image_says_what_is_missing(profile: str) -> None:
    with pytest.raises(ConfigError, match=r"launch.image has no value. Give one: launch.image="):
        load_settings("kubernetes", [f"profile={profile}"])


def test_a_profile_that_has_a_secret_in_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="looks like a secret"):
        settings_of("environment={HF_TOKEN: hf_abcdefghijklmnop}")


def test_the_manifest_is_one_document_that_comments_explain() -> None:
    text = rayjob_manifest(make_job(SETTINGS, name="mine\n# no: comment"))
    assert parse_manifest(text)["kind"] == "RayJob"
    assert text.splitlines()[0] == "# midtrain: mine?# no: comment, submission 1, by profile kubernetes"
