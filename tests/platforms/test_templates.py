"""Values get into what is submitted only quoted, whatever they are."""

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.platforms.templates import as_yaml, comment, kept_template, render, sbatch, shell

HOSTILE = [
    "'; rm -rf /; '",
    '"$(id)"',
    "`id`",
    "a\nb",
    "$HOME",
    "\\",
    "it's",
    "#",
    "- a: b",
    "{{ 7*7 }}",
    "{% raw %}",
    "é ☃ 💥",
    "%j",
    "~",
    "null",
    "\t",
]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.sampled_from(HOSTILE))
def test_a_quoted_word_comes_out_of_yaml_as_it_went_in(text: str) -> None:
    assert yaml.safe_load(f"key: {as_yaml(text)}") == {"key": text}
    assert "\n" not in as_yaml(text)


def test_quoted_words_come_out_of_bash_as_they_went_in() -> None:
    script = "printf '%s\\0' " + " ".join(shell(text) for text in HOSTILE)
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split("\0")[:-1] == HOSTILE


@given(st.text())
def test_a_comment_never_ends_its_line(text: str) -> None:
    assert comment(text).isprintable()


@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "\x7f"])
def test_an_sbatch_line_takes_no_control_characters(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot stand on an #SBATCH line"):
        sbatch(text)


def template(folder: Path, text: str) -> str:
    (folder / "launch").mkdir(exist_ok=True)
    (folder / "launch" / "mine.j2").write_text(text)
    return "mine.j2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo {{ name }}\n", "a value stands in it without a filter"),
        ("echo {{ nothing | shell }}\n", "'nothing' is undefined"),
        ("echo {{ nothing }}\n", "'nothing' is undefined"),
        ("{% if name %}\n", "mine.j2:"),
    ],
)
def test_a_template_with_an_unquoted_unknown_or_unfinished_value_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        render(template(tmp_path, text), {"name": "a b"})


def test_a_template_of_ones_own_is_found_beside_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert render(template(tmp_path, "echo {{ name | shell }} {{ 2 }}\n"), {"name": "a b"}) == "echo 'a b' 2\n"


def test_a_template_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"launch\.template=nowhere\.j2"):
        render("nowhere.j2", {})


def test_a_submission_keeps_where_a_users_template_is_and_the_name_of_one_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = template(tmp_path, "")
    assert kept_template(name) == str(tmp_path / "launch" / name)
    assert kept_template("slurm/job.sh.j2") == "slurm/job.sh.j2"
