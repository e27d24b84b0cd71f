"""What is measured of this project alone: the way through Ray's workers, very large manifests, memory over many batches."""
