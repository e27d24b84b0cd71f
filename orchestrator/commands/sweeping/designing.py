"""From overrides to the planned trials of a sweep, controls included. Reads manifests, costs seconds, spends nothing (law 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.commands.planning import checked_supplies, plan_run
from orchestrator.commands.sweeping.drafts import Draft, each_once, entered_trials, entry_of, in_words
from orchestrator.commands.sweeping.proxying import matched, refuse_mixed
from orchestrator.config.load import compose_values, config_values
from orchestrator.config.schema import Config
from orchestrator.config.sweep import SweepConfig
from orchestrator.config.validation import validated
from orchestrator.config.varied import written
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.summary import summarise
from orchestrator.sweep.budgets import Asked, Configured, solve
from orchestrator.sweep.comparing import first_difference, frame
from orchestrator.sweep.directory import SweepDirectory, TrialEntry
from orchestrator.sweep.identity import tags_of, trial_id
from orchestrator.sweep.matching import Match
from orchestrator.sweep.settings import CONTROL, EPOCHS, SHARE, START, UNIQUE, Setting, TrialWish, control_setting, refuse_keys, varies
from orchestrator.sweep.stored import Stored
from orchestrator.sweep.values import of_run, spec_changes, start_changes, unique_of, with_values, without_spec


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
            OrchestratorError: the run is not valid, not prepared or measures too little, or something cannot be varied.
        """
        self.stored, self.sweep = stored, stored.sweep
        refuse_keys(self.sweep)
        self.base = validated(Config, stored.values)
        supplies = checked_supplies(self.base)
        self._spec = {supply.name: supply.trained_tokens for supply in supplies if supply.is_spec}
        if not self._spec:
            raise ConfigError("no source has the role spec, so there is nothing to sweep the share of. Give one in sources.")
        _refuse_unmeasured(self.base)
        _refuse_other_bases(self.base, self.sweep)
        self._composed = cache(self._compose)

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
            refuse_mixed(self.sweep)
        entered = entered_trials(self.directory)
        planned = [self._trial(wish) for wish in wishes]
        drafts = [draft if draft.has_spec else self._control(draft) for draft in planned]
        if self.sweep.controls:
            drafts += [self._control(draft) for draft in planned]
        return [self._named(draft, entered.get(draft.content)) for draft in each_once(drafts, entered.values())]

    def _trial(self, wish: TrialWish) -> Draft:
        try:
            return self._planned(wish)
        except OrchestratorError as error:
            raise type(error)(f"the trial with {in_words(wish.setting)}, seed {wish.seed}: {error}") from None

    def _planned(self, wish: TrialWish) -> Draft:
        values = self._varied(wish.setting)
        asked = self._asked(values, wish)
        budget = solve(asked, self._configured, self.sweep.hold)
        changes = spec_changes(values["mixture"], budget, tokens=self._spec, epochs=asked.spec_epochs)
        start = wish.setting.get(START, self.sweep.start_step)
        if start is not None:
            changes |= start_changes(values["mixture"], budget, start_step=_count(START, start), tokens_per_step=asked.tokens_per_step)
        return self._made(with_values(values, changes | _seeds(wish.seed)), wish)

    def _varied(self, setting: Setting) -> dict[str, Any]:
        """The run with what varies as in a setting, checked.

        Raises:
            ConfigError: a value is wrong, or the base model would measure something else.
        """
        run = of_run(setting)
        groups = tuple(f"{key}={written(value)}" for key, value in setting.items() if "." not in key)
        values = self._composed(groups, tuple(run.items())) if groups else self.stored.values
        checked = config_values(validated(Config, with_values(values, run)))
        base, other = frame(config_values(self.base)), frame(checked)
        if (key := first_difference(base, other)) is not None:
            raise ConfigError(
                f"{key} is {other.get(key)!r}, and {base.get(key)!r} in the run that is varied, so that the losses of the two could not be "
                f"compared. Give all trials the same: {key}={written(other.get(key, base.get(key)))}."
            )
        return checked

    def _control(self, draft: Draft) -> Draft:
        """The same general data, as many tokens, and no spec."""
        setting, seed = draft.wish.setting, draft.wish.seed
        values = self._varied(setting)
        try:
            values["mixture"] = without_spec(values["mixture"], list(self._spec), draft.plan.tokens)
            wish = TrialWish(arm=CONTROL, setting=control_setting(setting, self._spec), seed=seed)
            control = self._made(with_values(values, _seeds(seed)), wish)
        except OrchestratorError as error:
            raise type(error)(
                f"the control of the trial with {in_words(setting)}, seed {seed}: {error} Or leave controls out: sweep.controls=false."
            ) from None
        assert not control.has_spec, "a control trains the spec"
        return control

    def _made(self, values: dict[str, Any], wish: TrialWish) -> Draft:
        values, matches = matched(values, self.sweep.proxy, self._spec) if self.sweep.proxy else (values, [])
        config = validated(Config, values)
        plan = plan_run(config)
        made = {row["name"]: row["epochs"] for row in summarise(plan)["sources"]} if matches else {}
        as_made = [replace(one, epochs=made[one.source]) for one in matches]  # of whole sequences
        return Draft(wish=wish, config=config, plan=plan, matches=as_made)

    def _named(self, draft: Draft, entered: TrialEntry | None) -> Trial:
        """In its place in the sweep, which is that of a trial with the same content if there is one."""
        entry, config = entered or entry_of(draft, trial_id(draft.wish, draft.content)), draft.config
        sweep, name, tracking = self.directory, entry.trial_id, config.tracking
        home = config.checkpoints.second_home and f"{config.checkpoints.second_home}/{sweep.root.name}/{name}"
        named = {
            "run.name": name,
            "run.dir": str(sweep.run(name).root),
            "tracking.group": tracking.group or sweep.root.name,
            "tracking.tags": [*tracking.tags, *tags_of(replace(draft.wish, setting=entry.setting))],
            "checkpoints.second_home": home,
        }
        config = validated(Config, with_values(config_values(config), named))
        return Trial(entry=entry, config=config, plan=draft.plan, matches=draft.matches)

    def _asked(self, values: Mapping[str, Any], wish: TrialWish) -> Asked:
        mixture, training = values["mixture"], values["training"]
        return Asked(
            total_tokens=mixture["total_tokens"],
            tokens_per_step=training["sequences_per_step"] * training["sequence_length"],
            spec_share=mixture["spec_share"],
            varies_share=varies(self.sweep, SHARE) or varies(self.sweep, "mixture"),
            spec_epochs=_number(EPOCHS, wish.setting.get(EPOCHS, self.sweep.spec_epochs)),
            varies_epochs=varies(self.sweep, EPOCHS),
            unique_spec_tokens=self._unique(values, wish),
        )

    def _unique(self, values: Mapping[str, Any], wish: TrialWish) -> int | None:
        """That the sweep asks for, or else the run itself; none: all."""
        unique = wish.setting.get(UNIQUE, self.sweep.unique_spec_tokens)
        if unique is not None:
            return _count(UNIQUE, unique)
        return unique_of(values["mixture"]["unique_tokens"], self._spec)

    @property
    def _configured(self) -> Configured:
        mixture, training, prepared = self.base.mixture, self.base.training, sum(self._spec.values())
        return Configured(
            total_tokens=mixture.total_tokens,
            spec_share=mixture.spec_share,
            tokens_per_step=training.sequences_per_step * training.sequence_length,
            unique_spec_tokens=unique_of(mixture.unique_tokens, self._spec) or prepared,
            prepared_spec_tokens=prepared,
        )

    def _compose(self, groups: tuple[str, ...], others: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
        """The values of the run that is varied, with other choices of groups, and others of its setting where these leave a key open."""
        values = compose_values([*self.stored.overrides, *groups], dict(others))
        values.pop("sweep")
        return values


def _refuse_unmeasured(config: Config) -> None:
    """Without held-out text of both sides a sweep would be trained to its end and have nothing to show (law 4)."""
    for role, what in (("spec", "how much of the spec is taken up"), ("general", "what is forgotten")):
        names = [name for name, source in config.sources.items() if source.role == role]
        if names and not any(config.sources[name].heldout_paths or config.sources[name].heldout_share for name in names):
            raise ConfigError(
                f"no source with the role {role} has held-out text, so that {what} could not be measured. Set sources.{names[0]}."
                f"heldout_share=0.01, or give documents in sources.{names[0]}.heldout_paths, and run `midtrain prepare`."
            )


def _refuse_other_bases(config: Config, sweep: SweepConfig) -> None:
    """All trials begin from the same weights, or what they gain and forget is of different models."""
    if config.model.initialise == "scratch" and len(sweep.seeds) > 1:
        raise ConfigError(
            f"sweep.seeds={list(sweep.seeds)} with model.initialise=scratch: each seed draws other weights to begin from, and their losses "
            f"cannot be compared. Give one seed, or a model with weights and model.initialise=pretrained."
        )


def _seeds(seed: int) -> dict[str, int]:
    return {"mixture.seed": seed, "training.seed": seed}


def _count(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{key}={value!r} is not a number of 1 or more. Give whole numbers.")
    return value


def _number(key: str, value: Any) -> float | None:
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or value <= 0):
        raise ConfigError(f"{key}={value!r} is not a number above 0. Give such numbers.")
    return value
