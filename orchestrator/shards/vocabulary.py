"""The tokenizer as data preparation needs it: loaded without transformers or torch, and known by a fingerprint."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xxhash
from tokenizers import Tokenizer

from orchestrator.errors import ConfigError

SpecialTokens = Literal["as text", "parsed"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer's file and the facts that manifests record.

    Attributes:
        file: its tokenizer.json.
        fingerprint: of that file's bytes.
        num_tokens: one more than its largest token id.
        separator_id: the token that follows every document.
    """

    file: Path
    fingerprint: str
    num_tokens: int
    separator_id: int

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The narrowest type that holds every token id."""
        return np.dtype(np.uint16 if self.num_tokens <= 1 << 16 else np.uint32)

    def open(self, special_tokens: SpecialTokens = "as text") -> Tokenizer:
        """The tokenizer, whole documents only: a truncation or padding that its file asks for is for other uses.

        Args:
            special_tokens: what a text that spells one becomes: its letters' tokens, or that token. `as text` keeps a document from
                ending itself; `parsed` is for chat templates.
        """
        tokenizer = Tokenizer.from_file(str(self.file))
        tokenizer.encode_special_tokens = special_tokens == "as text"
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def load_vocabulary(model_path: str, separator: str | None) -> Vocabulary:
    """Read a model's tokenizer.

    Args:
        model_path: a model directory or a hub name.
        separator: the token after every document; none: the tokenizer's end-of-sequence token.

    Raises:
        ConfigError: there is no fast tokenizer, or it has no such token.
    """
    file = model_file(model_path, "tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises nothing narrower
        raise ConfigError(f"{file} is not a tokenizer that can be read ({error}). Restore it from where the model came from.") from None
    separator = _end_of_sequence(model_path) if separator is None else separator
    separator_id = tokenizer.token_to_id(separator)
    if separator_id is None:
        raise ConfigError(
            f"shards.document_separator={separator!r} is not a token of {file}. Choose one that is, such as its end-of-text token."
        )
    num_tokens = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    return Vocabulary(file, xxhash.xxh3_128_hexdigest(file.read_bytes()), num_tokens, separator_id)


def model_vocabulary_size(model_path: str) -> int:
    """The number of token embeddings of a model, by its config.json.

    Raises:
        ConfigError: the config is missing or does not say.
    """
    file = model_file(model_path, "config.json")
    config = read_object(file)
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    if not isinstance(size, int):
        raise ConfigError(f"{file} has no vocab_size, so the tokenizer cannot be checked against it. Add it.")
    return size


def check_fits(vocabulary: Vocabulary, model_path: str) -> None:
    """Refuse a tokenizer that has ids which the model has no embedding for.

    Raises:
        ConfigError: it has.
    """
    size = model_vocabulary_size(model_path)
    if vocabulary.num_tokens > size:
        raise ConfigError(
            f"the tokenizer at {vocabulary.file} has {vocabulary.num_tokens:,} tokens and the model's vocab_size is {size:,}. "
            f"Use the tokenizer that belongs to model.path={model_path}, or a model with {vocabulary.num_tokens:,} embeddings."
        )


def model_file(model_path: str, name: str) -> Path:
    """A file of a model directory, or of a model on the hub (fetched, or from its cache).

    Raises:
        ConfigError: it is not to be had.
    """
    local = Path(model_path)
    if local.is_dir():
        if not (local / name).is_file():
            raise ConfigError(f"model.path={model_path} has no {name}. Point model.path at a Hugging Face model directory that has it.")
        return local / name
    if local.is_absolute() or model_path.startswith("."):
        raise ConfigError(
            f"model.path={model_path} does not exist. Give a model directory or a hub name such as HuggingFaceTB/SmolLM2-135M."
        )
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(model_path, name))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"model.path={model_path} is neither a directory here nor to be had from the hub ({type(error).__name__} for {name}). "
            f"Give a model directory, or fetch it first where there is a network: hf download {model_path}"
        ) from None


def _end_of_sequence(model_path: str) -> str:
    file = model_file(model_path, "tokenizer_config.json")
    token = read_object(file).get("eos_token")
    token = token.get("content") if isinstance(token, dict) else token
    if not isinstance(token, str):
        raise ConfigError(f"{file} names no eos_token. Set shards.document_separator to the token that ends a document.")
    return token


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a model's file.

    Raises:
        ConfigError: there is none.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} is not JSON ({error}). Restore it from where the model came from.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file} holds no JSON object. Restore it from where the model came from.")
    return content
