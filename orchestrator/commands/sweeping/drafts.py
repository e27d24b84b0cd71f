"""Trials that are planned and have no name yet: what comes to the same trial is one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from orchestrator.config.load import config_values
from orchestrator.config.schema import Config
from orchestrator.errors import ConfigError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.summary import summarise
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, read_trials
from orchestrator.sweep.identity import CONTENT_CHARACTERS, content_in, content_of
from orchestrator.sweep.matching import Match
from orchestrator.sweep.settings import SPEC, Setting, TrialWish


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A trial that could be trained.

    Attributes:
        wish: what was wished for.
        config, plan: of its run; the configuration has the name and the place of the run that is varied.
        matches: how it stands for the run that the sweep is a proxy of; empty when it is none.
    """

    wish: TrialWish
    config: Config
    plan: Plan
    matches: Sequence[Match] = ()

    @property
    def has_spec(self) -> bool:
        """Whether it trains the spec at all."""
        return any(count for source, count in zip(self.plan.sources, self.plan.sequences, strict=True) if source.role == "spec")

    @cached_property
    def content(self) -> str:
        """Of what is trained and measured."""
        return content_of(config_values(self.config), self.plan.fingerprint)


def each_once(drafts: Iterable[Draft], known: Iterable[TrialEntry]) -> list[Draft]:
    """The drafts, the same ones once; a control's setting is then what those that it controls have in common.

    Args:
        drafts: in order.
        known: the trials that the sweep has.

    Raises:
        ConfigError: two settings with the spec are one trial.
    """
    entered = {content_in(entry.trial_id): entry for entry in known}
    once: dict[str, Draft] = {}
    for draft in drafts:
        wish, twin = draft.wish, once.get(draft.content)
        before = twin.wish if twin else entered.get(draft.content)
        if before and wish.arm == SPEC == before.arm and dict(wish.setting) != dict(before.setting):
            raise _without_effect(before.setting, wish.setting)
        if twin and wish.arm != SPEC:
            common = {key: value for key, value in twin.wish.setting.items() if key in wish.setting and wish.setting[key] == value}
            draft = replace(draft, wish=replace(wish, setting=common))
        once[draft.content] = draft
    return list(once.values())


def entered_trials(sweep: SweepDirectory) -> dict[str, TrialEntry]:
    """Content -> the trial of a sweep that has it; empty of a sweep that is not made yet.

    Raises:
        ConfigError: it is of an older version, whose names say less.
    """
    entries = read_trials(sweep)
    for entry in entries:
        if len(content_in(entry.trial_id)) != CONTENT_CHARACTERS:
            raise ConfigError(
                f"{sweep.root} was made by an older version, which named trials otherwise: {entry.trial_id}. Go on with each by "
                f"`midtrain resume {sweep.trials}/…`, or set sweep.dir or run.name to a new one."
            )
    return {content_in(entry.trial_id): entry for entry in entries}


def entry_of(draft: Draft, name: str) -> TrialEntry:
    """As the ledger will have it."""
    summary, wish = summarise(draft.plan), draft.wish
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
        steps=draft.plan.steps,
    )


def in_words(setting: Setting) -> str:
    """A setting, for messages."""
    return ", ".join(f"{key}={value}" for key, value in setting.items()) or "as configured"


def _without_effect(one: Setting, other: Setting) -> ConfigError:
    keys = [key for key in {**one, **other} if (key in one, one.get(key)) != (key in other, other.get(key))]
    return ConfigError(
        f"{' and '.join(keys)}: the trials with {in_words(one)} and with {in_words(other)} are one and the same, so that it has no effect "
        f"on them. Leave one of them out, or vary what the run follows: mixture.stages and numbers of tokens or epochs go before a share."
    )
