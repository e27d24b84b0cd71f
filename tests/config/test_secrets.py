"""Secrets are refused before anything is written, and never repeated."""

from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from orchestrator.config.secrets import refuse_secrets, without_secrets
from orchestrator.errors import ConfigError

WHOLE = ["run.name=a", "model.path=/m", "mixture.total_tokens=100000", "sources.spec={role:spec,paths:[/spec.md]}"]
SECRET = "hunter2secret"


@pytest.mark.parametrize(
    "key",
    [
        "api_key",
        "WANDB_API_KEY",
        "tracking.wandb_api_key",
        "tracking.password",
        "model.hf_token",
        "HF_TOKEN",
        "model.access_token",
        "tracking.client_secret",
        "tracking.credentials",
        "+tracking.api_key",
    ],
)
def test_an_override_that_is_named_like_a_secret_is_refused_with_its_key_alone(key: str) -> None:
    with pytest.raises(ConfigError, match="environment") as caught:
        load_config([*WHOLE, f"{key}={SECRET}"])
    assert key.lstrip("+") in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        f"tracking.project=https://user:{SECRET}@host/x",
        f"tracking.project=https://:{SECRET}@host/x",
        f"tracking.project=https://{SECRET}@host/x",
        f"sources.spec.paths=[s3://key:{SECRET}@bucket/x]",
        f"sources.spec={{role:spec,paths:['https://user:{SECRET}@host/x']}}",
        f"model.path=https://user:p@{SECRET}@host/x",
    ],
)
def test_a_url_with_a_login_is_refused_with_its_key_alone(override: str) -> None:
    with pytest.raises(ConfigError, match="environment") as caught:
        load_config([*WHOLE, override])
    assert override.partition("=")[0] in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["X-Amz-Signature", "X-Goog-Signature", "Signature", "sig", "X-Amz-Security-Token"])
def test_a_url_that_is_signed_is_refused_with_its_key_alone(name: str) -> None:
    with pytest.raises(ConfigError, match="environment") as caught:
        load_config([*WHOLE, f"sources.spec.paths=['https://host/x.jsonl?a=b&{name}={SECRET}']"])
    assert "sources.spec.paths" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "WANDB_API_KEY", "HF_TOKEN"])
def test_what_a_library_says_is_shown_without_the_secrets_of_the_environment(name: str) -> None:
    said = f"no key {SECRET} at https://user:{SECRET}@host/x, nor {SECRET}"
    assert without_secrets(said, {name: SECRET, "LANG": "key"}) == "no key … at https://…@host/x, nor …"


def test_a_short_value_is_a_word_and_stays() -> None:
    assert without_secrets("test the testing", {"AWS_ACCESS_KEY_ID": "testing"}) == "test the testing"


@pytest.mark.parametrize(
    "override",
    [
        f"+api_key={SECRET}",
        f"tracking.wandb_key={SECRET}",
        f"tracking.secret_key={SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"tracking={{api_key:{SECRET}}}",
        f"sources.spec={{role:spec,paths:[a],api_key:{SECRET}}}",
        f"tracking.project={{password:{SECRET}}}",
        f"tracking.project={{password:{SECRET}",
        f"https://user:{SECRET}@host/x",
        f"https://user:{SECRET}@host/x?a=b",
    ],
)
def test_no_refusal_repeats_what_follows_the_name_of_a_secret(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([*WHOLE, override])
    assert SECRET not in str(caught.value)


def test_a_login_in_a_file_of_ones_own_is_refused_like_one_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf" / "tracking").mkdir(parents=True)
    (tmp_path / "conf" / "tracking" / "mine.yaml").write_text(f"wandb: 'off'\nproject: https://user:{SECRET}@host/x\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_config([*WHOLE, "tracking=mine"])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        "mixture.total_tokens=5",
        "shards.document_separator=<|end|>",
        "model.path=org/token",
        "tracking.project=https://host/x",
        "tracking.project=https://host:8080/x",
        "sources.web.paths=[s3://bucket/x.jsonl,https://host/x.jsonl?a=b]",
        "model.description=its signature: none",
        "model.description=mail a@b: it works",
        "sources.tokens.paths=[a]",
    ],
)
def test_what_is_no_secret_passes(override: str) -> None:
    refuse_secrets([override])
