"""The text that is tokenised, as eight files of JSONL.zst, and the tokenizer."""

import itertools
import json
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from benchmarks.rows import VOCABULARY
from orchestrator.demo.general_text import PACKAGES, package_documentation, python_source

NUM_FILES = 8
_END = "<|endoftext|>"
_COUNTED = "bytes.json"


def write_text(target: Path, given: Path | None, num_bytes: int) -> None:
    """Write documents in turn into files that appear together: the given ones first, then what every machine with Python has.

    Args:
        target: a folder, made here; what is there already is kept.
        given: a folder of JSONL with a field `text`, or none.
        num_bytes: of text, at which no further document is taken.
    """
    if (target / _COUNTED).exists():
        return
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    texts = list(_until(itertools.chain(_given(given) if given else (), _found()), num_bytes))
    for index in range(NUM_FILES):
        lines = (json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts) if number % NUM_FILES == index)
        (target / f"part_{index}.jsonl.zst").write_bytes(zstandard.compress("".join(f"{line}\n" for line in lines).encode()))
    (target / _COUNTED).write_text(json.dumps(sum(len(text.encode()) for text in texts)))


def bytes_of(folder: Path) -> int:
    """Bytes of text, in UTF-8, of what `write_text` wrote."""
    return int(json.loads((folder / _COUNTED).read_text()))


def _given(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)["text"]


def _found() -> Iterator[str]:
    places = {name: Path(path) for name, path in sysconfig.get_paths().items()}
    yield from (text for _, text in package_documentation(places["purelib"], PACKAGES))
    yield from (text for _, text in python_source(places["stdlib"]))
    packages = sorted(Path(path) for path in sys.path if path.endswith("-packages"))
    yield from (text for folder in packages for _, text in python_source(folder))


def _until(texts: Iterable[str], num_bytes: int) -> Iterator[str]:
    taken = 0
    for text in texts:
        if taken >= num_bytes:
            return
        taken += len(text.encode())
        yield text


def read_texts(folder: Path) -> list[str]:
    """The documents of `write_text`, file by file."""
    files = (zstandard.decompress(path.read_bytes()) for path in sorted(folder.glob("*.jsonl.zst")))
    return [json.loads(line)["text"] for file in files for line in file.splitlines()]


def write_tokenizer(target: Path, given: Path, text: Path) -> None:
    """A model directory as far as preparing reads one: the given one's, or a byte-level BPE of 49,152 entries trained on the text.

    Args:
        target: the folder to make; what is there already is kept.
        given: a model directory that may be missing.
        text: what to train on if it is.
    """
    if target.exists():
        return
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if (given / "tokenizer.json").exists():
        for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
            shutil.copy(given / name, partial / name)
    else:
        _train(partial, text)
    partial.rename(target)


def write_unconvertible(target: Path, model: Path) -> None:
    """The same tokenizer, its first pre-tokenizing step twice: the same ids, by a sequence that no faster engine is known to equal.

    Args:
        target: the model directory to make; what is there already is kept.
        model: whose pre-tokenizer is a sequence.
    """
    if target.exists():
        return
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(model, partial)
    content = json.loads((model / "tokenizer.json").read_text())
    steps = content["pre_tokenizer"]["pretokenizers"]
    steps.insert(0, steps[0])
    (partial / "tokenizer.json").write_text(json.dumps(content))
    partial.rename(target)


def _train(folder: Path, text: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[_END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(read_texts(text), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": _END}))
    (folder / "config.json").write_text(json.dumps({"vocab_size": VOCABULARY}))


def separator(model: Path) -> tuple[str, int]:
    """The token after each document, and its id."""
    token = json.loads((model / "tokenizer_config.json").read_text())["eos_token"]
    token = token["content"] if isinstance(token, dict) else token
    return token, Tokenizer.from_file(str(model / "tokenizer.json")).token_to_id(token)
