"""The report of a sweep: one page with the frontier, pictures, and tables."""
