"""The two-node cluster: what every one of its services must have, and options that the installed Ray knows."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.secrets import refuse_secrets

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
UNITS = {"mb": 1 << 20, "gb": 1 << 30}

every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def words(service: dict[str, Any]) -> list[str]:
    """What a service runs, entrypoint and command, word by word."""
    parts = (service.get(key, []) for key in ("entrypoint", "command"))
    return [word for part in parts for line in ([part] if isinstance(part, str) else part) for word in line.split()]


def default_of(value: str) -> str:
    """What an interpolated value is when its variable is unset."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


@pytest.fixture(scope="module")
def ray_start_options() -> set[str]:
    ray = Path(sys.executable).parent / "ray"
    shown = subprocess.run([ray, "start", "--help"], capture_output=True, text=True, timeout=120, check=True).stdout
    return set(re.findall(r"^ +(--[a-z-]+)", shown, re.MULTILINE))


def test_the_cluster_is_a_head_a_worker_and_a_trainer_that_starts_only_when_asked() -> None:
    assert {name: service.get("profiles", []) for name, service in SERVICES.items()} == {"head": [], "worker": [], "trainer": ["train"]}


@every_service
def test_a_service_runs_as_the_user_of_the_image_without_privileges(service: dict[str, Any]) -> None:
    users = set(re.findall(r"^USER (\S+)$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE))
    assert {service["user"]} == users
    assert not service["user"].startswith(("0", "root"))
    assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service


@every_service
def test_a_service_takes_its_secrets_from_the_environment(service: dict[str, Any]) -> None:
    assert service["environment"]["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN:?")  # none, no cluster
    written = {key: value for key, value in service["environment"].items() if value is not None and not value.startswith("${")}
    refuse_secrets([f"{key}={value}" for key, value in written.items()])
    refuse_secrets([word.lstrip("-") for word in words(service)])


@every_service
def test_a_service_sees_the_same_data_and_runs_as_every_other(service: dict[str, Any]) -> None:
    mounts = [default_of(volume).split(":") for volume in service["volumes"]]
    assert mounts == [["data", "/workspace/data"], ["runs", "/workspace/runs"]]
    assert {name for name, _ in mounts} == set(COMPOSE["volumes"])


@every_service
def test_a_service_has_shared_memory_for_more_than_its_object_store(service: dict[str, Any]) -> None:
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", default_of(service["shm_size"])).groups()  # type: ignore[union-attr]
    (store,) = [int(word.partition("=")[2]) for word in words(service) if word.startswith("--object-store-memory=")]
    assert store < int(number) * UNITS[unit]


@every_service
def test_a_service_starts_ray_with_options_that_the_installed_ray_knows(service: dict[str, Any], ray_start_options: set[str]) -> None:
    run = words(service)
    after = run[run.index("start") + 1 :]
    options = {word.partition("=")[0] for word in after if word.startswith("--")}
    assert "--address" in options or "--head" in options
    assert options - ray_start_options == set()


def test_the_trainer_drives_the_cluster_from_a_node_of_its_own_that_offers_nothing() -> None:
    trainer = SERVICES["trainer"]
    assert trainer["environment"]["RAY_ADDRESS"] == "head:6379"
    assert {"--num-cpus=0", "--num-gpus=0"} <= set(words(trainer))
    assert default_of(trainer["command"]) == "midtrain train experiment=demo"
    assert {name: need["condition"] for name, need in trainer["depends_on"].items()} == dict.fromkeys(["head", "worker"], "service_healthy")
