"""What the tests of probes do on a rank."""

import os
from pathlib import Path

from orchestrator.config.load import load_config
from orchestrator.evaluation.probing import measure_probes
from orchestrator.shards.vocabulary import load_vocabulary
from orchestrator.training.engine import Engine
from tests.evaluation.asking import ITEMS, tiny_probe
from tests.support.tiny import overrides


def margins_of_stages(folder: str) -> dict[str, list[list[float]]]:
    """For ZeRO stage 0 and 3: the margins of two probes, whose choices do not come out even among ranks and micro batches."""
    vocabulary = load_vocabulary(f"{folder}/model", None)
    probes = [tiny_probe(vocabulary), tiny_probe(vocabulary, "few", ITEMS[1:2])]
    rank, world_size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    found = {}
    for stage in (0, 3):
        changes = {"training.zero_stage": stage, "model.initialise": "pretrained", "training.micro_batch": 2}
        config = load_config(overrides(Path(folder), **changes))
        engine = Engine(config.model, config.training, world_size)
        answers = measure_probes(engine, probes, micro_batch=2, rank=rank, world_size=world_size)
        found[str(stage)] = [answers[probe.name].margins.tolist() for probe in probes]
    return found
