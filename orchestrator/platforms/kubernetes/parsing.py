"""A manifest's text, read more strictly than YAML's readers do. Pure."""

from collections.abc import Mapping
from typing import Any

import yaml

from orchestrator.errors import ConfigError


def parse_manifest(text: str) -> dict[str, Any]:
    """The one thing that a manifest describes.

    Raises:
        ConfigError: it is not YAML, has a key twice, or is not one mapping.
    """
    try:
        documents = list(yaml.load_all(text, Loader=_Strict))
    except yaml.YAMLError as error:
        raise ConfigError(f"the manifest is not YAML: {' '.join(str(error).split())}. Put launch.template right.") from None
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigError(f"the manifest has {len(documents)} documents; one RayJob is wanted. Put launch.template right.")
    return documents[0]


def mapping(value: Any) -> dict[str, Any]:
    """A mapping, or none where something else stands: what is of the wrong type is the schema's to say."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def at(value: Any, *keys: str) -> Any:
    """What stands at a path of keys; none when nothing does."""
    for key in keys:
        value = mapping(value).get(key)
    return value


class _Strict(yaml.SafeLoader):
    """YAML's readers let the last of two equal keys win, in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, yaml.Node] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands there twice", key_node.start_mark)
            seen[key] = key_node
        return super().construct_mapping(node, deep)


def leaves_dropped(sent: Any, kept: Any, where: str = "") -> list[str]:
    """The places of what a server has left out of what it was sent. What it has added or changed is its own affair."""
    if isinstance(sent, Mapping) and isinstance(kept, Mapping):
        return [
            found
            for key, value in sent.items()
            for found in (leaves_dropped(value, kept[key], f"{where}.{key}") if key in kept else _lost(value, f"{where}.{key}"))
        ]
    if isinstance(sent, list) and isinstance(kept, list):
        short = [f"{where}[{index}]".lstrip(".") for index in range(len(kept), len(sent))]
        pairs = enumerate(zip(sent, kept, strict=False))
        return [found for index, (a, b) in pairs for found in leaves_dropped(a, b, f"{where}[{index}]")] + short
    return []


def _lost(value: Any, where: str) -> list[str]:
    """What is empty may be left out."""
    return [] if value is None or value in ({}, [], "") else [where.lstrip(".")]
