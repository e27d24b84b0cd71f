"""From overrides to the planned trials of a sweep, controls included. Reads manifests, costs seconds, spends nothing (law 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.commands.planning import checked_supplies, plan_run
from orchestrator.config.load import compose_values
from orchestrator.config.schema import Config
from orchestrator.config.sweep import SweepConfig
from orchestrator.config.validation import validated
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.summary import summarise
from orchestrator.sweep import settings
from orchestrator.sweep.budgets import Asked, Configured, solve
from orchestrator.sweep.directory import SweepDirectory, TrialEntry
from orchestrator.sweep.identity import tags_of, trial_id
from orchestrator.sweep.matching import Match, Supplied, match
from orchestrator.sweep.settings import CONTROL, EPOCHS, SHARE, START, UNIQUE, TrialWish, varies
from orchestrator.sweep.stored import Stored
from orchestrator.sweep.values import of_run, spec_changes, start_changes, with_values, without_spec


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A trial that can be trained.

    Attributes:
        entry: as the ledger will have it.
        config, plan: of its run.
        matches: how it stands for the run that the sweep is a proxy of; empty when it is none.
    """

    entry: TrialEntry
    config: Config
    plan: Plan
    matches: Sequence[Match] = ()

    @property
    def run(self) -> Path:
        """Where its run directory is, or will be."""
        assert self.config.run.dir is not None
        return Path(self.config.run.dir)


