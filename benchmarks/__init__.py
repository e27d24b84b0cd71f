"""Measures this project's data plane beside its peers', on the same tokens and the same machine: `make bench-data`."""
