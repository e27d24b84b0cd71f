"""Trials that stand for a long run: each is given as much less of a source as it is shorter."""

from collections.abc import Mapping
from typing import Any

from orchestrator.commands.planning import plan_run
from orchestrator.config.schema import Config
from orchestrator.config.sweep import ProxyConfig, SweepConfig
from orchestrator.config.validation import validated
from orchestrator.errors import ConfigError
from orchestrator.mixture.summary import summarise
from orchestrator.sweep.matching import Match, Supplied, match
from orchestrator.sweep.settings import EPOCHS, UNIQUE, varies
from orchestrator.sweep.values import with_values


def matched(values: Mapping[str, Any], proxy: ProxyConfig, spec: Mapping[str, int]) -> tuple[dict[str, Any], list[Match]]:
    """A trial that repeats its sources as often as the run that it stands for.

    Args:
        values: of the trial, nested, checked.
        proxy: the run that it stands for.
        spec: spec source -> its prepared tokens.

    Returns:
        The values with what is used of each source, and how both repeat it.

    Raises:
        ConfigError: the trial is longer than that run.
    """
    plan = summarise(plan_run(validated(Config, values)))
    if proxy.total_tokens < plan["tokens"]:
        raise ConfigError(
            f"sweep.proxy.total_tokens={proxy.total_tokens:,} is less than the {plan['tokens']:,} of a trial. Give the length of the "
            f"run that the sweep stands for, or lower mixture.total_tokens."
        )
    given, total = proxy.unique_spec_tokens, sum(spec.values())
    target_unique = {} if given is None else {name: given * tokens // total for name, tokens in spec.items()}
    sources = [
        Supplied(name=row["name"], is_spec=row["role"] == "spec", tokens=row["unique_tokens"], share=row["asked_share"])
        for row in plan["sources"]
        if row["share"]
    ]
    matches = match(sources, total_tokens=plan["tokens"], target_tokens=proxy.total_tokens, target_unique=target_unique)
    unique = {one.source: one.unique_tokens for one in matches if one.unique_tokens is not None}
    return with_values(values, {"mixture.unique_tokens": values["mixture"]["unique_tokens"] | unique}), matches


def refuse_mixed(sweep: SweepConfig) -> None:
    """Refuse to give a proxy's rate of repetition twice.

    Raises:
        ConfigError: the sweep says it, too.
    """
    given = {"hold": sweep.hold not in ("total_tokens", "updates")} | {
        key.rpartition(".")[2]: varies(sweep, key) or getattr(sweep, key.rpartition(".")[2]) is not None for key in (EPOCHS, UNIQUE)
    }
    for key in (key for key, is_given in given.items() if is_given):
        raise ConfigError(f"sweep.{key} and sweep.proxy both say how often the spec is repeated. Leave sweep.{key} out.")
