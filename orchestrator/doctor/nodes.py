"""The nodes of the cluster that a run would be on: a gang of as many ranks as the run has, placed and joined as those of training.

`python -m orchestrator.doctor.nodes CONFIG OUTPUT ROOM_SECONDS` does it in a process of its own, which Ray ends when its raylet dies.
"""

import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.config.load import read_config
from orchestrator.config.operation import SchedulingConfig
from orchestrator.config.schema import Config
from orchestrator.doctor.facts import CHECKS, GangFacts, Task
from orchestrator.doctor.findings import Finding, Report, finding
from orchestrator.doctor.gpus import count_devices
from orchestrator.doctor.judging import judge_gang, judge_room, judge_start
from orchestrator.doctor.sharing import PATIENCE_SECONDS
from orchestrator.errors import InfrastructureError, InterruptedRunError, OrchestratorError
from orchestrator.runs.fence import Token
from orchestrator.runs.records import write_record
from orchestrator.scheduling.board import Board
from orchestrator.scheduling.cluster import cluster_nodes, ray_cluster
from orchestrator.scheduling.deadlines import find_overdue
from orchestrator.scheduling.gang import Gang, GangPlace, rank_environment, start_gang
from orchestrator.scheduling.phases import limits
from orchestrator.scheduling.sizes import room_for_ranks
from orchestrator.scheduling.vitals import Observation

if TYPE_CHECKING:
    from orchestrator.scheduling.phases import Phase

CHECK_SECONDS = 180.0  # that each check may take

_LOOK_SECONDS = 0.5


def check_nodes(config: Config, *, room_seconds: float, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[Finding]:
    """Start Ray, or connect to the cluster that RAY_ADDRESS names, and have ranks look at their nodes and at each other.

    Args:
        config: of the run.
        room_seconds: how long nodes that are still to come are waited for.
        patience_seconds: how long a file may take to be seen on other nodes.
    """
    scheduling, is_own = config.scheduling, os.environ.get("RAY_ADDRESS", "local") == "local"
    num_gpus = scheduling.world_size * scheduling.gpus_per_rank
    if is_own and (found := count_devices()) < num_gpus:
        yield _too_few_gpus(found, num_gpus)
        return
    began = time.monotonic()
    try:
        with ray_cluster(scheduling.world_size, num_gpus, rank_environment(scheduling.gpus_per_rank)) as environment:
            connect_seconds = time.monotonic() - began
            room, num_nodes = _room(scheduling, room_seconds)
            smallest = scheduling.min_world_size or scheduling.world_size
            yield judge_room(room, num_nodes=num_nodes, world_size=scheduling.world_size, smallest=smallest)
            if not room:
                return
            began = time.monotonic()
            place = GangPlace(world_size=min(room, scheduling.world_size), gpus_per_rank=scheduling.gpus_per_rank, environment=environment)
            facts = _examine(config, place, is_known_machine=is_own, patience_seconds=patience_seconds)
            start_seconds = time.monotonic() - began - facts.seconds
            yield judge_start(connect_seconds, start_seconds, limit_seconds=scheduling.deadlines.start)
            yield from judge_gang(facts, has_gpus=scheduling.gpus_per_rank > 0, patience_seconds=patience_seconds)
    except OrchestratorError as error:
        yield _failed(str(error))
    except Exception as error:  # of Ray, which has many
        traceback.print_exc()
        yield _failed(f"{type(error).__name__}: {error}")


def _too_few_gpus(found: int, needed: int) -> Finding:
    remedy = "Lower scheduling.world_size, set scheduling.gpus_per_rank=0, or give the command in an allocation that has them."
    return finding("GPUs", socket.gethostname(), "bad", f"{found} devices", limit=f"{needed}, one a rank", remedy=remedy)


def _failed(message: str) -> Finding:
    """The gang could not do its work. What a run would say of going on is left out."""
    said = message.replace("; go on with `midtrain resume`", "").replace(" Go on with `midtrain resume`.", "")
    value, _, rest = said.partition(". ")
    return finding("ranks", "all", "bad", value, limit="", remedy=f"{rest} A run would fail there, too.".strip())


def _room(scheduling: SchedulingConfig, room_seconds: float) -> tuple[int, int]:
    """For how many ranks there is room, and how many nodes there are; nodes that are still to come are waited for."""
    deadline = time.monotonic() + room_seconds
    while True:
        nodes = cluster_nodes()
        room = room_for_ranks(nodes, gpus_per_rank=scheduling.gpus_per_rank)
        if room >= scheduling.world_size or time.monotonic() > deadline:
            return room, len(nodes)
        time.sleep(_LOOK_SECONDS)


def _examine(config: Config, place: GangPlace, *, is_known_machine: bool, patience_seconds: float) -> GangFacts:
    """Have ranks examine the nodes.

    Raises:
        OrchestratorError: a rank failed, died or hung.
    """
    token, board = Token(attempt=0, host=socket.gethostname(), nonce=secrets.token_hex(8)), Board()
    with _log_folder() as logs:
        task = Task(config=config, is_known_machine=is_known_machine, patience_seconds=patience_seconds, logs=logs)
        observation = Observation(run=logs, token=token, board=board.actor, signals=())
        with closing(start_gang(_rank, task, place, observation)) as gang:
            limits_of = limits(config.scheduling.deadlines) | {"step": CHECK_SECONDS + patience_seconds}
            _wait(gang, board, limits_of, place.world_size)
            facts: GangFacts = gang.result()
    return facts


@contextmanager
def _log_folder() -> Iterator[Path]:
    """Where ranks log: on each node a folder of its own, as nothing is known to be shared. What ranks have logged that failed is kept."""
    folder = Path(tempfile.mkdtemp(prefix="midtrain-doctor-", dir="/tmp"))
    try:
        yield folder
    except InterruptedRunError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except OrchestratorError as error:
        if not any(folder.rglob("*.log")):
            shutil.rmtree(folder, ignore_errors=True)
        if str(folder) in str(error):
            raise
        raise type(error)(f"{error} The logs of ranks are in {folder} on their nodes.") from error
    shutil.rmtree(folder, ignore_errors=True)


def _wait(gang: Gang, board: Board, limits_of: "dict[Phase, float]", world_size: int) -> None:
    """Until the gang has ended.

    Raises:
        InfrastructureError: it hangs.
    """
    began = time.monotonic()
    while not gang.wait(_LOOK_SECONDS):
        sightings, seconds = board.read(), time.monotonic() - began
        overdue = find_overdue(sightings, limits_of, world_size=world_size, seconds=seconds, from_step=0)
        if overdue:
            check = CHECKS[overdue.step - 1] if overdue.step else "coming up"
            who = [sighting.name for sighting in overdue.waiting_for] + [f"rank {rank}, never heard of" for rank in overdue.unseen]
            raise InfrastructureError(f"ranks hang in {check} for {overdue.seconds:.0f} s, waiting for {'; '.join(who)}. See that node.")


def _rank(task: Task) -> Any:
    """What every rank does. torch is imported there, not here."""
    from orchestrator.doctor.examination import examine

    return examine(task)


def main() -> None:
    """Examine the nodes for a configuration, and write what was found."""
    config, output, room_seconds = sys.argv[1:]
    began = time.monotonic()
    findings = list(check_nodes(read_config(Path(config)), room_seconds=float(room_seconds)))
    write_record(Path(output), Report(seconds=time.monotonic() - began, findings=findings))


if __name__ == "__main__":
    # Ranks look for what they call by its module's name, which is not __main__.
    from orchestrator.doctor.nodes import main as main_of_the_module

    main_of_the_module()
