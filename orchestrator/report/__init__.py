"""The report: what a run learned, what it forgot, and what it cost, as a JSON summary and one self-contained page."""
