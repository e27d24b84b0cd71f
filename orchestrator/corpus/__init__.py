"""Files in, documents with stable ids out."""
