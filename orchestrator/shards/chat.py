"""A model's chat template, and a conversation under it: runs of text that are the assistant's, and runs that are not."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from orchestrator.corpus.conversations import Messages
from orchestrator.errors import ConfigError
from orchestrator.shards.vocabulary import model_file, read_object

if TYPE_CHECKING:
    from jinja2 import Template


class RenderingError(ValueError):
    """A conversation that the template does not take; the message says why."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A chat template as it comes with a model.

    Attributes:
        source: in Jinja.
        special_tokens: (name, token) of those that it may name, such as `bos_token`.
    """

    source: str
    special_tokens: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a rendered conversation: the assistant's words with what ends its turn, or what stands between."""

    text: str
    is_assistant: bool


def load_chat_template(model_path: str) -> ChatTemplate:
    """Read a model's chat template: chat_template.jinja, or what tokenizer_config.json says.

    Raises:
        ConfigError: there is none, or it is not Jinja.
    """
    config = read_object(model_file(model_path, "tokenizer_config.json"))
    source = _own_file(model_path) or config.get("chat_template")
    if isinstance(source, list):  # several, by name
        source = next((entry["template"] for entry in source if entry.get("name") == "default"), None)
    if not isinstance(source, str):
        raise ConfigError(
            f"model.path={model_path} has no chat template, which sources with messages_field need. Put one into the model's directory as "
            f"chat_template.jinja, or use an instruct model."
        )
    tokens = {name: token.get("content") if isinstance(token, dict) else token for name, token in config.items() if name.endswith("_token")}
    template = ChatTemplate(source, tuple(sorted((name, token) for name, token in tokens.items() if isinstance(token, str))))
    _compiled(template)
    return template


def render_runs(template: ChatTemplate, messages: Messages) -> list[Run]:
    """A conversation as text, cut where the assistant's turns begin and end.

    A turn begins where the template would have the assistant begin, and ends where the text of all messages up to it does; so the text of
    the first messages must be what the text of all of them begins with.

    Args:
        template: the model's.
        messages: of the conversation.

    Returns:
        Runs whose texts together are the conversation's.

    Raises:
        RenderingError: the template refuses it, or writes the first messages differently when others follow.
    """
    whole = _render(template, messages, begins_turn=False)
    runs: list[Run] = []
    at = 0
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            before, after = (
                _render(template, messages[:index], begins_turn=True),
                _render(template, messages[: index + 1], begins_turn=False),
            )
            if not (whole.startswith(after) and after.startswith(before) and len(before) >= at):
                raise RenderingError(f"the chat template writes message {index + 1} or those before it differently when others follow")
            runs += [Run(whole[at : len(before)], False), Run(whole[len(before) : len(after)], True)]
            at = len(after)
    return [run for run in (*runs, Run(whole[at:], False)) if run.text]


def _render(template: ChatTemplate, messages: Sequence[dict[str, str]], *, begins_turn: bool) -> str:
    from jinja2 import TemplateError

    values = {"messages": list(messages), "add_generation_prompt": begins_turn, "tools": None, "documents": None}
    try:
        return _compiled(template).render(**dict(template.special_tokens), **values)
    except (TemplateError, TypeError, ValueError, KeyError, IndexError) as error:
        raise RenderingError(f"the chat template does not take it: {error}") from None


@lru_cache(maxsize=4)
def _compiled(template: ChatTemplate) -> "Template":
    """The template in a sandbox that has what transformers gives templates, but for the date: the same conversation is the same text."""
    from jinja2 import TemplateError, TemplateSyntaxError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks the assistant's words for others; here they are found by rendering."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(template.source)
    except TemplateSyntaxError as error:
        raise ConfigError(f"the model's chat template is not Jinja: line {error.lineno}: {error.message}. Mend it.") from None


def _own_file(model_path: str) -> str | None:
    try:
        return model_file(model_path, "chat_template.jinja").read_text(encoding="utf-8")
    except ConfigError:
        return None
