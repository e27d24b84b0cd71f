"""The process that drives one attempt: a cluster, the data-mixing workers, the gang, the watch over it.

It is a process of its own because Ray ends it when its raylet dies; the command that supervises lives on and starts the next.
`python -m orchestrator.scheduling.driver DESCRIPTOR` reads its job from standard input, whose end tells it that the command is gone, and
writes what became of the attempt to the descriptor.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.checkpoints.store import is_committed, step_directory
from orchestrator.config.load import read_config
from orchestrator.config.schema import Config
from orchestrator.errors import InfrastructureError, InterruptedRunError, NodesMissingError, OrchestratorError
from orchestrator.feed.worker import start_workers
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.attempts import enter_placement
from orchestrator.runs.directory import RunDirectory
from orchestrator.scheduling.asked import asked_to_stop, name, note_signals
from orchestrator.scheduling.attempt import BEAT, AttemptJob, Outcome, dump, load_job
from orchestrator.scheduling.board import Board
from orchestrator.scheduling.cluster import LOST, cluster_nodes, draining_nodes, ray_cluster
from orchestrator.scheduling.faults import BlamedRanksError, RankLostError
from orchestrator.scheduling.gang import Gang, GangPlace, rank_environment, start_gang
from orchestrator.scheduling.phases import Sighting, limits
from orchestrator.scheduling.placement import feed_places
from orchestrator.scheduling.sizes import Batch, largest_world_size, room_for_ranks
from orchestrator.scheduling.stacks import end_ranks
from orchestrator.scheduling.vitals import Observation
from orchestrator.scheduling.watch import HungError, ResizedError, Rules, Watch

_LOOK_SECONDS = 1.0


class Driver:
    """Of one attempt."""

    def __init__(self, job: AttemptJob, config: Config, orphaned: threading.Event, beat: Callable[[], None]) -> None:
        """
        Args:
            job: what to do.
            config: the run's.
            orphaned: set when the command is gone.
            beat: shows the command that this process is at work.
        """
        self._job, self._config, self._orphaned, self._beat = job, config, orphaned, beat
        self._run = RunDirectory(Path(job.run))
        self._began = time.monotonic()
        self._watch: Watch | None = None
        self._world_size = config.scheduling.world_size

    def run(self) -> Outcome:
        """Drive the attempt to whatever end it comes to."""
        try:
            outcome = Outcome(**self._drive())
            self._check_last(outcome)
        except ResizedError:
            outcome = Outcome(kind="resize")
        except OrchestratorError as error:
            culprits = self._culprits(error)
            message = self._death_message(culprits, error) if isinstance(error, RankLostError) else str(error)
            nodes, hosts = sorted({culprit.node for culprit in culprits}), sorted({culprit.host for culprit in culprits})
            outcome = Outcome(kind="failed", error=_public_class(error), message=message, failed_nodes=nodes, failed_hosts=hosts)
        except LOST as error:
            traceback.print_exc()
            message = f"the attempt could not be driven: {type(error).__name__}: {error}. Go on with `midtrain resume`."
            outcome = Outcome(kind="failed", error="InfrastructureError", message=message)
        except BaseException as error:
            traceback.print_exc()
            outcome = Outcome(kind="failed", error="RankFailedError", message=f"{type(error).__name__}: {error}")
        return self._with_what_was_seen(outcome)

    def _drive(self) -> dict[str, Any]:
        scheduling, shards = self._config.scheduling, self._config.shards
        gpus, variables = scheduling.gpus_per_rank, rank_environment(scheduling.gpus_per_rank)
        with ray_cluster(scheduling.world_size, scheduling.world_size * gpus, variables) as environment:
            note_signals(scheduling.preemption.signals)  # after Ray has set handlers of its own
            nodes = self._choose_nodes()
            places = feed_places(nodes, self._config.feed, gpus_per_rank=gpus)
            workers = start_workers(
                self._run.plan, Path(shards.dir), places, packing=shards.packing, document_attention=self._config.feed.document_attention
            )
            board = Board()
            with closing(self._start_gang(board, workers, environment)) as gang:
                self._watch = Watch(gang, board, self._rules(), is_orphaned=self._orphaned.is_set, began=self._began)
                ending: dict[str, Any] = self._watch.until_it_ends()
                return ending

    def _choose_nodes(self) -> Sequence[Mapping[str, Any]]:
        """The nodes to use, once they are there; how many ranks they take is entered into the ledger."""
        deadline = self._began + self._config.scheduling.deadlines.start
        while (size := self._feasible_world_size()) is None or self._room("Resources") < size:
            if time.monotonic() > deadline or self._orphaned.is_set():
                raise NodesMissingError(
                    f"the cluster has had nodes for {self._room('Resources')} ranks, and room for {self._room()}, for "
                    f"scheduling.deadlines.start={self._config.scheduling.deadlines.start:g} s, and at least {self._smallest} that divide "
                    f"the batch are needed. Wait for its nodes and `midtrain resume`, or lower scheduling.min_world_size."
                )
            if number := asked_to_stop():
                raise InterruptedRunError(f"stopped by {name(number)} before there were nodes. Go on with `midtrain resume`.")
            self._beat()
            time.sleep(_LOOK_SECONDS)
        self._world_size = size
        nodes = [node for node in cluster_nodes() if node["NodeID"] not in self._excluded()]
        enter_placement(self._run, self._job.token.attempt, world_size=size, hosts=[node["NodeManagerHostname"] for node in nodes])
        return nodes

    @property
    def _smallest(self) -> int:
        return self._config.scheduling.min_world_size or self._config.scheduling.world_size

    def _room(self, of: str = "Available") -> int:
        """For so many ranks, by what nobody has taken of the nodes, or by all of their `Resources`."""
        gpus = self._config.scheduling.gpus_per_rank
        nodes = [node | {"Available": node[of]} for node in cluster_nodes()]
        return room_for_ranks(nodes, gpus_per_rank=gpus, excluded=self._excluded())

    def _excluded(self) -> Sequence[str]:
        """Nodes that failed are not used, unless there is no room without them."""
        gpus, excluded = self._config.scheduling.gpus_per_rank, self._job.excluded_nodes
        return excluded if room_for_ranks(cluster_nodes(), gpus_per_rank=gpus, excluded=excluded) >= self._smallest else ()

    def _feasible_world_size(self, placed: int = 0) -> int | None:
        """The most ranks that there can be, of which so many have their places already."""
        training, largest = self._config.training, self._config.scheduling.world_size
        if self._smallest == largest:  # not elastic: the gang waits for the nodes
            return largest
        batch = Batch(sequences_per_step=training.sequences_per_step, micro_batch=training.micro_batch)
        return largest_world_size(placed + self._room(), batch, smallest=self._smallest, largest=largest)

    def _start_gang(self, board: Board, workers: Sequence[Any], environment: Mapping[str, str]) -> Gang:
        job, scheduling = self._job, self._config.scheduling
        place = GangPlace(
            world_size=self._world_size,
            gpus_per_rank=scheduling.gpus_per_rank,
            excluded_nodes=self._excluded(),
            environment=environment,
        )
        return start_gang(
            _rank,
            {"run": self._run.root, "attempt": job.token.attempt, "workers": workers, "until_step": job.until_step},
            place,
            Observation(run=self._run.root, token=job.token, board=board.actor, signals=scheduling.preemption.signals),
        )

    def _rules(self) -> Rules:
        return Rules(
            limits=limits(self._config.scheduling.deadlines),
            grace_seconds=self._config.scheduling.preemption.grace_seconds,
            world_size=self._world_size,
            from_step=self._job.from_step,
            feasible_world_size=self._feasible_world_size,
            draining_nodes=draining_nodes,
            beat=self._beat,
            end_ranks=end_ranks,
            logs=self._run.logs(self._job.token.attempt),
        )

    def _check_last(self, outcome: Outcome) -> None:
        steps = read_plan(self._run.plan).steps
        last = step_directory(self._run.checkpoints, min(steps, self._job.until_step or steps))
        if outcome.kind in ("done", "paused") and not is_committed(last):
            logs = self._run.logs(self._job.token.attempt)
            raise InfrastructureError(f"the ranks ended without an error and without {last}. Their logs are in {logs}.")

    def _culprits(self, error: OrchestratorError) -> Sequence[Sighting]:
        """The ranks that died or hung."""
        if isinstance(error, HungError):
            return error.culprits
        blamed = error.ranks if isinstance(error, BlamedRanksError) else ()
        return [sighting for sighting in self._watch.sightings if sighting.rank in blamed] if self._watch else []

    def _death_message(self, culprits: Sequence[Sighting], error: OrchestratorError) -> str:
        who = f"the process of {'; '.join(culprit.name for culprit in culprits)} died" if culprits else str(error).removesuffix(".")
        return f"{who}. The logs are in {self._run.logs(self._job.token.attempt)}; go on with `midtrain resume`."

    def _with_what_was_seen(self, outcome: Outcome) -> Outcome:
        sightings = self._watch.sightings if self._watch else ()
        step = max([outcome.step, self._job.from_step, *(sighting.step for sighting in sightings)])
        spent = {phase: seconds for sighting in sightings if sighting.rank == 0 for phase, seconds in sighting.spent.items()}
        return replace(outcome, step=step, seconds=spent, world_size=self._world_size)


def _rank(job: dict[str, Any]) -> dict[str, Any]:
    """What every rank does. DeepSpeed and the models are imported there, not here."""
    from orchestrator.scheduling.rank import run_rank

    return run_rank(job)


def _public_class(error: OrchestratorError) -> str:
    """The class of `orchestrator.errors` that an error is of."""
    return next(cls.__name__ for cls in type(error).__mro__ if cls.__module__ == OrchestratorError.__module__)


def main() -> None:
    """Drive the attempt that standard input names."""
    channel = int(sys.argv[1])
    os.set_inheritable(channel, False)
    job = load_job(os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0).readline())
    config = read_config(RunDirectory(Path(job.run)).config)
    note_signals(config.scheduling.preemption.signals)
    orphaned = threading.Event()

    def wait_for_the_end_of_input() -> None:
        os.read(sys.stdin.fileno(), 1)  # past Python's buffer, whose lock no thread may hold when this process ends
        orphaned.set()

    threading.Thread(target=wait_for_the_end_of_input, daemon=True).start()

    def beat() -> None:
        os.write(channel, BEAT)

    outcome = Driver(job, config, orphaned, beat).run()
    os.write(channel, dump(outcome))


if __name__ == "__main__":
    # Ranks look for what they call by its module's name, which is not __main__.
    from orchestrator.scheduling.driver import main as main_of_the_module

    main_of_the_module()
