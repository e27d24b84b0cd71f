"""What each command does: compositions of the stages, nothing of their own."""
