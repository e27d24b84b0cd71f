"""Ray: a cluster, the tasks that prepare sources, and the gang of ranks that trains."""
