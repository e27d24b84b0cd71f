"""How large the model of a sweep is, and what training it takes."""

import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from orchestrator.config.schema import Config
from orchestrator.scheduling.leftovers import own_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """What the model costs.

    Attributes:
        trained_parameters: of it, or of its adapters.
        flops_per_token: that training it takes; none: not known.
    """

    trained_parameters: int
    flops_per_token: float | None


def model_of(config: Config) -> Model | None:
    """Its sizes, from its configuration; none where that cannot be read here.

    They are found in a process of its own: torch would stay in that of the sweep for hours, and leaves files in the temporary directory.
    """
    with own_folder() as folder, ProcessPoolExecutor(1, get_context("spawn"), _keep_files_in, (str(folder),)) as pool:
        try:
            return pool.submit(_sizes, config).result()
        except (OSError, ValueError, KeyError, ImportError, BrokenProcessPool):
            return None


def _keep_files_in(folder: str) -> None:
    tempfile.tempdir = folder


def _sizes(config: Config) -> Model:
    warnings.simplefilter("ignore")  # of libraries to their own makers
    from orchestrator.training.flops import flops_per_token
    from orchestrator.training.skeleton import skeleton

    built = skeleton(config.model, config.training.lora)
    trained = sum(parameter.numel() for parameter in built.parameters() if parameter.requires_grad)
    return Model(trained_parameters=trained, flops_per_token=flops_per_token(built, config.training.sequence_length))
