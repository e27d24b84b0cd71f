"""The run directory, which is the truth (law 6): where its files are, and the ledger of its attempts."""
