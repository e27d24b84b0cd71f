"""What the model learned and what it forgot: held-out loss by source."""
