"""The limit of a loader that makes blocks: the same copies, into a buffer as large as a block of this project's."""

from benchmarks.own.plane import BLOCK_BYTES
from benchmarks.peers.limit import Limit
from benchmarks.peers.serve import main


class LimitInBlocks(Limit):
    """The limit, its batches parts of a larger buffer."""

    name = "limit_in_blocks"
    configuration = "the same into a preallocated block of 2 MiB, handed out in batches"
    block_bytes = BLOCK_BYTES


if __name__ == "__main__":
    main(LimitInBlocks())
