"""The prepared sources of a run, as it was planned with them."""

from pathlib import Path

from orchestrator.errors import ShardError
from orchestrator.mixture.plan import Plan
from orchestrator.shards.epoch import Layout
from orchestrator.shards.manifest import Manifest, read_manifest


def read_planned(plan: Plan, shards_dir: Path, layout: Layout) -> list[Manifest]:
    """The manifests of a run's sources, in the plan's order.

    Args:
        plan: of the run.
        shards_dir: where the prepared sources are.
        layout: how documents lie in sequences.

    Raises:
        ShardError: a source is missing or damaged, or not what it was when the run was planned.
    """
    manifests = [read_manifest(shards_dir / source.name, source.name) for source in plan.sources]
    for source, manifest in zip(plan.sources, manifests, strict=True):
        if layout.fingerprint(manifest) != source.fingerprint:
            raise ShardError(
                f"{shards_dir / source.name} is not what the run was planned with. Prepare {source.name!r} again as it was then, or start "
                f"a new run."
            )
    return manifests
