"""Where the files that ship with the package are: beside it in a checkout, inside it in a wheel."""

from pathlib import Path


def resource(name: str) -> Path:
    """Locate a shipped folder.

    Args:
        name: a top-level folder of the project, such as `conf` or `examples`.

    Returns:
        Its absolute path.
    """
    package = Path(__file__).resolve().parent
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent / name
