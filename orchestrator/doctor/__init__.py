"""What would go wrong on this machine and on the nodes of a cluster, found before GPU time is spent on finding it (law 4)."""
