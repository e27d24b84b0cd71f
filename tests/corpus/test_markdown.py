"""Markdown by its sections: cut before every heading that is one, and nothing is lost."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.corpus.documents import Document
from orchestrator.corpus.markdown import body, sections
from tests.corpus.writing import read, split, write_texts


def cut(text: str) -> list[tuple[int, str]]:
    return [(number, section.decode()) for number, section in sections(body(text.encode().splitlines(keepends=True)))]


CUTS = {
    "two": ("# A\n\nx\n\n## B\ny\n", [(1, "# A\n\nx\n\n"), (5, "## B\ny\n")]),
    "before the first": ("intro\n\n# A\nx\n", [(1, "intro\n\n"), (3, "# A\nx\n")]),
    "blank before the first": ("\n  \n# A\nx\n", [(3, "# A\nx\n")]),
    "none": ("just\ntext\n", [(1, "just\ntext\n")]),
    "headings alone": ("# A\n## B", [(1, "# A\n"), (2, "## B")]),
    "six marks": ("###### A\n####### no\n", [(1, "###### A\n####### no\n")]),
    "no space": ("# A\n#no\n#\tyes\n#\n", [(1, "# A\n#no\n"), (3, "#\tyes\n"), (4, "#\n")]),
    "indented": ("   # A\n    # code\n\t# code\n", [(1, "   # A\n    # code\n\t# code\n")]),
    "fenced": ("# A\n```sh\n# no\n```\n# B\n", [(1, "# A\n```sh\n# no\n```\n"), (5, "# B\n")]),
    "tildes": ("~~~\n# no\n```\n# no\n~~~\n# B\n", [(1, "~~~\n# no\n```\n# no\n~~~\n"), (6, "# B\n")]),
    "longer fence": ("````\n```\n# no\n`````  \n# B\n", [(1, "````\n```\n# no\n`````  \n"), (5, "# B\n")]),
    "not a close": ("```\n``` x\n# no\n", [(1, "```\n``` x\n# no\n")]),
    "no fence": ("``` a`b\n# A\n", [(1, "``` a`b\n"), (2, "# A\n")]),
    "never closed": ("# A\n```\n# no\n", [(1, "# A\n```\n# no\n")]),
    "underlined": ("A\n=\nx\n", [(1, "A\n=\nx\n")]),
    "CRLF": ("# A\r\n```\r\n# no\r\n```\r\n# B\r\n", [(1, "# A\r\n```\r\n# no\r\n```\r\n"), (5, "# B\r\n")]),
    "front matter": ("---\n# kind: essay\n---\n\n# A\nx\n", [(5, "# A\nx\n")]),
    "front matter and text": ("---\nkind: essay\n---\n\nintro\n# A\n", [(5, "intro\n"), (6, "# A\n")]),
    "never closed front matter": ("---\nkind\n# A\n", [(1, "---\nkind\n"), (3, "# A\n")]),
    "byte order mark": ("\ufeff# A\nx\n# B\n", [(1, "# A\nx\n"), (3, "# B\n")]),
    "empty": ("", []),
    "front matter alone": ("---\nkind: essay\n---\n\n", []),
}


@pytest.mark.parametrize(("text", "found"), CUTS.values(), ids=CUTS.keys())
def test_a_section_begins_at_every_heading_outside_code(text: str, found: list[tuple[int, str]]) -> None:
    assert cut(text) == found


pieces = st.sampled_from(["# A", "## B", "#no", "```", "~~~~", "````", "``` sh", "text", "", "  ", "---", "    # code", "\ufeff", "x\r"])


@settings(deadline=None)
@given(lines=st.lists(pieces, max_size=12), end=st.sampled_from(["", "\n"]))
@example(lines=["---", "---", "", "text"], end="")
def test_sections_come_to_the_text_of_the_file_but_for_blank_lines_before_the_first_heading(lines: list[str], end: str) -> None:
    text = "\n".join(lines) + end
    whole = "".join(line.decode() for _, line in body(text.encode().splitlines(keepends=True)))
    joined = "".join(section for _, section in cut(text))
    lost = whole.removesuffix(joined) if joined else whole
    assert (lost.strip(), lost + joined) == ("", whole)
    numbered = text.removeprefix("\ufeff").split("\n")
    assert [number for number, section in cut(text) if not numbered[number - 1].startswith(section.split("\n")[0])] == []


def test_a_file_is_a_document_or_each_of_its_sections_is(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"---\na: b\n---\n# A\nx\n# \xff\n# C\n")
    assert [item.origin for item in read(path)] == [str(path)]
    documents, (reject,) = split(path, markdown="section")
    assert [(document.place, document.text) for document in documents] == [(4, "# A\nx\n"), (7, "# C\n")]
    assert (reject.place, "not UTF-8" in reject.reason) == (6, True)


def test_only_markdown_has_sections(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# A\n# B\n")
    for path in (tmp_path / "a.txt", write_texts(tmp_path / "a.jsonl", ["# A\n# B\n"])):
        (document,) = read(path, markdown="section")
        assert isinstance(document, Document)
        assert document.text == "# A\n# B\n"


def test_markdown_without_one_section_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\na: b\n---\n\n \n")
    documents, (reject,) = split(tmp_path / "a.md", markdown="section")
    assert (documents, reject.place, reject.reason) == ([], None, "the text is empty")
