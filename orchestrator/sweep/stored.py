"""`sweep.yaml`: the run that is varied and the settings of the sweep, as the newest command gave them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import TypeAdapter

from orchestrator.config.sweep import SweepConfig
from orchestrator.config.validation import validated
from orchestrator.errors import ConfigError
from orchestrator.runs.durable import write_whole
from orchestrator.sweep.directory import SweepDirectory
from orchestrator.sweep.settings import keys_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What a sweep is made of.

    Attributes:
        values: of the run that is varied, nested.
        sweep: the settings.
        overrides: that made the run, without what varies.
    """

    values: dict[str, Any]
    sweep: SweepConfig
    overrides: Sequence[str]

    @property
    def keys(self) -> list[str]:
        """What is varied, in the order of the command."""
        return keys_of(self.sweep)

    @property
    def roles(self) -> dict[str, str]:
        """Source -> `spec` or `general`."""
        return {name: source["role"] for name, source in self.values["sources"].items()}


def write_stored(sweep: SweepDirectory, stored: Stored) -> None:
    """Write it.

    Raises:
        OSError: it cannot be written.
    """
    settings = TypeAdapter(SweepConfig).dump_python(stored.sweep, mode="json")
    content = {"overrides": list(stored.overrides), "sweep": settings, "run": stored.values}
    write_whole(sweep.config, yaml.safe_dump(content, sort_keys=False).encode())


def read_stored(sweep: SweepDirectory) -> Stored:
    """Read it.

    Raises:
        ConfigError: it is no sweep, or its file is damaged.
    """
    try:
        content = yaml.safe_load(sweep.config.read_text(encoding="utf-8"))
        return Stored(values=content["run"], sweep=validated(SweepConfig, content["sweep"], "sweep"), overrides=content["overrides"])
    except FileNotFoundError:
        raise ConfigError(f"{sweep.root} is not a sweep: it has no sweep.yaml. `midtrain sweep` makes one.") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise ConfigError(f"{sweep.config} is damaged ({type(error).__name__}: {error}). Restore it, or make a new sweep.") from None
