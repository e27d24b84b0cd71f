"""General text that every machine with Python on it has: source code, and English documentation of installed packages."""

import ast
import itertools
import json
import re
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGES = ("numpy", "pydantic", "fsspec", "huggingface_hub", "pyarrow", "deepspeed", "wandb", "transformers", "ray", "torch")
ENOUGH_CHARACTERS = 11_000_000  # of one source: with the other, over five million tokens
LARGEST_FILE_BYTES = 400_000
SHORTEST_DOCUMENT_CHARACTERS = 600
_SKIPPED_FOLDERS = {"site-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__", "node_modules"}
_ENGLISH = re.compile(r"\b(?:the|of|to|is|and|a|in|that|for|this|be|if)\b", re.IGNORECASE)
_WORD = re.compile(r"\S+")


def python_source(root: Path) -> Iterator[tuple[str, str]]:
    """The Python files below a directory, tests and installed packages left out.

    Args:
        root: the directory, such as that of the standard library.

    Yields:
        (path below the root, text), in the order of the paths.
    """
    for path in _python_files(root):
        text = _read(path)
        if len(text) >= SHORTEST_DOCUMENT_CHARACTERS:
            yield path.relative_to(root).as_posix(), text


def package_documentation(site_packages: Path, packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What installed packages say of themselves in English: for each Python file its docstrings, and each Markdown or reST file.

    Args:
        site_packages: the directory that the packages are in.
        packages: their import names; one that is not installed has no documents.

    Yields:
        (path below site_packages, text), in the order of packages and paths.
    """
    for package in packages:
        root = site_packages / package
        written = sorted(p for suffix in ("md", "rst") for p in root.rglob(f"*.{suffix}") if p.stat().st_size <= LARGEST_FILE_BYTES)
        prose = ((path, _read(path)) for path in written)
        docstrings = ((path, "\n\n".join(_docstrings(_read(path)))) for path in _python_files(root))
        for path, text in itertools.chain(prose, docstrings):
            if len(text) >= SHORTEST_DOCUMENT_CHARACTERS and _is_english(text):
                yield path.relative_to(site_packages).as_posix(), text


def write_general_text(target: Path) -> None:
    """Gather both sources into `python_source.jsonl` and `package_docs.jsonl`, once; each file appears whole or not at all.

    Args:
        target: the directory to write them to.
    """
    paths = sysconfig.get_paths()
    target.mkdir(parents=True, exist_ok=True)
    _write_once(target / "python_source.jsonl", python_source(Path(paths["stdlib"])))
    _write_once(target / "package_docs.jsonl", package_documentation(Path(paths["purelib"]), PACKAGES))


def _write_once(path: Path, documents: Iterator[tuple[str, str]]) -> None:
    if path.exists():
        return
    partial = path.with_suffix(".partial")
    written_characters = 0
    with partial.open("w", encoding="utf-8") as file:
        for name, text in documents:
            file.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")
            written_characters += len(text)
            if written_characters >= ENOUGH_CHARACTERS:
                break
    partial.rename(path)


def _python_files(root: Path) -> list[Path]:
    files = (p for p in root.rglob("*.py") if not _SKIPPED_FOLDERS.intersection(p.relative_to(root).parts))
    return sorted(p for p in files if p.stat().st_size <= LARGEST_FILE_BYTES)


def _read(path: Path) -> str:
    """The file's text, or nothing when it is not UTF-8: the demo is free to choose its text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def _docstrings(source: str) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(source)
    except SyntaxError:
        return []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented))
    return [text for text in found if text and len(text) >= 80]


def _is_english(text: str) -> bool:
    words = len(_WORD.findall(text))
    return words > 0 and len(_ENGLISH.findall(text)) / words >= 0.12
