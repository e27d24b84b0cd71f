"""Which files a source is, and how they become units of work."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.corpus.files import SUFFIXES, into_groups, list_files
from orchestrator.corpus.storage import SourceFile
from orchestrator.errors import DataError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of every known kind, and of others."""
    for name in [*(f"b/x{suffix}" for suffix in SUFFIXES), "a/z.md", "a/y.txt", "notes.pdf", "b/deep/er/w.jsonl"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(tree: Path, *patterns: str) -> list[str]:
    return [str(Path(file.path).relative_to(tree)) for file in list_files("docs", [str(tree / pattern) for pattern in patterns])]


def test_a_folder_gives_every_known_file_below_it_by_path(tree: Path) -> None:
    known = sorted(f"b/x{suffix}" for suffix in SUFFIXES)
    assert sorted(names(tree, "b")) == sorted([*known, "b/deep/er/w.jsonl"])
    assert names(tree, "a") == ["a/y.txt", "a/z.md"]


def test_sizes_are_in_bytes(tree: Path) -> None:
    found = list_files("docs", [str(tree / "a")])
    assert [(file.path, file.size_bytes) for file in found] == [(str(tree / "a" / "y.txt"), 7), (str(tree / "a" / "z.md"), 6)]


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["a/*.md"], ["a/z.md"]),
        (["**/*.md"], ["a/z.md", "b/x.md"]),
        (["a/[yz].*"], ["a/y.txt", "a/z.md"]),
        (["b/x.md", "a"], ["b/x.md", "a/y.txt", "a/z.md"]),
        (["a", "a/z.md", "a"], ["a/y.txt", "a/z.md"]),
        (["b/x.md", "a", "b/*.md"], ["b/x.md", "a/y.txt", "a/z.md"]),
    ],
)
def test_patterns_are_taken_in_their_order_and_no_file_twice(tree: Path, patterns: list[str], found: list[str]) -> None:
    assert names(tree, *patterns) == found


def test_the_order_of_files_does_not_depend_on_the_order_on_disk(tmp_path: Path) -> None:
    for name in ("c.txt", "a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    assert names(tmp_path, ".") == ["a.txt", "b.txt", "c.txt"]


@pytest.mark.parametrize("name", ["x[1].jsonl", "what?.md", "star*.txt"])
def test_a_file_that_is_named_whole_is_found_whatever_characters_its_name_has(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text")
    assert names(tmp_path, name) == [name]


def test_one_file_by_two_names_is_taken_once(tree: Path) -> None:
    assert len(names(tree, "a/z.md", "b/../a/z.md")) == 1


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("nowhere.md", ["'docs'", "nowhere.md", "sources.docs"]),
        ("nowhere/*.md", ["'docs'", "nowhere/*.md"]),
        ("notes.pdf", ["'docs'", "notes.pdf", ".jsonl.zst"]),
        ("*", ["'docs'"]),
        ("empty", ["'docs'", "empty"]),
        ("empty.md", ["'docs'", "empty.md", "0 bytes", "sources.docs.paths"]),
    ],
)
def test_a_pattern_without_usable_files_is_an_error_that_names_source_and_path(tree: Path, pattern: str, named: list[str]) -> None:
    (tree / "empty").mkdir()
    (tree / "empty.md").touch()
    with pytest.raises(DataError) as caught:
        list_files("docs", [str(tree / pattern)])
    assert [part for part in named if part not in str(caught.value)] == []


def test_a_folder_with_the_name_of_a_file_is_none(tree: Path) -> None:
    (tree / "a" / "folder.md").mkdir()
    (tree / "a" / "folder.md" / "inside.md").write_text("inside")
    assert names(tree, "a") == ["a/folder.md/inside.md", "a/y.txt", "a/z.md"]
    assert names(tree, "a/*.md") == ["a/z.md"]


@pytest.mark.parametrize("pattern", ["a", "a/*.md", "a/gone.md"])
def test_a_link_that_leads_nowhere_is_an_error_that_names_it(tree: Path, pattern: str) -> None:
    (tree / "a" / "gone.md").symlink_to(tree / "a" / "pruned")
    with pytest.raises(DataError, match=r"a/gone\.md"):
        names(tree, pattern)


def test_linked_folders_are_entered_and_each_folder_once(tree: Path) -> None:
    (tree / "b" / "elsewhere").symlink_to(tree / "a")
    (tree / "b" / "deep" / "back").symlink_to(tree / "b")
    found = names(tree, "b")
    assert [name for name in found if "elsewhere" in name] == ["b/elsewhere/y.txt", "b/elsewhere/z.md"]
    assert sum(name.endswith("w.jsonl") for name in found) == 1


def test_a_folder_that_may_not_be_read_is_an_error_that_names_it(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"b/deep cannot be read: Permission denied"):
        names(tree, "b")


files = st.lists(st.builds(SourceFile, path=st.text(min_size=1), size_bytes=st.integers(1, 1000), version=st.just("1")))


@settings(deadline=None)
@given(files=files, group_bytes=st.integers(1, 3000))
def test_groups_hold_every_file_once_in_order_and_all_but_the_last_are_full(files: list[SourceFile], group_bytes: int) -> None:
    groups = into_groups(files, group_bytes)
    assert [file for group in groups for file in group] == files
    sizes = [sum(file.size_bytes for file in group) for group in groups]
    assert all(size >= group_bytes for size in sizes[:-1])
    assert all(size - group[-1].size_bytes < group_bytes for group, size in zip(groups, sizes, strict=True))


@settings(deadline=None)
@given(files=files, more=files, group_bytes=st.integers(1, 3000))
def test_files_added_at_the_end_leave_full_groups_as_they_are(files: list[SourceFile], more: list[SourceFile], group_bytes: int) -> None:
    before, after = into_groups(files, group_bytes), into_groups([*files, *more], group_bytes)
    assert after[: max(0, len(before) - 1)] == before[:-1]
