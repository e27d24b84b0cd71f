"""Who chooses settings where intervals are given: a study that is asked and told, kept in a file. The one door to optuna."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.config.sweep import IntervalConfig, SamplerConfig
from orchestrator.errors import ConfigError
from orchestrator.sweep.settings import Setting, Value

_STUDY = "sweep"
_DIRECTIONS = ("maximize", "minimize")  # uptake, forgetting


class Sampler:
    """A study of one sweep. It knows what was asked and told before, by whichever command."""

    def __init__(self, path: Path, vary: Mapping[str, tuple[Value, ...] | IntervalConfig], config: SamplerConfig) -> None:
        """
        Args:
            path: of the study's file, made when it is not there.
            vary: key -> values, or an interval.
            config: how many settings, and how the first are chosen.

        Raises:
            ConfigError: the study is one of other values.
        """
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._most = optuna, config.settings
        self._space = {key: _distribution(optuna, values) for key, values in vary.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study = optuna.create_study(
                study_name=_STUDY,
                storage=JournalStorage(JournalFileBackend(str(path))),
                directions=_DIRECTIONS,
                load_if_exists=True,
            )
            self._refuse_other_values()
            known = len(self._study.trials)  # another seed after a restart, or it would propose the same again
            self._study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=config.random_settings, multivariate=True, constant_liar=True, seed=config.seed + known
            )

    def open_ones(self) -> list[tuple[int, Setting]]:
        """The numbers and settings of what was asked for and not told of. What was being asked for as its command was killed has failed."""
        open_ones = [trial for trial in self._study.trials if trial.state == self._optuna.trial.TrialState.RUNNING]
        for trial in open_ones:
            if trial.params.keys() != self._space.keys():
                self.tell_failed(trial.number)
        return [(trial.number, dict(trial.params)) for trial in open_ones if trial.params.keys() == self._space.keys()]

    def _refuse_other_values(self) -> None:
        """Intervals may change; values that are chosen from may not."""
        for key, known in ((key, known) for trial in self._study.trials for key, known in trial.distributions.items()):
            try:
                self._optuna.distributions.check_distribution_compatibility(known, self._space.get(key, known))
            except ValueError:
                given, before = _words(self._space[key]), _words(known)
                raise ConfigError(
                    f"{key}={given}, and so far the sampler of this sweep chose from {before}. What it has learned is of these: give them "
                    f"again, or make another sweep (sweep.dir)."
                ) from None

    @property
    def is_over(self) -> bool:
        """Whether as many settings as there are to be were asked for. Those that failed do not count, but four times as many at most."""
        failed = self._optuna.trial.TrialState.FAIL
        trials = self._study.trials
        return sum(trial.state != failed for trial in trials) >= self._most or len(trials) >= 4 * self._most

    def ask(self) -> tuple[int, Setting] | None:
        """The number and the values of another setting; none when it is over."""
        if self.is_over:
            return None
        trial = self._study.ask(self._space)
        return trial.number, dict(trial.params)

    def tell(self, number: int, *, uptake: float, forgetting: float) -> None:
        """What a setting has come to, over its seeds."""
        self._study.tell(number, [uptake, forgetting])

    def tell_failed(self, number: int) -> None:
        """That a setting cannot be trained or measured."""
        self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)


def _words(distribution: Any) -> str:
    """Its values, or its interval, as in a command."""
    chosen = getattr(distribution, "choices", None)
    return ",".join(map(str, chosen)) if chosen else f"interval({distribution.low:g},{distribution.high:g})"


def _distribution(optuna: Any, values: tuple[Value, ...] | IntervalConfig) -> Any:
    if not isinstance(values, IntervalConfig):
        return optuna.distributions.CategoricalDistribution(values)
    if values.integer:
        return optuna.distributions.IntDistribution(int(values.low), int(values.high), log=values.log)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
