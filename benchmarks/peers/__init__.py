"""Each peer behind the same small port, run in its own process and environment: `python -m benchmarks.peers.NAME --data FOLDER`."""
