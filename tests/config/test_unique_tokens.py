"""`mixture.unique_tokens` as it is configured, and the files of runs from before it was there."""

from pathlib import Path

import pytest
import yaml

from orchestrator.config.load import config_values, dump_config, load_config, read_config
from orchestrator.errors import ConfigError
from tests.support.tiny import overrides


def test_the_file_of_an_older_run_which_lacks_the_key_is_read_as_one_that_uses_sources_whole(tmp_path: Path) -> None:
    config, file = load_config(overrides(tmp_path)), tmp_path / "config.yaml"
    values = config_values(config)
    assert values["mixture"].pop("unique_tokens") == {}
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert read_config(file) == config
    assert "unique_tokens: {}" in dump_config(config)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{spek:2}", r"mixture\.unique_tokens names 'spek', which is not a source\. Sources: spec, code, docs\."),
        ("{spec:0}", r"mixture\.unique_tokens\.spec=0: "),
        ("{spec:1.5}", r"mixture\.unique_tokens\.spec=1\.5: "),
    ],
)
def test_what_is_no_number_of_tokens_of_a_source_is_refused(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(overrides(tmp_path, **{"mixture.unique_tokens": given}))
