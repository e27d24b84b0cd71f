"""The model and the prepared sources: there, missing, cut short, and on a hub that does not answer."""

import json
from pathlib import Path

import pytest

from orchestrator.config.training import ModelConfig
from orchestrator.doctor.findings import Finding
from orchestrator.doctor.inputs import Weights, check_model, check_sources, find_weights, judge_weights
from tests.support.prepared import write_prepared
from tests.support.tiny import write_model


def model(path: Path | str, initialise: str = "pretrained") -> ModelConfig:
    return ModelConfig(path=str(path), initialise=initialise, start_from=None, description="")  # type: ignore[arg-type]


def verdicts(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.verdict for finding in findings}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_prepared(folder)
    return folder


def test_a_model_that_starts_from_scratch_needs_no_weights(tmp_path: Path) -> None:
    assert verdicts(check_model(model(write_model(tmp_path), "scratch"), None, "here")) == {"model": "good"}


def test_a_model_without_weights_is_bad_where_they_are_needed(tmp_path: Path) -> None:
    found = check_model(model(write_model(tmp_path)), None, "here")
    assert verdicts(found) == {"model": "good", "model weights": "bad"}
    assert found[1].value == f"{tmp_path} lacks model.safetensors"


def test_weights_in_one_file_or_in_many_are_found(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(bytes(2 << 20))
    assert verdicts(check_model(model(tmp_path), None, "here")) == {"model": "good", "model weights": "good"}
    (tmp_path / "model.safetensors").rename(tmp_path / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert find_weights(str(tmp_path)) == Weights(size_bytes=2 << 20, missing=("model-2.safetensors",))
    assert verdicts(check_model(model(tmp_path), None, "here"))["model weights"] == "bad"


@pytest.mark.parametrize(
    ("path", "separator", "said"),
    [
        ("/no/such/model", None, "model.path=/no/such/model does not exist"),
        ("tiny", "<|nothing|>", "shards.document_separator='<|nothing|>' is not a token"),
        ("narrow", None, "has 300 tokens and the model's vocab_size is 200"),
    ],
)
def test_a_model_that_cannot_be_had_is_bad_with_what_its_loader_says(tmp_path: Path, path: str, separator: str | None, said: str) -> None:
    write_model(tmp_path / "tiny")
    write_model(tmp_path / "narrow", vocab_size=200)
    (found,) = check_model(model(tmp_path / path), separator, "here")
    assert (found.check, found.verdict, said in found.value) == ("model", "bad", True)
    assert found.remedy


def test_a_name_on_the_hub_that_is_neither_cached_nor_allowed_to_be_fetched_is_bad(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (found,) = check_model(model("nobody/nothing"), None, "here")
    assert (found.verdict, "hf download nobody/nothing" in found.remedy) == ("bad", True)
    said = find_weights("nobody/nothing")
    assert isinstance(said, str) and "HF_HUB_OFFLINE" in said


@pytest.mark.parametrize(
    ("weights", "verdict", "said"),
    [
        (Weights(size_bytes=3 << 30), "good", "3.00 GiB on this machine's disks"),
        (Weights(size_bytes=3 << 30, is_elsewhere=True), "warning", "3.00 GiB on the hub, none of it here"),
        (Weights(size_bytes=1, missing=("a", "b", "c", "d")), "bad", "m lacks a, b, c …"),
        ("the hub does not answer", "bad", "the hub does not answer"),
    ],
)
def test_weights_are_judged_by_where_they_are(weights: Weights | str, verdict: str, said: str) -> None:
    found = judge_weights(weights, "m", "here")
    assert (found.verdict, found.value) == (verdict, said)


def test_prepared_sources_are_counted(prepared: Path) -> None:
    found = list(check_sources(prepared / "shards", ["spec", "code"], "here"))
    assert verdicts(found) == {"source 'spec'": "good", "source 'code'": "good"}


def test_a_source_that_is_not_prepared_or_cut_short_is_named(prepared: Path) -> None:
    shard = next((prepared / "shards" / "docs").rglob("*.starts.bin"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    missing, cut = check_sources(prepared / "shards", ["web", "docs"], "here")
    shard.write_bytes(whole)
    assert (missing.check, missing.verdict, missing.remedy) == (
        "source 'web'",
        "bad",
        "Run `midtrain prepare` with the same configuration.",
    )
    assert (cut.verdict, cut.value[:43]) == ("bad", "1 of 2 shards are missing or cut short, as ")
