"""What `midtrain sweep` does, stage by stage: design, cost, run, and how it stands."""
