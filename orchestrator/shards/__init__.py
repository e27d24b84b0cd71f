"""Documents in, token shards and a manifest out."""
