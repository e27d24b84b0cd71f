"""From JSONL.zst to tokens: the same text, tokenizer and cores, each tool in its own environment."""
