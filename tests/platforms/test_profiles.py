"""Site profiles, and the settings that come of them."""

from pathlib import Path

import pytest

from orchestrator.errors import ConfigError
from orchestrator.platforms.profiles import load_settings, split_overrides
from orchestrator.platforms.settings import KubernetesSettings, SlurmSettings, seconds_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "launch" / "profiles").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(home: Path, name: str, text: str) -> None:
    (home / "launch" / "profiles" / f"{name}.yaml").write_text(text)


def slurm(*overrides: str) -> SlurmSettings:
    settings = load_settings("slurm", overrides)[1]
    assert isinstance(settings, SlurmSettings)
    return settings


def test_a_profile_changes_what_it_names_and_an_override_has_the_last_word(home: Path) -> None:
    write(home, "mine", "platform: slurm\npartition: gpu\nranks_per_node: 4\n")
    settings = slurm("profile=mine", "ranks_per_node=2")
    assert (settings.partition, settings.ranks_per_node, settings.time_limit) == ("gpu", 2, slurm().time_limit)


def test_words_of_a_command_are_told_apart() -> None:
    assert split_overrides(["run.name=a", "launch.partition=low", "launch.profile=b"]) == (["run.name=a"], ["partition=low", "profile=b"])


@pytest.mark.parametrize("name", ["local", "slurm", "slurm-h100"])
def test_what_ships_is_valid(name: str) -> None:
    platform = name.partition("-")[0]
    assert load_settings(platform, [f"profile={name}"])[1].platform == platform


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["profile=nowhere"], r"there is no launch/profiles/nowhere\.yaml\. Profiles: .*slurm"),
        (["profile=local"], r"is a profile of local, not of slurm"),
        (["profile=../../etc"], "there is no launch/profiles"),
        (["partitoin=a"], r"launch\.partitoin is not a configuration key\. The closest is launch\.partition\."),
        (
            ["container={runtime: pyxis, image: a, mount: [b]}"],
            r"launch\.container\.mount is not a configuration key\. The closest is launch\.container\.mounts\.",
        ),
        (["ranks_per_node=0"], r"launch\.ranks_per_node=0"),
        (["time_limit=soon"], r"launch\.time_limit: 'soon' is no time"),
        (["time_limit='0:00:00'"], r"launch\.time_limit: .* is no time at all"),
        (["partition='a b'"], r"launch\.partition"),
        (["environment={WANDB_API_KEY: abc}"], "looks like a secret"),
        (["environment={A: 'x?token=abc'}"], "looks like a secret"),
        (["environment={A-B: x}"], r"launch\.environment"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(home: Path, words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_settings("slurm", words)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c\n", "cannot be read as YAML"),
        ("- a\n", "is not a mapping"),
        ("partition: gpu\nplatform: kubernetes\n", "is a profile of kubernetes"),
        ('platform: slurm\nenvironment: {A: "x\\ny"}\n', "control character"),
        ("platform: slurm\ntime_limit: 12:00:00\n", r"launch\.time_limit: it is read as 43200, .* in quotes, as '12:00:00'"),
        ("platform: slurm\nenvironment: {A: 'https://me:pw@host'}\n", "a URL with a login"),
    ],
)
def test_a_profile_that_is_malformed_is_said(home: Path, text: str, said: str) -> None:
    write(home, "mine", text)
    with pytest.raises(ConfigError, match=said):
        load_settings("slurm", ["profile=mine"])


def test_a_profile_of_ones_own_cannot_have_the_name_of_one_that_ships(home: Path) -> None:
    write(home, "slurm-h100", "platform: slurm\n")
    with pytest.raises(ConfigError, match="has the name of a profile that ships"):
        load_settings("slurm", ["profile=slurm-h100"])


@pytest.mark.parametrize(("text", "seconds"), [("0:00:30", 30), ("12:00:00", 43_200), ("1-12:30:15", 131_415)])
def test_a_time_limit_is_days_hours_minutes_and_seconds(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


def test_a_number_is_a_quantity_of_kubernetes() -> None:
    settings = load_settings("kubernetes", [f"image=midtrain@sha256:{'a' * 64}", "cpus_per_node=64", "head_cpus=0.5"])[1]
    assert isinstance(settings, KubernetesSettings) and (settings.cpus_per_node, settings.head_cpus) == ("64", "0.5")
