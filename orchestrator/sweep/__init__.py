"""Sweeps: from one command to trials over ratios and seeds with their control arms, their ledger, and what they will cost."""
