"""What of a model can be wrong before the first step."""

from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError
from orchestrator.training.model import build_model
from tests.support.tiny import overrides, write_model


def test_a_model_without_weights_is_the_users_to_mend(tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    config = load_config(overrides(tmp_path, **{"model.initialise": "pretrained"}))
    with pytest.raises(ConfigError, match=f"model.path={tmp_path / 'model'} cannot be loaded"):
        build_model(config.model, config.training, None)
