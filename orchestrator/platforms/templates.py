"""Jinja2 templates of what is submitted. A value gets into one only through a filter that quotes it for what it stands in."""

import json
import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, Undefined

from orchestrator.errors import ConfigError
from orchestrator.platforms.profiles import search_path
from orchestrator.resources import resource


class Quoted(str):
    """Text that may stand in what is submitted."""

    __slots__ = ()


def shell(value: Any) -> Quoted:
    """One word of bash."""
    return Quoted(shlex.quote(str(value)))


def as_yaml(value: Any) -> Quoted:
    """A value of YAML on one line: JSON, but for characters that YAML takes only escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return Quoted("".join(character if character.isprintable() else f"\\U{ord(character):08x}" for character in text))


def sbatch(value: Any) -> Quoted:
    """The value of an option on an #SBATCH line.

    Raises:
        ConfigError: it has a control character in it, which such a line cannot hold.
    """
    text = str(value)
    if not text.isprintable():
        raise ConfigError(f"{text!r} cannot stand on an #SBATCH line. Use a name without control characters.")
    return Quoted('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')


def comment(value: Any) -> Quoted:
    """The rest of a comment's line."""
    return Quoted("".join(character if character.isprintable() else "?" for character in str(value)))


def verbatim(value: Any) -> Quoted:
    """A line of shell that the user's profile gives, to be run as it is."""
    return Quoted(value)


def render(template: str, values: dict[str, Any]) -> str:
    """Fill a template in.

    Args:
        template: its path below `launch/`.
        values: by name; one that the template wants and that is not there is an error.

    Raises:
        ConfigError: there is no such template, it is malformed, or it has a value without one of the filters.
    """
    path = find_template(template)
    environment = Environment(
        loader=FileSystemLoader([path.parent, *search_path()]),
        undefined=StrictUndefined,
        finalize=_checked,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shell": shell, "yaml": as_yaml, "sbatch": sbatch, "comment": comment, "verbatim": verbatim}
    try:
        return environment.get_template(path.name).render(values)
    except TemplateError as error:
        line = f":{lineno}" if (lineno := getattr(error, "lineno", None)) else ""
        raise ConfigError(f"launch.template={template}{line}: {error.message or type(error).__name__}. Put the template right.") from None


def find_template(template: str) -> Path:
    """Where a template is: an absolute path, or one below `launch/`, of the user's own or as it ships.

    Raises:
        ConfigError: there is none, or there are two.
    """
    found = [path for folder in search_path() if (path := folder / template).is_file()]
    if not found:
        raise ConfigError(
            f"launch.template={template}: there is no such file below launch/. Shipped are slurm/job.sh.j2 and kubernetes/rayjob.yaml.j2."
        )
    if len(found) > 1 and found[0] != found[1]:
        raise ConfigError(f"{found[0]} has the name of a template that ships with midtrain. Give it another name, and set launch.template.")
    return found[0]


def kept_template(template: str) -> str:
    """What a submission keeps of its template's name: of one that is the user's own, where that is, as it is to be found from anywhere.

    Raises:
        ConfigError: as `find_template`.
    """
    found = find_template(template)
    return template if found == resource("launch") / template else str(found)


def _checked(value: Any) -> Any:
    """What a template puts out must be quoted, or a number."""
    if isinstance(value, Undefined):
        str(value)  # says which name is meant
    if isinstance(value, Quoted) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TemplateError("a value stands in it without a filter. Write {{ value | shell }}, or yaml, sbatch, comment or verbatim")
