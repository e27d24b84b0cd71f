"""What the trials of a sweep show together: gain in the spec against forgetting of the rest, with intervals. Pure functions of losses."""
