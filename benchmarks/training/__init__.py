"""The training step beside its peers': a bare DeepSpeed loop, Hugging Face Trainer, and the machine's own matrix products."""
