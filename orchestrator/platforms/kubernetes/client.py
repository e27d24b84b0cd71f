"""The one door to the `kubernetes` package: questions and orders to an API server, each with a time to answer, as plain JSON."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, urlencode

from yaml import YAMLError

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.resources import resource

Thing = dict[str, Any]

RIGHTS = resource("launch") / "kubernetes" / "rbac.yaml"

_ANSWER_SECONDS = (5.0, 30.0)  # to connect, to read
_PAUSES_SECONDS = (0.5, 2.0)
_NOT_NOW = (408, 429, 500, 502, 503, 504)


class RefusedError(ConfigError):
    """The API server has understood, and says no.

    Attributes:
        status: HTTP's.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """An API server.

    Args:
        context: of the kubeconfig; none: its current one, or the account of the pod that this is.
        pauses: seconds before it is asked again when it does not answer.
    """

    def __init__(self, context: str | None = None, pauses: Sequence[float] = _PAUSES_SECONDS) -> None:
        if find_spec("kubernetes") is None:
            raise ConfigError(
                "Kubernetes needs a package more: pip install 'midtrain[kubernetes]'. Install it where you give this command."
            )
        self._context = context
        self._pauses = pauses

    def get(self, path: str, **query: str) -> Thing | None:
        """One thing; none when there is none.

        Raises:
            RefusedError: it may not be read.
            InfrastructureError: no answer.
        """
        try:
            return self._ask("GET", path, query)
        except RefusedError as refusal:
            if refusal.status == 404:
                return None
            raise

    def items(self, path: str, **query: str) -> list[Thing]:
        """All things of a kind; none when there is no such kind. Errors as `get`."""
        return list((self.get(path, **query) or {}).get("items") or [])

    def create(self, path: str, thing: Thing, **query: str) -> Thing:
        """Make a thing.

        Raises:
            RefusedError: it is malformed, there already, or may not be made.
            InfrastructureError: no answer; it may be made or not.
        """
        return self._ask("POST", path, query, thing)

    def delete(self, path: str, propagation: str) -> bool:
        """Delete a thing with what it owns. Errors as `get`.

        Returns:
            Whether it was there.
        """
        try:
            self._ask("DELETE", path, {}, {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation})
        except RefusedError as refusal:
            if refusal.status == 404:
                return False
            raise
        return True

    def _ask(self, method: str, path: str, query: Mapping[str, str], body: Thing | None = None) -> Thing:
        for pause in (*self._pauses, None):
            try:
                return self._once(method, path, query, body)
            except InfrastructureError:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError

    def _once(self, method: str, path: str, query: Mapping[str, str], body: Thing | None) -> Thing:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        client, headers = self._client, {"Accept": "application/json", "Content-Type": "application/json"}
        for setting in client.configuration.auth_settings().values():
            headers[setting["key"]] = setting["value"]
        url = client.configuration.host + quote(path) + (f"?{urlencode(query)}" if query else "")
        try:
            answer = client.rest_client.request(method, url, headers=headers, body=body, _request_timeout=_ANSWER_SECONDS)
            return self._read(answer.status, answer.data or answer.read())
        except ApiException as error:  # what is not a success, before version 37 of the package
            if error.status and error.body is not None:
                return self._read(error.status, error.body)
            raise self._silent(str(error.reason)) from None
        except (HTTPError, OSError) as error:
            raise self._silent(" ".join(str(error).split())) from None

    def _read(self, status: int, text: str | bytes) -> Thing:
        try:
            said: Thing = json.loads(text)
        except ValueError:
            if status == 404:  # of a path that the server has never heard of
                raise RefusedError(status, self._refusal(status, "no such path")) from None
            raise self._silent(f"it says {status} and no JSON; is it an API server?") from None
        if status < 300:
            return said
        message = " ".join(str(said.get("message") or said.get("reason") or status).split())
        if status in _NOT_NOW:
            raise self._silent(f"{status}: {message}")
        raise RefusedError(status, self._refusal(status, message))

    def _refusal(self, status: int, message: str) -> str:
        if status == 401:
            return f"Kubernetes at {self._host} does not know you: {message}. Log in again, or choose another launch.context."
        if status == 403:
            return f"Kubernetes does not allow it: {message}. Have the Role of {RIGHTS} bound to you in the namespace."
        return f"Kubernetes refuses: {message.removesuffix('.')}. Put right what it names."

    def _silent(self, why: str) -> InfrastructureError:
        return InfrastructureError(
            f"Kubernetes at {self._host} does not answer: {why.removesuffix('.')}. Nothing is lost; try again when `kubectl get --raw "
            f"/readyz` says ok, or choose another launch.context."
        )

    @property
    def context(self) -> str | None:
        """Of the kubeconfig; none within a pod."""
        from kubernetes import config

        if self._context is not None or _is_in_a_pod():
            return self._context
        _, active = config.list_kube_config_contexts(config_file=os.environ.get("KUBECONFIG") or None)  # type: ignore[no-untyped-call]
        return str(active["name"])

    @property
    def _host(self) -> str:
        return str(self._client.configuration.host)

    @cached_property
    def _client(self) -> Any:
        from kubernetes import client, config

        configuration = client.Configuration()
        configuration.retries = False  # ours are above
        try:
            if _is_in_a_pod() and self._context is None:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                file = os.environ.get("KUBECONFIG") or None
                config.load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=file, context=self._context, client_configuration=configuration
                )
            return client.ApiClient(configuration)
        except (config.ConfigException, YAMLError, OSError) as error:
            named = "null" if self._context is None else self._context
            raise ConfigError(
                f"launch.context={named} leads to no Kubernetes cluster: {' '.join(str(error).split()).removesuffix('.')}. Set KUBECONFIG "
                f"to a kubeconfig, or name one of its contexts (kubectl config get-contexts)."
            ) from None


def _is_in_a_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and not os.environ.get("KUBECONFIG")
