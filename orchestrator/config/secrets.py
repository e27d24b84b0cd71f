"""Secrets come from the environment and go nowhere: what looks like one in the configuration is refused before it is written or shown."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import ConfigError

_SECRET_KEY = re.compile(
    r"(?:^|[._])(?:api_?key|secret|password|passwd|credentials?|(?:access|auth|hf|api)_?token|token|(?:secret|private|access)_?key(?:_?id)?)$",
    re.IGNORECASE,
)
_SECRET_WITHIN = re.compile(r"(?:api_?key|secret|password|passwd|credentials?|token|[?&](?:[\w-]*signature|sig))\s*[:=]", re.IGNORECASE)
_SHORTEST_SECRET = 8  # characters; a shorter value of a variable is more likely a word that messages use
_LOGIN_IN_URL = re.compile(r"://[^/\s@]+@")


def refuse_secrets(overrides: Sequence[str]) -> None:
    """Refuse overrides that carry a secret. The message never repeats the value.

    Args:
        overrides: `key=value` words.

    Raises:
        ConfigError: a key is named like a secret, or a value is a URL with a login in it.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        if "://" in key:
            key, value = "an argument", override
        _refuse(key, value)


def refuse_secrets_within(values: Any, key: str = "") -> None:
    """Refuse a composed configuration that carries a secret, wherever it came from. The message never repeats the value.

    Args:
        values: nested mappings, lists and scalars.
        key: where they stand.

    Raises:
        ConfigError: as `refuse_secrets`.
    """
    if isinstance(values, dict):
        for name, value in values.items():
            refuse_secrets_within(value, f"{key}.{name}" if key else str(name))
    elif isinstance(values, list):
        for value in values:
            refuse_secrets_within(value, key)
    elif isinstance(values, str):
        _refuse(key, values)


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """What a library says, with the logins of URLs and the values of secret variables blotted out."""
    for name, value in environment.items():
        if _SECRET_KEY.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "…")
    return _LOGIN_IN_URL.sub("://…@", text)


def _refuse(key: str, value: str) -> None:
    if _SECRET_KEY.search(key) or _SECRET_WITHIN.search(value):
        raise ConfigError(
            f"{key} looks like a secret, and the configuration is written to the run. Put it in the environment, as WANDB_API_KEY."
        )
    if _LOGIN_IN_URL.search(value):
        raise ConfigError(
            f"{key} has a URL with a login in it, and the configuration is written to the run. Put that into the environment."
        )
