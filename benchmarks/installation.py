"""The peers' environments: virtual ones below `.bench/`, each installed once, never with a CUDA torch."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "environments"
_CUDA = re.compile(r"^(nvidia-|cuda-|triton$)")


def python_of(environment: str, root: Path, torch_index: str | None) -> Path:
    """The interpreter of an environment, installed first if need be.

    Args:
        environment: a name in `benchmarks/environments/`, or `own` for the interpreter that this runs in.
        root: where environments are kept.
        torch_index: where pip finds CPU builds of torch, if not where it looks anyway.

    Raises:
        RuntimeError: pip failed, or would have fetched a CUDA build.
    """
    if environment == "own":
        return Path(sys.executable)
    requirements = REQUIREMENTS / f"{environment}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = root / environment
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {environment} into {folder}; this is done once and takes minutes", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        _install(folder / "bin" / "python", requirements, torch_index)
        stamp.write_text(wanted)
    return folder / "bin" / "python"


def _install(python: Path, requirements: Path, torch_index: str | None) -> None:
    """Torch first and by itself, then the rest beside it."""
    lines = requirements.read_text().split()
    for torch in [line for line in lines if line.startswith("torch==")]:
        _pip(python, [torch, "numpy"], ["--extra-index-url", torch_index] if torch_index else [])
    _pip(python, ["-r", str(requirements)], [])


def _pip(python: Path, packages: list[str], options: list[str]) -> None:
    """Resolve, look at what it comes to, and install just that."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *options]
    planned = _run([*command, "--dry-run", "--report", "-", *packages], python.parents[1])
    found = [item["metadata"] for item in json.loads(planned)["install"]]
    if cuda := [each["name"] for each in found if _CUDA.match(each["name"].lower())]:
        raise RuntimeError(
            f"{' '.join(packages)} would bring {len(cuda)} packages of CUDA, such as {cuda[0]}. Name an index of CPU builds: "
            f"make bench-data TORCH_INDEX=https://download.pytorch.org/whl/cpu"
        )
    if found:
        _run([*command, "--no-deps", *(f"{each['name']}=={each['version']}" for each in found)], python.parents[1])


def _run(command: list[str], folder: Path) -> str:
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(temporary)})
    if done.returncode:
        raise RuntimeError(f"pip failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return done.stdout
