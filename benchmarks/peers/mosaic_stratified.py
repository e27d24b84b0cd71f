"""MosaicML streaming with the batching that keeps the ratio in every batch; it refuses batches too small for that."""

from benchmarks.peers.mosaic import Mosaic
from benchmarks.peers.serve import main

if __name__ == "__main__":
    main(Mosaic("stratified"))
