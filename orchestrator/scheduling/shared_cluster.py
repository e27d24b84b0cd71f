"""The process that keeps a Ray cluster for several runs: `python -m orchestrator.scheduling.shared_cluster DESCRIPTOR GPUS_PER_RANK`.

It writes the cluster's address and for how many ranks it has room to the descriptor, and keeps the cluster until its standard input ends:
that is when the command that started it and every attempt that was given the other end are gone, so that attempts can save first. It ends,
too, when Ray's own servers die. Where RAY_ADDRESS names a cluster, it only looks at that one.
"""

import json
import os
import select
import signal
import sys

from orchestrator.errors import OrchestratorError
from orchestrator.scheduling.cluster import cluster_address, cluster_nodes, is_down, ray_cluster
from orchestrator.scheduling.gang import rank_environment
from orchestrator.scheduling.sizes import room_for_ranks

_LOOK_SECONDS = 0.5
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # they are meant for the runs, which save


def _is_over() -> bool:
    """Whether nobody is left at the other end of standard input, after a moment."""
    return bool(select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]) and not os.read(sys.stdin.fileno(), 1 << 12)


def main() -> None:
    """Keep a cluster, or look at one."""
    descriptor, gpus_per_rank = int(sys.argv[1]), int(sys.argv[2])
    is_own = os.environ.get("RAY_ADDRESS", "local") == "local"
    with os.fdopen(descriptor, "w") as answer:
        try:
            with ray_cluster(1, None if gpus_per_rank else 0, rank_environment(gpus_per_rank)):
                for number in _IGNORED:
                    signal.signal(number, signal.SIG_IGN)
                ranks = room_for_ranks([node | {"Available": node["Resources"]} for node in cluster_nodes()], gpus_per_rank=gpus_per_rank)
                print(json.dumps({"address": cluster_address(), "ranks": ranks}), file=answer, flush=True)
                while is_own and not (_is_over() or is_down()):  # who needs it then, starts another
                    pass
        except OrchestratorError as error:
            print(json.dumps({"error": str(error)}), file=answer, flush=True)


if __name__ == "__main__":
    main()
