"""Whether Weights & Biases will get what a run logs: a key, the service, and what it says to the key. Without W&B's own library."""

import json
import netrc
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from orchestrator.config.operation import TrackingConfig
from orchestrator.config.secrets import without_secrets
from orchestrator.doctor.findings import Finding, finding

_SERVICE = "https://api.wandb.ai"
_ANSWER_SECONDS = 5.0
_QUERY = b'{"operationName": "MidtrainDoctor", "query": "query MidtrainDoctor { viewer { username } }"}'
_LIMIT = f"an answer within {_ANSWER_SECONDS:.0f} s"
_OFFLINE = "Or set tracking=offline and push later: midtrain sync RUN"


class KeyRefusedError(Exception):
    """The service does not know the key."""


def check_tracking(
    tracking: TrackingConfig, where: str, environment: Mapping[str, str], ask: Callable[[str, str], str] | None = None
) -> Finding:
    """Whether a run can be mirrored as configured.

    Args:
        tracking: of the configuration.
        where: the name of this machine.
        environment: where the key and the service's address are.
        ask: asks a service with a key who that is; raises KeyRefusedError or OSError.
    """
    if tracking.wandb != "online":
        said = {"off": "off: nothing is sent", "offline": "offline: kept in the run directory, pushed by `midtrain sync`"}
        return Finding(check="W&B", where=where, verdict="good", value=said[tracking.wandb])
    service = environment.get("WANDB_BASE_URL", _SERVICE).rstrip("/")
    key = environment.get("WANDB_API_KEY") or _key_of_login(service)
    if key is None:
        remedy = f"Set WANDB_API_KEY in the environment of the job, or `wandb login` there. {_OFFLINE}"
        return finding("W&B", where, "bad", "online, and WANDB_API_KEY is not set", limit="a key", remedy=remedy)
    shown = without_secrets(service, environment)
    try:
        who = (ask or ask_who)(service, key)
    except KeyRefusedError:
        return finding(
            "W&B", where, "bad", f"{shown} refuses the key", limit="a key that it knows", remedy=f"Set WANDB_API_KEY to yours. {_OFFLINE}"
        )
    except (OSError, ValueError) as error:
        reason = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
        value = f"{shown} does not answer: {reason}"
        remedy = f"A run trains on without it and tries again. See proxies (HTTPS_PROXY) and WANDB_BASE_URL. {_OFFLINE}"
        return finding("W&B", where, "warning", value, limit=_LIMIT, remedy=remedy)
    return Finding(check="W&B", where=where, verdict="good", value=f"online: {shown} knows the key as {who}'s", limit=_LIMIT)


def ask_who(service: str, key: str) -> str:
    """Ask the service whose key it is.

    Raises:
        KeyRefusedError: nobody's.
        OSError: it does not answer.
        ValueError: what answers is not it.
    """
    login = b64encode(f"api:{key}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
    try:
        with urlopen(Request(f"{service}/graphql", data=_QUERY, headers=headers), timeout=_ANSWER_SECONDS) as answer:
            viewer = _viewer(json.load(answer))
    except HTTPError as error:
        if error.code in (401, 403):
            raise KeyRefusedError from None
        raise
    if viewer is None:
        raise KeyRefusedError
    return str(viewer.get("username") or "a service account")


def _viewer(answer: Any) -> dict[str, Any] | None:
    try:
        viewer: dict[str, Any] | None = answer["data"]["viewer"]
    except (KeyError, TypeError):
        raise ValueError("what answers there is not W&B") from None
    return viewer


def _key_of_login(service: str) -> str | None:
    """The key that `wandb login` has kept."""
    with suppress(OSError, netrc.NetrcParseError):
        entry = netrc.netrc().authenticators(urlsplit(service).hostname or "")
        return entry[2] if entry else None
    return None
