"""Site profiles: files of `launch/profiles/` that say how a cluster is used. A `launch/` where the command is given is searched, too."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from orchestrator.config.load import changed
from orchestrator.config.secrets import refuse_secrets_within
from orchestrator.config.validation import validated
from orchestrator.errors import ConfigError
from orchestrator.platforms.settings import KINDS, Settings
from orchestrator.resources import resource

_PREFIX = "launch."


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a command: those of the run, and those of its launch, which begin with `launch.`."""
    launch = [word.removeprefix(_PREFIX) for word in overrides if word.startswith(_PREFIX)]
    return [word for word in overrides if not word.startswith(_PREFIX)], launch


def load_settings(platform: str, overrides: Sequence[str]) -> tuple[str, Settings]:
    """The settings of a launch.

    Args:
        platform: local, slurm or kubernetes.
        overrides: `profile=NAME` and `key=value`, without their `launch.`.

    Returns:
        The name of the profile, and the settings: those of the platform's own file, then those of the profile, then the overrides.

    Raises:
        ConfigError: there is no such profile, it is of another platform, a key is unknown or a value wrong.
    """
    named = [word.partition("=")[2] for word in overrides if word.startswith("profile=")]
    profile = named[-1] if named else platform
    values = _read(platform)
    if profile != platform:
        values = values | _read(profile)
    if values.get("platform") != platform:
        raise ConfigError(f"launch.profile={profile} is a profile of {values.get('platform')}, not of {platform}. {_offer(platform)}")
    given = [word for word in overrides if not word.startswith("profile=")]
    return profile, validated(KINDS[platform], changed(values, given) if given else values, "launch")


def changed_settings(settings: Settings, overrides: Sequence[str]) -> Settings:
    """Settings with those of overrides in the place of their own. Arguments and errors as `load_settings`."""
    values = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    return validated(type(settings), changed(values, overrides) if overrides else values, "launch")


def search_path() -> list[Path]:
    """The folders `launch/`: one of the user's own, and the one that ships."""
    shipped, own = resource("launch"), Path.cwd() / "launch"
    return [own, shipped] if own.is_dir() and own != shipped else [shipped]


def _read(profile: str) -> dict[str, Any]:
    found = [folder / "profiles" / f"{profile}.yaml" for folder in search_path()]
    found = [path for path in found if path.is_file()]
    if not found or "/" in profile:
        raise ConfigError(f"launch.profile={profile}: there is no launch/profiles/{profile}.yaml. {_offer()}")
    if len(found) > 1:
        raise ConfigError(f"{found[0]} has the name of a profile that ships with midtrain. Give it another name.")
    try:
        values = yaml.safe_load(found[0].read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{found[0]} cannot be read as YAML: {' '.join(str(error).split())}. Put it right.") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{found[0]} is not a mapping of keys to values. Begin it with `platform: slurm` or `platform: kubernetes`.")
    refuse_secrets_within(values, "launch")
    return values


def _offer(platform: str = "") -> str:
    names = {path.stem: path for folder in search_path() for path in sorted((folder / "profiles").glob("*.yaml"))}
    fitting = [name for name, path in names.items() if f"platform: {platform}" in path.read_text(encoding="utf-8")]
    return f"Profiles: {', '.join(sorted(fitting))}. Copy one to launch/profiles/ beside you, and edit it."