class Design:
    """A sweep, before anything of it is made.

    Attributes:
        stored: what it is made of.
        sweep: its settings.
        base: the run that is varied.
    """

    stored: Stored
    sweep: SweepConfig
    base: Config

    def __init__(self, stored: Stored) -> None:
        """
        Args:
            stored: the run that is varied, and the settings of the sweep.

        Raises:
            OrchestratorError: the run is not valid, or not prepared.
        """
        self.stored, self.sweep = stored, stored.sweep
        self.base = validated(Config, stored.values)
        supplies = checked_supplies(self.base)
        self._spec = {supply.name: supply.trained_tokens for supply in supplies if supply.is_spec}
        if not self._spec:
            raise ConfigError("no source has the role spec, so there is nothing to sweep the share of. Give one in sources.")
        self._base_of = cache(self._composed)

    @property
    def directory(self) -> SweepDirectory:
        return SweepDirectory(Path(self.sweep.dir or f"sweeps/{self.base.run.name}").absolute())

    @property
    def base_run(self) -> Path:
        """Where the run that is varied would be, were it trained by itself."""
        assert self.base.run.dir is not None
        return Path(self.base.run.dir)

    def trials(self, wishes: Sequence[TrialWish]) -> list[Trial]:
        """The trials that are wished for, and their controls. What comes to the same trial is one.

        Raises:
            OrchestratorError: one cannot be planned.
        """
        if self.sweep.proxy:
            _refuse_mixed(self.sweep)
        planned = [self._trial(wish) for wish in wishes]
        trials = [trial if trial.entry.spec_share else self._control(trial) for trial in planned]
        if self.sweep.controls:
            trials += [self._control(trial) for trial in planned]
        first: dict[str, Trial] = {}
        for trial in trials:
            first.setdefault(trial.entry.trial_id, trial)
        return list(first.values())

    def _trial(self, wish: TrialWish) -> Trial:
        try:
            return self._planned(wish)
        except OrchestratorError as error:
            words = ", ".join(f"{key}={value}" for key, value in wish.setting.items()) or "as configured"
            raise type(error)(f"the trial with {words}, seed {wish.seed}: {error}") from None

    def _planned(self, wish: TrialWish) -> Trial:
        values = with_values(self._base_of(self._groups(wish)), of_run(wish.setting))
        asked = self._asked(values, wish)
        budget = solve(asked, self._configured, self.sweep.hold)
        changes = spec_changes(values["mixture"], budget, tokens=self._spec, epochs=asked.spec_epochs)
        start = wish.setting.get(START, self.sweep.start_step)
        if start is not None:
            changes |= start_changes(values["mixture"], budget, start_step=_count(START, start), tokens_per_step=asked.tokens_per_step)
        return self._made(with_values(values, changes | _seeds(wish.seed)), wish)

    def _control(self, trial: Trial) -> Trial:
        """The same general data, as many tokens, and no spec."""
        entry = trial.entry
        wish = TrialWish(arm=CONTROL, setting=settings.control_setting(entry.setting), seed=entry.seed)
        values = with_values(self._base_of(self._groups(wish)), of_run(wish.setting))
        mixture = without_spec(values["mixture"], list(self._spec), trial.plan.tokens)
        return self._made(with_values(values, {"mixture": mixture} | _seeds(wish.seed)), wish)

    def _made(self, values: dict[str, Any], wish: TrialWish) -> Trial:
        values, matches = self._matched(values) if self.sweep.proxy else (values, [])
        plan = plan_run(validated(Config, values))
        name = trial_id(wish, values, plan.fingerprint)
        tracked = {"tracking.group": self.directory.root.name, "tracking.tags": [*values["tracking"]["tags"], *tags_of(wish)]}
        named = {"run.name": name, "run.dir": str(self.directory.run(name).root), **tracked}
        if home := values["checkpoints"]["second_home"]:
            named["checkpoints.second_home"] = f"{home.rstrip('/')}/{name}"
        config = validated(Config, with_values(values, named))
        made = {row["name"]: row["epochs"] for row in summarise(plan)["sources"]}
        as_made = [replace(one, epochs=made[one.source]) for one in matches]  # of whole sequences
        return Trial(entry=_entry(wish, name, plan), config=config, plan=plan, matches=as_made)

    def _matched(self, values: dict[str, Any]) -> tuple[dict[str, Any], list[Match]]:
        """With as much less of each repeated source as the trial is shorter than the run that it stands for."""
        proxy, plan = self.sweep.proxy, summarise(plan_run(validated(Config, values)))
        assert proxy is not None
        if proxy.total_tokens < plan["tokens"]:
            raise ConfigError(
                f"sweep.proxy.total_tokens={proxy.total_tokens:,} is less than the {plan['tokens']:,} of a trial. Give the length of the "
                f"run that the sweep stands for, or lower mixture.total_tokens."
            )
        given = proxy.unique_spec_tokens
        total = sum(self._spec.values())
        target_unique = {} if given is None else {name: given * tokens // total for name, tokens in self._spec.items()}
        sources = [
            Supplied(name=row["name"], is_spec=row["role"] == "spec", tokens=row["unique_tokens"], share=row["share"])
            for row in plan["sources"]
            if row["share"]
        ]
        matches = match(sources, total_tokens=plan["tokens"], target_tokens=proxy.total_tokens, target_unique=target_unique)
        unique = {one.source: one.unique_tokens for one in matches if one.unique_tokens is not None}
        return with_values(values, {"mixture.unique_tokens": unique}), matches

    def _asked(self, values: Mapping[str, Any], wish: TrialWish) -> Asked:
        mixture, training = values["mixture"], values["training"]
        return Asked(
            total_tokens=mixture["total_tokens"],
            tokens_per_step=training["sequences_per_step"] * training["sequence_length"],
            spec_share=mixture["spec_share"],
            varies_share=varies(self.sweep, SHARE),
            spec_epochs=_number(EPOCHS, wish.setting.get(EPOCHS, self.sweep.spec_epochs)),
            varies_epochs=varies(self.sweep, EPOCHS),
            unique_spec_tokens=self._unique(values, wish),
        )

    def _unique(self, values: Mapping[str, Any], wish: TrialWish) -> int | None:
        """That the sweep asks for, or else the run itself; none: all."""
        unique = wish.setting.get(UNIQUE, self.sweep.unique_spec_tokens)
        if unique is not None:
            return _count(UNIQUE, unique)
        given = values["mixture"].get("unique_tokens") or {}
        return sum(given.get(name, tokens) for name, tokens in self._spec.items()) if set(given) & set(self._spec) else None

    @property
    def _configured(self) -> Configured:
        training = self.base.training
        return Configured(
            spec_share=self.base.mixture.spec_share,
            tokens_per_step=training.sequences_per_step * training.sequence_length,
            unique_spec_tokens=sum(self._spec.values()),
        )

    def _groups(self, wish: TrialWish) -> tuple[str, ...]:
        return tuple(f"{key}={value}" for key, value in wish.setting.items() if "." not in key)

    def _composed(self, groups: tuple[str, ...]) -> dict[str, Any]:
        """The values of the run that is varied, with other choices of groups."""
        if not groups:
            return self.stored.values
        values = compose_values([*self.stored.overrides, *groups])
        values.pop("sweep")
        return values


def _seeds(seed: int) -> dict[str, int]:
    return {"mixture.seed": seed, "training.seed": seed}


def _entry(wish: TrialWish, name: str, plan: Plan) -> TrialEntry:
    summary = summarise(plan)
    spec = [row for row in summary["sources"] if row["role"] == "spec"]
    tokens, used = sum(row["trained_tokens"] for row in spec), sum(row["unique_tokens"] for row in spec)
    return TrialEntry(
        trial_id=name,
        arm=wish.arm,
        setting=dict(wish.setting),
        seed=wish.seed,
        spec_share=sum(row["share"] for row in spec),
        spec_tokens=tokens,
        spec_epochs=tokens / used,
        unique_spec_tokens=used,
        total_tokens=summary["tokens"],
        steps=plan.steps,
    )


def _refuse_mixed(sweep: SweepConfig) -> None:
    """What a proxy's rate of repetition follows from is not given twice."""
    given = {"hold": sweep.hold not in ("total_tokens", "updates")} | {
        key.rpartition(".")[2]: varies(sweep, key) or getattr(sweep, key.rpartition(".")[2]) is not None for key in (EPOCHS, UNIQUE)
    }
    for key in (key for key, is_given in given.items() if is_given):
        raise ConfigError(f"sweep.{key} and sweep.proxy both say how often the spec is repeated. Leave sweep.{key} out.")


def _count(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{key}={value!r} is not a number of 1 or more. Give whole numbers.")
    return value


def _number(key: str, value: Any) -> float | None:
    if value is not None and (not isinstance(value, int | float) or value <= 0):
        raise ConfigError(f"{key}={value!r} is not a number above 0. Give such numbers.")
    return value
