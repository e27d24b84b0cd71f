"""What a sweep will cost, told before it starts, with the assumption behind each figure."""

import statistics
from collections.abc import Iterable, Sequence

from orchestrator.commands.console import Console, duration
from orchestrator.commands.probes import summarise_probes
from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.commands.sweeping.sizing import Model, model_of
from orchestrator.config.schema import Config
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.sweep import cost
from orchestrator.sweep.cost import Cost, Speed, TrialSize

_SETTLED_LINES = 3  # the first steps are slower


def show_cost(trials: Sequence[Trial], left: Sequence[Trial], design: Design, console: Console) -> None:
    """Tell it.

    Args:
        trials: of the sweep.
        left: those of them that are to be trained.
        design: of the sweep.
        console: to tell it to.
    """
    config, world_size = design.base, design.base.scheduling.world_size
    model = model_of(config)
    speed = speed_of(design, trials, model)
    sizes = [_size(trial) for trial in left]
    ranks = cost.cluster_sizes(world_size, len(left))
    parameters = model.trained_parameters if model else None
    found = cost.cost_of(sizes, speed, world_size=world_size, trained_parameters=parameters, ranks=ranks)
    rows = list(_rows(found, config, sizes, speed, parameters))
    console.table(f"what {len(left)} trial{'s' * (len(left) != 1)} will cost", ["", "figure", "assumed"], rows)


def speed_of(design: Design, trials: Iterable[Trial], model: Model | None) -> Speed | None:
    """As configured, or measured by runs of the same shape, or computed from what the device can do; none: not known."""
    config, given = design.base, design.sweep.tokens_per_second_per_rank
    if given is not None:
        return Speed(tokens_per_second=given, known_from="sweep.tokens_per_second_per_rank")
    measured = [rate for run in _runs(design, trials) if (rate := _measured(run, config)) is not None]
    if measured:
        return Speed(tokens_per_second=statistics.median(measured), known_from=f"measured by {len(measured)} earlier runs of it")
    peak = config.training.peak_tflops_per_rank
    if model and model.flops_per_token and peak:
        rate = peak * 1e12 * cost.ASSUMED_UTILISATION / model.flops_per_token
        share = f"{cost.ASSUMED_UTILISATION:.0%} of training.peak_tflops_per_rank={peak:g}"
        return Speed(tokens_per_second=rate, known_from=f"{share}, at {model.flops_per_token / 1e9:.3g} GFLOP a token")
    return None


def _runs(design: Design, trials: Iterable[Trial]) -> list[RunDirectory]:
    """Of the sweep, and the run that it varies, if it was trained by itself."""
    base = [RunDirectory(design.base_run)]
    return [design.directory.run(trial.entry.trial_id) for trial in trials] + base


def _measured(run: RunDirectory, config: Config) -> float | None:
    """Tokens a second of a rank; none where nothing was logged."""
    rates: list[float] = [line["tokens_per_second"] for line in read_lines(run.metrics) if line.get("tokens_per_second")]
    starts = [line["world_size"] for line in read_lines(run.attempts) if line["event"] == "start"]
    if len(rates) <= _SETTLED_LINES or not starts:
        return None
    return statistics.median(rates[_SETTLED_LINES:]) / int(starts[-1])


def _size(trial: Trial) -> TrialSize:
    config, steps = trial.config, trial.plan.steps
    evaluations = 2 + (steps - 1) // config.evaluation.every_steps
    heldout = len(config.sources) * config.evaluation.max_sequences * config.training.sequence_length
    measured = heldout + sum(probe["tokens"] for probe in summarise_probes(config))
    kept = cost.checkpoints_kept(steps, config.checkpoints.every_steps, with_insurance=config.checkpoints.insurance_minutes > 0)
    return TrialSize(tokens=trial.plan.tokens, heldout_tokens=evaluations * measured, checkpoints=kept)


def _rows(found: Cost, config: Config, sizes: Sequence[TrialSize], speed: Speed | None, parameters: int | None) -> Iterable[list[str]]:
    hours = "GPU hours" if config.scheduling.gpus_per_rank else "rank hours"
    if speed is None or found.rank_hours is None:
        remedy = "give sweep.tokens_per_second_per_rank, or training.peak_tflops_per_rank; it is measured by the first trial"
        yield [hours, "not known", remedy]
    else:
        said = f"{speed.tokens_per_second:,.0f} tokens a second and rank: {speed.known_from}; {cost.START_SECONDS:.0f} s a start"
        yield [hours, f"{found.rank_hours:,.2f}", said]
        for ranks, seconds in found.wall_seconds.items():
            at_once = max(1, ranks // config.scheduling.world_size)
            yield [f"wall time on {ranks:,} ranks", duration(seconds), f"{at_once} side by side"]
    checkpoints = sum(size.checkpoints for size in sizes)
    if found.disk_bytes is None or parameters is None:
        yield ["disk", "not known", f"{checkpoints} checkpoints of a model whose size cannot be read here"]
    else:
        each = f"{checkpoints} checkpoints of {parameters:,} trained parameters, {cost.STATE_BYTES} bytes each"
        yield ["disk", f"{found.disk_bytes / 1e9:,.2f} GB", each]
