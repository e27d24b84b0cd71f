"""Batches in, updates and losses out: DeepSpeed ZeRO behind one door."""
