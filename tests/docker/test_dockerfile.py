"""The Dockerfile is lint-free, packs the whole package, and its two images differ only in what they must."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IMAGES = ["cpu", "cuda"]


def stage(name: str) -> str:
    """The instructions of one stage, without continuations and comments."""
    (found,) = re.findall(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    return re.sub(r"^#.*\n", "", found.replace("\\\n", ""), flags=re.MULTILINE)


def taken_from_context() -> set[str]:
    """Top-level files and folders of the checkout that a stage copies or mounts."""
    copied = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    mounted = re.findall(r"--mount=type=bind,source=([^,\s]+)", DOCKERFILE)
    return {path.rstrip("/") for paths in copied for path in paths.split()} | set(mounted)


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    command = [str(hadolint), "--no-color", "--config", "docker/.hadolint.yaml", "docker/Dockerfile"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (result.stdout + result.stderr, result.returncode) == ("", 0)


def test_the_wheel_is_built_from_everything_that_the_package_is_made_of() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", PROJECT["project"]["readme"], *wheel["packages"], *wheel["force-include"]}
    assert needed - taken_from_context() == set()


def test_the_build_context_admits_just_what_the_images_take() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == taken_from_context()


def test_the_torch_of_the_images_is_one_that_the_package_allows() -> None:
    (version,) = re.findall(r"^ARG TORCH=torch==(\S+)$", DOCKERFILE, re.MULTILINE)
    (allowed,) = [r for r in map(Requirement, PROJECT["project"]["dependencies"]) if r.name == "torch"]
    assert version in allowed.specifier


def test_the_toolkit_of_the_cuda_image_is_the_one_that_its_torch_was_built_with() -> None:
    (major, minor), (built_with,) = re.findall(r"nvidia/cuda:(\d+)\.(\d+)\.", DOCKERFILE)[0], re.findall(r"whl/cu(\d+)", DOCKERFILE)
    assert major + minor == built_with


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_ends_as_a_user_without_privileges_under_an_init(image: str) -> None:
    uids, users = re.findall(r"useradd --uid (\d+)", stage(image)), re.findall(r"^USER (\d+):(\d+)$", stage(image), re.MULTILINE)
    assert users == [(uid, uid) for uid in uids] and uids != ["0"]
    assert 'ENTRYPOINT ["tini", "--"]' in stage(image)


@pytest.mark.parametrize("image", IMAGES)
def test_no_cache_of_a_package_manager_stays_in_a_layer(image: str) -> None:
    runs = re.findall(r"^RUN .*$", stage(image), re.MULTILINE)
    pip = [run for run in runs if "pip install" in run]
    assert len(pip) == 3 and all("--mount=type=cache,target=/root/.cache/pip" in run or "--no-cache-dir" in run for run in pip)
    assert all("rm -rf /var/lib/apt/lists/*" in run for run in runs if "apt-get" in run)


def test_only_the_cpu_image_tells_deepspeed_to_stay_on_the_cpu() -> None:
    assert [image for image in IMAGES if "DS_ACCELERATOR=cpu" in stage(image)] == ["cpu"]


def test_all_that_the_images_ask_for_is_pinned() -> None:
    checked = subprocess.run([sys.executable, "docker/check_pins.py"], cwd=ROOT, capture_output=True, text=True)
    assert (checked.stdout.strip(), checked.returncode) == ("", 0)


def test_a_package_that_is_not_as_it_is_pinned_is_said(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "constraints.txt", "Makefile", "docker/Dockerfile", "docker/check_pins.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    pinned = (ROOT / "constraints.txt").read_text()
    (tmp_path / "constraints.txt").write_text(re.sub(r"pydantic==\S+", "pydantic==0.0.1", pinned).replace("wandb==", "wandberer=="))
    said = [
        subprocess.run([sys.executable, "docker/check_pins.py", *words], cwd=tmp_path, capture_output=True, text=True).stdout
        for words in ([], ["--installed"])
    ]
    assert "wandb is asked for and not pinned" in said[0]
    assert "and 0.0.1 in constraints.txt" in said[1] and "pydantic is " in said[1]
