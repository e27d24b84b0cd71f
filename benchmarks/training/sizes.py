"""The models that are trained, how, and what a token costs: shared by all peers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

LENGTH = 512  # tokens a sequence
SEED = 0
END = "<|endoftext|>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """A model and its batches.

    Attributes:
        key, title: what tables and folders call it.
        architecture: of a Llama, in Hugging Face's words.
        precision: fp32 or bf16.
        ranks: that share a step, one thread each.
        micro_batch: sequences a rank and step.
        turns: how often each peer is asked.
        steps: that are measured each time.
    """

    key: str
    title: str
    architecture: dict[str, int]
    precision: str
    ranks: int = 2
    micro_batch: int = 2
    turns: int
    steps: int

    @property
    def step_tokens(self) -> int:
        return self.ranks * self.micro_batch * LENGTH

    @property
    def matrix_parameters(self) -> int:
        """Those that a token is multiplied by: the output layer once, the look-up of embeddings not."""
        a = self.architecture
        key_value = a["hidden_size"] // a["num_attention_heads"] * a["num_key_value_heads"]
        attention = 2 * a["hidden_size"] ** 2 + 2 * a["hidden_size"] * key_value
        layer = attention + 3 * a["hidden_size"] * a["intermediate_size"]
        return a["num_hidden_layers"] * layer + a["hidden_size"] * a["vocab_size"]

    @property
    def token_flops(self) -> int:
        """Forward and backward: 6 a matrix parameter, and 6 x length x hidden size a layer for causal attention, where half is masked."""
        a = self.architecture
        return 6 * self.matrix_parameters + 6 * LENGTH * a["hidden_size"] * a["num_hidden_layers"]

    def write(self, root: Path) -> Path:
        """The model's directory, a config and a small tokenizer; its weights are drawn when it is built."""
        folder = root / self.key
        folder.mkdir(parents=True, exist_ok=True)
        rest = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "tie_word_embeddings": True, "max_position_embeddings": 2048}
        (folder / "config.json").write_text(json.dumps(rest | self.architecture))
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END}))
        _byte_tokenizer().save(str(folder / "tokenizer.json"))
        return folder

    def overrides(self, folder: Path) -> dict[str, Any]:
        """The groups model and training: for `midtrain train`, and for the DeepSpeed configuration that every peer gets."""
        return {
            "model.path": folder,
            "model.initialise": "scratch",
            "training.sequence_length": LENGTH,
            "training.sequences_per_step": self.ranks * self.micro_batch,
            "training.micro_batch": self.micro_batch,
            "training.precision": self.precision,
            "training.zero_stage": 1,
            "training.learning_rate": 1e-4,
            "training.warmup_share": "null",
            "training.warmup_steps": 1,
            "training.log_every_steps": 1,
        }


def _byte_tokenizer() -> Tokenizer:
    """A token a byte, and one that ends documents: which ids a step trains on is nothing to its speed."""
    symbols = [*sorted(pre_tokenizers.ByteLevel.alphabet()), END]
    tokenizer = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(symbols)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    return tokenizer


SMALL = Size(
    key="llama_10m",
    title="Llama of 10 M parameters, float32",
    architecture={
        "hidden_size": 320,
        "intermediate_size": 864,
        "num_hidden_layers": 6,
        "num_attention_heads": 5,
        "num_key_value_heads": 5,
        "vocab_size": 8_192,
    },
    precision="fp32",
    turns=8,
    steps=6,
)


def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; one that does not takes fifty times as long as for float32."""
    return any(flag in Path("/proc/cpuinfo").read_text(encoding="utf-8") for flag in ("amx_bf16", "avx512_bf16"))


LARGE = Size(
    key="smollm2_135m",
    title=f"SmolLM2's architecture, 135 M parameters, {'bfloat16' if _has_bfloat16() else 'float32, as this machine has no bfloat16'}",
    architecture={
        "hidden_size": 576,
        "intermediate_size": 1_536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49_152,
    },
    precision="bf16" if _has_bfloat16() else "fp32",
    turns=5,
    steps=4,
)
SIZES = (SMALL, LARGE)
