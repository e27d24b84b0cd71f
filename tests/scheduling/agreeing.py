"""What ranks do to agree, for tests: importable by the processes that are the ranks."""

from typing import Any

import torch
from torch import distributed

from orchestrator.scheduling.agreement import Agreement


def wish_at(wishes: list[list[Any]]) -> list[dict[str, int]]:
    """Ten steps; `wishes` are (rank, step, name, value). What was agreed at the end of each step."""
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    agreement = Agreement(torch.device("cpu"), ["stop", "save"])
    agreed = []
    for step in range(10):
        for of_rank, at_step, name, value in wishes:
            if (of_rank, at_step) == (rank, step):
                agreement.wish(name, value)
        distributed.all_reduce(torch.ones(8))
        agreed.append(agreement.exchange())
    agreed.append(agreement.settle())
    distributed.destroy_process_group()
    return agreed
