"""What is trained when: a pure function of the plan and a sequence number (law 1). No files, no torch, no state."""
