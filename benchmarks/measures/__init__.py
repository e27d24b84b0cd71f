"""What is measured, seen from the process that measures: ask the peers in turn, and keep what they answer."""
