"""Checkpoints: a checkpoint exists when its COMMIT file exists (law 2)."""
