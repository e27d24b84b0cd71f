"""Are the versions of the images those of constraints.txt?

Without an option: every package that the image asks for is pinned there, and the torch of the Dockerfile is that of the Makefile. With
`--installed`, inside an image: all that is installed beside torch and what torch brings is as it is pinned. Exit code 1 and a line for each
difference. It needs nothing but Python.
"""

import re
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

EXTRAS = ("kubernetes", "s3")  # of pyproject.toml, in the images
_OF_TORCH = re.compile(r"torch|triton|nvidia-.*|cuda-.*|sympy|mpmath|networkx|setuptools")  # its index decides
_OWN = ("midtrain", "pip", "wheel")


def canonical(name: str) -> str:
    """A package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(root: Path) -> dict[str, str]:
    """The versions of constraints.txt."""
    lines = (line.split("==") for line in (root / "constraints.txt").read_text(encoding="utf-8").split())
    return {canonical(name): version for name, version in lines}


def requirements(root: Path) -> list[str]:
    """What the images ask for, as pyproject.toml writes it."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]


def unpinned(root: Path) -> list[str]:
    """What is asked for and not pinned, and torches that differ."""
    names = [canonical(re.split(r"[\[<>=!~; ]", line)[0]) for line in requirements(root)]
    problems = [f"{name} is asked for and not pinned in constraints.txt" for name in names if name != "torch" and name not in pins(root)]
    image = re.findall(r"^ARG TORCH=(\S+)$", (root / "docker" / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    checkout = re.findall(r"^TORCH \?= (\S+)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return problems if image == checkout else [*problems, f"docker/Dockerfile has {image}, and the Makefile {checkout}"]


def deviating(root: Path) -> list[str]:
    """What is installed here otherwise than it is pinned, or without being pinned."""
    wanted = pins(root)
    found = {canonical(one.metadata["Name"]): one.version for one in distributions()}
    return [
        f"{name} is {version} here, and {wanted.get(name, 'not pinned')} in constraints.txt"
        for name, version in sorted(found.items())
        if wanted.get(name) != version and name not in _OWN and not _OF_TORCH.fullmatch(name)
    ]


def main() -> int:
    """Print what differs."""
    root = Path(__file__).resolve().parents[1]
    if "--requirements" in sys.argv:
        print(*requirements(root), sep="\n")
        return 0
    problems = deviating(root) if "--installed" in sys.argv else unpinned(root)
    print(*problems, sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
