"""The process of one rank, as an actor: it says where it stands, is told its place among the others, joins them, and works."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psutil
import ray

from orchestrator.scheduling.vitals import Observation, open_vitals

# How long a collective may take is for our deadlines to say, which name the phase and the rank; torch's own is only put out of the way.
_FOR_EVER = timedelta(days=7)
_BACKLOG = 4096  # ranks that come before rank 0 has imported torch


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a rank's process is.

    Attributes:
        node: Ray's id.
        address: of the node.
        port: that the process listens at, in case it is rank 0.
        gpus: that Ray gave it, as CUDA_VISIBLE_DEVICES names them.
    """

    node: str
    address: str
    port: int
    gpus: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """A rank's place among the ranks.

    Attributes:
        rank, world_size: among all.
        local_rank, local_world_size: among those on its node.
        visible_gpus: of all ranks on its node: NCCL and CUDA's peer access want each to see those of its neighbours. None without GPUs.
        meeting: address and port of rank 0.
    """

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    visible_gpus: tuple[str, ...]
    meeting: tuple[str, int]


class RankProcess:
    """The actor. Its methods run in the main thread, the only one where Python takes signals."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("", 0), backlog=_BACKLOG)

    def stand(self) -> Standing:
        """Where this process is."""
        context = ray.get_runtime_context()
        return Standing(
            node=context.get_node_id(),
            address=ray.util.get_node_ip_address(),
            port=self._listener.getsockname()[1],
            gpus=tuple(context.get_accelerator_ids().get("GPU", ())),
        )

    def work(self, membership: Membership, observation: Observation, rank_function: Callable[[Any], Any], job: Any) -> Any:
        """Join the others and do what ranks do. Nothing that can hang comes before the vitals.

        Returns:
            What the function returned.
        """
        open_vitals(membership.rank, observation)
        self._join(membership)
        return rank_function(job)  # the process group is not taken apart: that can hang, and all ranks are killed next

    def _join(self, membership: Membership) -> None:
        """Make the process group of all ranks; what launchers of torch put into the environment is there for those who look for it."""
        os.environ |= {
            "RANK": str(membership.rank),
            "WORLD_SIZE": str(membership.world_size),
            "LOCAL_RANK": str(membership.local_rank),
            "LOCAL_WORLD_SIZE": str(membership.local_world_size),
            "MASTER_ADDR": membership.meeting[0],
            "MASTER_PORT": str(membership.meeting[1]),
        }
        if membership.visible_gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(membership.visible_gpus)  # before CUDA is first asked for anything
        if interface := _interface_of(ray.util.get_node_ip_address()):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        import torch
        from torch import distributed
        from torch.distributed import distributed_c10d

        for default in ("default_pg_timeout", "default_pg_nccl_timeout"):  # of groups that DeepSpeed makes
            setattr(distributed_c10d, default, _FOR_EVER)
        if membership.visible_gpus:
            torch.cuda.set_device(membership.local_rank)
        is_first = membership.rank == 0
        store = distributed.TCPStore(  # type: ignore[attr-defined]
            *membership.meeting,
            world_size=membership.world_size,
            is_master=is_first,
            timeout=_FOR_EVER,
            wait_for_workers=False,
            master_listen_fd=self._listener.detach() if is_first else None,  # no other process can have taken the port since
        )
        self._listener.close()
        distributed.init_process_group(
            "nccl" if membership.visible_gpus else "gloo",
            store=store,
            rank=membership.rank,
            world_size=membership.world_size,
            timeout=_FOR_EVER,
        )


def _interface_of(address: str) -> str | None:
    """The network interface that has an address. Gloo would take that of the host's name, which on many systems is loopback."""
    return next((name for name, there in psutil.net_if_addrs().items() if any(one.address == address for one in there)), None)
