"""What is in a folder, to tell whether a command left it alone."""

from pathlib import Path


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the last change of everything below a folder; locks, which hold nothing, are left out."""
    found = (path for path in folder.rglob("*") if path.name != ".lock")
    return {str(path.relative_to(folder)): _state(path) for path in found}


def _state(path: Path) -> tuple[int, int]:
    """A folder's own times change with a lock in it; its content is listed anyway."""
    return (0, 0) if path.is_dir() else (path.stat().st_size, path.stat().st_mtime_ns)
