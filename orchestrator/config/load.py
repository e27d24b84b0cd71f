"""From `conf/` and `key=value` overrides to a validated `Config`. The one door to Hydra and OmegaConf."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import TypeAdapter

from orchestrator.config.schema import Config
from orchestrator.config.secrets import refuse_secrets, refuse_secrets_within
from orchestrator.config.validation import validated
from orchestrator.errors import ConfigError
from orchestrator.resources import resource

SWEEP = "sweep"  # the group that is no part of a run


def load_config(overrides: Sequence[str]) -> Config:
    """Compose and validate.

    Args:
        overrides: such as `experiment=demo` or `mixture.spec_share=0.1`. A `conf/` folder in the current directory is searched as well as
            the one that ships.

    Returns:
        The configuration, checked.

    Raises:
        ConfigError: an override is malformed, a key unknown, a value wrong.
    """
    if of_sweep := [override for override in overrides if override.lstrip("+~").partition("=")[0].startswith(f"{SWEEP}.")]:
        raise ConfigError(f"{of_sweep[0]} is of a sweep, and this is a run. Leave it out, or give it to `midtrain sweep`.")
    values = compose_values(overrides)
    values.pop(SWEEP, None)  # an experiment that says how it is swept is a run as well
    return validated(Config, values)


def compose_values(overrides: Sequence[str], otherwise: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Compose, without validation.

    Args:
        overrides: as `load_config`.
        otherwise: key -> a value for it where nothing gives one.

    Returns:
        Nested values, paths absolute.

    Raises:
        ConfigError: an override is malformed, carries a secret, or names a choice that there is not.
    """
    refuse_secrets(overrides)
    shipped, own = resource("conf"), Path.cwd() / "conf"
    _refuse_shadowing(shipped, own)
    quoted = f"file://{own}".replace("'", "\\'")
    searched = [f"hydra.searchpath=['{quoted}']"] if own.is_dir() and own != shipped else []
    prepared = [_as_override(override) for override in overrides]
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(shipped)):
            composed = compose("config", overrides=[*searched, *prepared])
        for key, value in otherwise.items():
            if (group := OmegaConf.select(composed, key.rpartition(".")[0])) is not None and OmegaConf.is_missing(
                group, key.rpartition(".")[2]
            ):
                OmegaConf.update(composed, key, value)
        values: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError) as error:
        raise ConfigError(_hydra_message(error)) from None
    refuse_secrets_within(values)
    found: dict[str, Any] = _with_absolute_paths(values)
    return found


def is_group(key: str) -> bool:
    """Whether a key is a group of files in `conf/`, so that its values are their names."""
    return any((folder / key).is_dir() for folder in (resource("conf"), Path.cwd() / "conf"))


def read_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a run's resolved `config.yaml`.

    Args:
        path: the file.
        overrides: values to take instead of those in it, as `key=value`.

    Raises:
        ConfigError: the file is missing or was changed into something invalid, or an override is wrong.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return validated(Config, _with_absolute_paths(changed(values, overrides)) if overrides else values)
    except FileNotFoundError:
        raise ConfigError(f"{path.parent} is not a run: it has no config.yaml. `midtrain train` makes one.") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} is not YAML any more: {error}. Restore it, or start a new run.") from None


def changed(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Nested values with those of overrides in the place of their own.

    Raises:
        ConfigError: an override is malformed, or carries a secret.
    """
    refuse_secrets(overrides)
    result = OmegaConf.create(values)
    for override in overrides:
        _as_override(override, may_be_group=False)
        parsed = OverridesParser.create().parse_override(override)
        OmegaConf.update(result, parsed.key_or_group, parsed.value(), merge=False, force_add=True)
    container: dict[str, Any] = OmegaConf.to_container(result, resolve=True)  # type: ignore[assignment]
    refuse_secrets_within(container)
    return container


def dump_config(config: Config) -> str:
    """The configuration as YAML that `read_config` takes."""
    return yaml.safe_dump(config_values(config), sort_keys=False)


def config_values(config: Config) -> dict[str, Any]:
    """The configuration as nested values of JSON's types."""
    return plain_values(config)


def plain_values(config: Any) -> dict[str, Any]:
    """A dataclass of the configuration as nested values of JSON's types."""
    values: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return values


def _refuse_shadowing(shipped: Path, own: Path) -> None:
    """A file of one's own beside a shipped one of the same name would be passed over in silence."""
    if own.is_dir() and own != shipped:
        for path in sorted(own.rglob("*.yaml")):
            if (shipped / path.relative_to(own)).exists():
                raise ConfigError(
                    f"{path} has the name of a file that ships with midtrain, which cannot be replaced. Give it another name."
                )


def _with_absolute_paths(values: Any) -> Any:
    """Paths are meant from where the command was given; the run is then at home anywhere. What is malformed is left for validation."""
    run, shards, model, sources = (_mapping(values.get(group)) for group in ("run", "shards", "model", "sources"))
    run["dir"] = _absolute(run.get("dir") or f"runs/{run.get('name')}")
    shards["dir"] = _absolute(shards.get("dir"))
    if "start_from" in model:
        model["start_from"] = _absolute(model["start_from"])
    if isinstance(model.get("path"), str) and Path(model["path"]).is_dir():
        model["path"] = _absolute(model["path"])
    by_name = [_mapping(_mapping(values.get(group)).get(key)) for group, key in (("corpus", "evaluation_sets"), ("evaluation", "probes"))]
    for holder, keys in [
        *((holder, list(holder)) for holder in by_name),
        *((_mapping(source), ("paths", "heldout_paths")) for source in sources.values()),
    ]:
        for key in keys:
            if isinstance(holder.get(key), list):
                holder[key] = [_absolute(path) for path in holder[key]]
    return values


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _absolute(path: Any) -> Any:
    return str(Path(path).absolute()) if isinstance(path, str) and "://" not in path else path


def _as_override(override: str, *, may_be_group: bool = True) -> str:
    """Choices of a group go to Hydra as they are; any other key may be new to it, and validation judges it instead."""
    key, equals, _ = override.partition("=")
    if not equals:
        raise ConfigError(f"{override!r} is not an override. Write it as key=value, for example mixture.spec_share=0.1.")
    if key.lstrip("+~").split(".")[0] == "hydra":
        raise ConfigError(f"{key} is Hydra's own and not a configuration key of midtrain. Leave it out.")
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        raise ConfigError(f"{key}: its value cannot be read. Quote it twice, for the shell and for Hydra: {key}='\"…\"'") from None
    if parsed.is_sweep_override():
        raise ConfigError(f"{override} has several values. `midtrain sweep`, or `midtrain launch … --sweep`, trains a run for each.")
    return override if key.startswith(("+", "~")) or (may_be_group and is_group(key)) else f"++{override}"


def _hydra_message(error: Exception) -> str:
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value. Give one: {error.full_key}=…, or choose an experiment that does, such as experiment=demo."
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())
