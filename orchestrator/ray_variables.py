"""What processes of Ray's have in their environment."""

# Wherever they run.
RAY_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no report to its makers
    "RAY_worker_niceness": "0",  # ranks do not stand back behind whatever else the node runs, as they would with Ray's own 15
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # no warning that only its makers can act on
    "RAY_ROTATION_MAX_BYTES": f"{64 << 20}",  # of each log in /tmp, where Ray would keep up to six times 512 MiB of each
    "RAY_ROTATION_BACKUP_COUNT": "1",
}

# On the nodes of a job; a machine by itself has no others to lose.
NODE_VARIABLES = RAY_VARIABLES | {
    "RAY_health_check_timeout_ms": "5000",  # a node that does not answer is dead after 24 s, not after 65
    "RAY_health_check_failure_threshold": "3",
}
