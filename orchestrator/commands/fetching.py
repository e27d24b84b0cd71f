"""`midtrain resume URL`: a run from its second home, on a machine that has nothing of it, or has less."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from orchestrator.checkpoints.store import Checkpoint, committed_directories
from orchestrator.commands.console import Console
from orchestrator.config.load import dump_config, read_config
from orchestrator.config.operation import CheckpointsConfig
from orchestrator.config.schema import Config
from orchestrator.config.secrets import refuse_secrets
from orchestrator.corpus.storage import is_url
from orchestrator.errors import CheckpointError, ConfigError, InterruptedRunError, RunExistsError
from orchestrator.runs.attempts import only_attempt
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.scheduling import asked
from orchestrator.second_home.fetch import fetch_newest, newest_run_files
from orchestrator.second_home.home import SecondHome
from orchestrator.second_home.run_files import place_files
from orchestrator.second_home.uploading import open_home

_ANSWER_SECONDS = 60.0  # the run's own are known when its configuration is here


def find_run(place: str, directory: Path | None, console: Console) -> RunDirectory:
    """The run that a command is to go on with; from a URL, it is fetched.

    Args:
        place: its directory, or the URL of its second home.
        directory: where to make it from a URL; none: where its configuration says.
        console: told what is done.

    Raises:
        OrchestratorError: it cannot be fetched, or the directory is another run's.
    """
    if is_url(place):
        return fetch_run(place.rstrip("/"), directory, console)
    if directory:
        raise ConfigError(f"--dir {directory} is for the URL of a second home, and {place} is a directory. Leave it out.")
    return RunDirectory(Path(place).absolute())


def fetch_run(url: str, directory: Path | None, console: Console) -> RunDirectory:
    """Make a run's directory anew from its second home, or bring one of the same run up to it; the URL is its second home from now on.

    Args:
        url: of the second home.
        directory: where to; none: where its configuration says.
        console: told what is done.

    Returns:
        The run, with the newest checkpoint that there is here or there.

    Raises:
        ConfigError: the URL has a login in it, or the directory is another run's or of a run at work; nothing was changed.
        CheckpointError: no checkpoint there is whole.
        InfrastructureError: the second home does not answer.
    """
    refuse_secrets([url])
    reach = partial(SecondHome, url, answer_seconds=_ANSWER_SECONDS)
    step, files = newest_run_files(reach, console.warn)
    config = _config_of(files, url, directory)
    assert config.run.dir is not None
    run = RunDirectory(Path(config.run.dir))
    files = {path: content for path, content in files.items() if path != run.config.name} | {run.config.name: dump_config(config).encode()}
    if not run.root.exists():
        create_run(run.root, config=dump_config(config), write_plan=lambda path: place_files(files, path.parent))
    elif not _is_same(run, files):
        raise RunExistsError(f"{run.root} is not the run that is at {url}. Give another directory with --dir; nothing was changed.")
    with only_attempt(run):
        newest_here = max((_step(path) for path in committed_directories(run.checkpoints)), default=0)
        if step <= newest_here:
            console.note(f"{run.root} has step {newest_here:,}, and {url} step {step:,}: nothing was fetched")
            return run
        _replace_files(run, files)
        fetched = fetch_newest(reach, run, console.warn, partial(_progress, console), after_step=newest_here)
        if fetched is None and not newest_here:
            raise CheckpointError(f"no checkpoint at {url} is whole. Bring one back there or into {run.checkpoints}, or start a new run.")
    console.note(f"fetched step {fetched.step:,} from {url} into {run.root}" if fetched else f"nothing at {url} is newer and whole")
    return run


def fetch_lost(run: RunDirectory, checkpoints: CheckpointsConfig, console: Console, refusal: CheckpointError) -> Checkpoint:
    """The newest checkpoint of a run that has none any more, from its second home.

    Args:
        run: its directory.
        checkpoints: of its configuration.
        console: told what is done.
        refusal: raised when nothing is to be had.
    """
    if checkpoints.second_home is None:
        raise refusal
    console.warn(f"no checkpoint in {run.checkpoints} is whole: fetching one from {checkpoints.second_home}")
    fetched = fetch_newest(partial(open_home, checkpoints), run, console.warn, partial(_progress, console))
    if fetched is None:
        raise CheckpointError(f"{refusal} {checkpoints.second_home} has none that is whole, either.")
    console.note(f"fetched step {fetched.step:,} from {checkpoints.second_home}")
    return fetched


def _config_of(files: Mapping[str, bytes], url: str, directory: Path | None) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        place_files({path: content for path, content in files.items() if path == "config.yaml"}, Path(folder))
        config = read_config(Path(folder) / "config.yaml")
    root = str(directory.absolute()) if directory else config.run.dir
    return replace(config, run=replace(config.run, dir=root), checkpoints=replace(config.checkpoints, second_home=url))


def _is_same(run: RunDirectory, files: Mapping[str, bytes]) -> bool:
    return run.wandb_id.is_file() and run.wandb_id.read_bytes() == files.get(run.wandb_id.name)


def _replace_files(run: RunDirectory, files: Mapping[str, bytes]) -> None:
    """Bring a run's files up to those of a newer checkpoint. What they replace is kept below RUN/replaced."""
    changed = [path for path, content in files.items() if (run.root / path).is_file() and (run.root / path).read_bytes() != content]
    if changed:
        replaced = run.root / "replaced"
        replaced.mkdir(exist_ok=True)
        folder = replaced / str(len(list(replaced.iterdir())) + 1)
        for path in changed:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(run.root / path, folder / path)
    place_files(files, run.root)


@contextmanager
def _progress(console: Console, name: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    lock = threading.Lock()
    with console.progress(f"fetching {name}", total_bytes, "bytes") as advance:

        def on_bytes(count: int) -> None:
            if number := asked.asked_to_stop():
                raise InterruptedRunError(f"stopped by {asked.name(number)} while {name} was fetched. Go on with `midtrain resume`.")
            with lock:
                advance(count)

        yield on_bytes


def _step(directory: Path) -> int:
    return int(directory.name.removeprefix("step_"))
