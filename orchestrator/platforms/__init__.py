"""Where runs are submitted to: this machine, Slurm, Kubernetes. Nothing here imports torch, Ray or DeepSpeed."""
