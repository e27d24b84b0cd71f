"""`evaluation.probes` as it is configured, and the files of runs from before it was there."""

from pathlib import Path

import pytest
import yaml

from orchestrator.config.load import config_values, dump_config, load_config, read_config
from orchestrator.errors import ConfigError
from tests.support.tiny import overrides


def test_the_file_of_an_older_run_which_lacks_the_key_is_read_as_one_without_probes(tmp_path: Path) -> None:
    config, file = load_config(overrides(tmp_path)), tmp_path / "config.yaml"
    values = config_values(config)
    assert values["evaluation"].pop("probes") == {}
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert read_config(file) == config
    assert "probes: {}" in dump_config(config)


def test_their_paths_are_meant_from_where_the_command_was_given_and_urls_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(overrides(tmp_path, **{"evaluation.probes": "{seam:[probes/*.jsonl,'s3://b/p.jsonl'],door:[/p]}"}))
    assert config.evaluation.probes == {"seam": (f"{tmp_path}/probes/*.jsonl", "s3://b/p.jsonl"), "door": ("/p",)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{seam:[]}", r"evaluation\.probes\.seam=\[\]"),
        ("{seam:/p.jsonl}", r"evaluation\.probes\.seam='/p\.jsonl'"),
        ("{a/b:[/p.jsonl]}", r"evaluation\.probes"),
        ("[/p.jsonl]", r"evaluation\.probes=\[/p\.jsonl\]"),
    ],
)
def test_what_is_no_name_with_files_is_refused(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(overrides(tmp_path, **{"evaluation.probes": given}))
