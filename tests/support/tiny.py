"""A tiny model, tiny corpora and a tiny experiment: the whole of midtrain in seconds."""

import json
import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
VOCABULARY = 300
_TEXT = "the a river lock keeper ledger seam door chair hand says asks opens waits writes counts slowly twice never always and but so"
_WORDS = _TEXT.split()


def write_model(folder: Path, vocab_size: int = VOCABULARY) -> Path:
    """A Llama of about 40,000 parameters that starts from scratch, and a byte-level tokenizer of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([" ".join(_WORDS * 4)], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 128,
        "vocab_size": vocab_size,
        "tie_word_embeddings": True,
        "initializer_range": 0.02,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END}))
    return folder


def write_weights(folder: Path) -> None:
    """Weights for a model directory, so that it need not start from scratch."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)


def write_corpora(folder: Path) -> None:
    """A spec of Markdown files with front matter and held-out ones, and two general sources as JSONL."""
    pick = random.Random(0)
    for kind, count in (("spec", 30), ("heldout", 6)):
        (folder / kind).mkdir(parents=True)
        for index in range(count):
            text = f"---\nkind: essay\n---\n\n{_prose(pick, 80)}\n"
            (folder / kind / f"{index:02d}.md").write_text(text)
    for name, count in (("code", 60), ("docs", 90)):
        lines = (json.dumps({"text": _prose(pick, 100)}) for _ in range(count))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def _prose(pick: random.Random, words: int) -> str:
    return " ".join(pick.choice(_WORDS) for _ in range(words))


def overrides(folder: Path, **changes: object) -> list[str]:
    """A whole configuration on the command line: 10 steps, saved and evaluated at 5."""
    values: dict[str, object] = {
        "run.name": "tiny",
        "run.dir": folder / "runs" / "tiny",
        "model.path": folder / "model",
        "model.initialise": "scratch",
        "shards.dir": folder / "shards",
        "shards.shard_bytes": 20000,
        "sources.spec": f"{{role:spec,paths:[{folder}/spec],heldout_paths:[{folder}/heldout]}}",
        "sources.code": f"{{role:general,paths:[{folder}/code.jsonl],heldout_share:0.1}}",
        "sources.docs": f"{{role:general,paths:[{folder}/docs.jsonl],heldout_share:0.1,weight:2}}",
        "mixture.spec_share": 0.25,
        "mixture.total_tokens": 10 * 4 * 32,
        "training.sequence_length": 32,
        "training.sequences_per_step": 4,
        "training.micro_batch": 1,
        "training.precision": "fp32",
        "training.zero_stage": 1,
        "training.learning_rate": 0.01,
        "training.warmup_share": "null",
        "training.warmup_steps": 2,
        "checkpoints.every_steps": 5,
        "evaluation.every_steps": 5,
        "evaluation.max_sequences": 8,
        "tracking": "off",
    }
    return [f"{key}={value}" for key, value in (values | changes).items()]


def write_everything(folder: Path) -> Path:
    """Model and corpora below a folder."""
    write_model(folder / "model")
    write_corpora(folder)
    return folder
