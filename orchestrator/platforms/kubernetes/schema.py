"""Whether a server would take a RayJob as it is: a dry run of it, and of its pods, compared with what comes back.

A server that does not know strict validation drops an unknown field in silence, and none looks at pods before they are made.
"""

from collections.abc import Iterator
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.platforms.kubernetes.client import Api, RefusedError
from orchestrator.platforms.kubernetes.parsing import at, leaves_dropped, mapping, mappings

_DRY = {"dryRun": "All", "fieldValidation": "Strict"}


def rayjobs_path(namespace: str) -> str:
    """Of the API."""
    return f"/apis/ray.io/v1/namespaces/{namespace}/rayjobs"


def check_with_server(api: Api, namespace: str, manifest: dict[str, Any]) -> None:
    """Refuse a manifest that the server refuses, or of which it drops something. Nothing is made.

    Raises:
        ConfigError: what, and where.
        InfrastructureError: the server does not answer.
    """
    _compare(api, rayjobs_path(namespace), manifest, "")
    for where, template in _templates(manifest):
        pod = {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"generateName": "midtrain-"},
            "template": {"metadata": mapping(template.get("metadata")), "spec": mapping(template.get("spec"))},
        }
        try:
            _compare(api, f"/api/v1/namespaces/{namespace}/podtemplates", pod, f"{where}: ")
        except RefusedError as refusal:
            if refusal.status != 403:  # not everyone may ask this, and rules.py knows most of it
                raise ConfigError(f"{where}: {refusal}") from None


def _compare(api: Api, path: str, sent: dict[str, Any], where: str) -> None:
    if dropped := leaves_dropped(sent, api.create(path, sent, **_DRY)):
        raise ConfigError(
            f"{where}{', '.join(dropped[:5])}: no such field is known to this cluster, which would leave it out in silence. Put its name "
            f"right, or take it out of launch.template; an older KubeRay knows fewer."
        )


def _templates(manifest: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The templates of pods that a RayJob has."""
    spec = mapping(manifest.get("spec"))
    if submitter := mapping(spec.get("submitterPodTemplate")):
        yield "spec.submitterPodTemplate", submitter
    yield "spec.rayClusterSpec.headGroupSpec.template", mapping(at(spec, "rayClusterSpec", "headGroupSpec", "template"))
    for index, group in enumerate(mappings(at(spec, "rayClusterSpec", "workerGroupSpecs"))):
        yield f"spec.rayClusterSpec.workerGroupSpecs[{index}].template", mapping(group.get("template"))
