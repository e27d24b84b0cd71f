"""From a plan and shards to the batches of each rank."""
