"""What the commands share: the words that several take, and what they do with them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orchestrator.config.schema import Config
    from orchestrator.sweep.directory import SweepDirectory

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Midtrain a language model on its own model spec."
)

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Configuration, such as experiment=demo mixture.spec_share=0.1")
]
RunPlace = Annotated[str, typer.Argument(metavar="RUN", help="The run's directory, or the URL of its second home.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def config_of(overrides: list[str] | None) -> "Config":
    """The configuration that a command was given."""
    from orchestrator.config.load import load_config

    return load_config(overrides or [])


def print_json(value: Any) -> None:
    """For scripts."""
    print(json.dumps(value, indent=2))


def sweep_at(place: str | Path) -> "SweepDirectory | None":
    """The sweep that a path names; none where there is none."""
    if not (Path(place) / "sweep.yaml").is_file():
        return None
    from orchestrator.sweep.directory import SweepDirectory

    return SweepDirectory(Path(place).absolute())
