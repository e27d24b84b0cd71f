"""From the run that is varied to that of a trial: nested values in, nested values out. Pure."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.sweep.budgets import Budget
from orchestrator.sweep.settings import START, Setting

_CAP_SLACK = 1.01  # epochs that were asked for may be rounded up to whole sequences


def with_values(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with other values at dotted keys; what they replace is not looked into."""
    result = copy.deepcopy(dict(values))
    for key, value in changes.items():
        *groups, name = key.split(".")
        within = result
        for group in groups:
            within = within.setdefault(group, {})
        within[name] = value
    return result


def of_run(setting: Setting) -> dict[str, Any]:
    """Of a setting, what are keys of a run: neither the sweep's own nor the choices of groups."""
    return {key: value for key, value in setting.items() if "." in key and not key.startswith("sweep.")}


def spec_changes(mixture: Mapping[str, Any], budget: Budget, *, tokens: Mapping[str, int], epochs: float | None) -> dict[str, Any]:
    """How much of the spec a trial has.

    Args:
        mixture: of the trial, but for this.
        budget: of it.
        tokens: spec source -> its prepared tokens.
        epochs: that were asked for; what is asked for may be repeated.
    """
    changes: dict[str, Any] = {"mixture.total_tokens": budget.total_tokens}
    if budget.spec_share is not None:
        changes["mixture.spec_share"] = budget.spec_share
    as_given = (None, unique_of(mixture["unique_tokens"], tokens))  # which several sources may divide otherwise than by size
    if budget.unique_spec_tokens not in as_given:
        changes["mixture.unique_tokens"] = mixture["unique_tokens"] | _divided(budget.unique_spec_tokens, tokens)
    if epochs is not None:
        caps = mixture["max_epochs"]
        changes["mixture.max_epochs"] = caps | {name: max(caps.get(name, 1.0), epochs * _CAP_SLACK) for name in tokens}
    return changes


def unique_of(given: Mapping[str, int], tokens: Mapping[str, int]) -> int | None:
    """The tokens of the spec that a run uses; none: all.

    Args:
        given: its `mixture.unique_tokens`.
        tokens: spec source -> its prepared tokens.
    """
    return sum(given.get(name, prepared) for name, prepared in tokens.items()) if set(given) & set(tokens) else None


def start_changes(mixture: Mapping[str, Any], budget: Budget, *, start_step: int, tokens_per_step: int) -> dict[str, Any]:
    """General text alone before a step; the spec's share of the whole run stays.

    Raises:
        ConfigError: the run has stages of its own, or too few steps are left.
    """
    if mixture["stages"] or budget.spec_share is None:
        what = "mixture.stages" if mixture["stages"] else "mixture.spec_share=null"
        raise ConfigError(f"{START}={start_step} makes a stage without the spec, and the run has {what}. Give one of them.")
    if start_step == 1:
        return {}
    steps = budget.total_tokens // tokens_per_step
    share = budget.spec_share * steps / (steps - start_step + 1) if start_step <= steps else 2.0
    if share > 1:
        latest = int(steps * (1 - budget.spec_share)) + 1
        raise ConfigError(
            f"{START}={start_step} leaves {max(0, steps - start_step + 1):,} of {steps:,} steps for a spec share of {budget.spec_share:g} "
            f"of the whole run. Set it to {latest:,} or less."
        )
    before = {"steps": start_step - 1, "spec_share": 0.0}
    return {"mixture.stages": [before, {"spec_share": share}]}


def without_spec(mixture: Mapping[str, Any], spec: Sequence[str], total_tokens: int) -> dict[str, Any]:
    """A mixture as long, of general text alone, in the proportions that it has among itself.

    Args:
        mixture: of the trial that is controlled.
        spec: the names of the sources with the role spec.
        total_tokens: of that trial.

    Raises:
        ConfigError: it does not say in which proportions, as the spec is trained alone.
    """
    changed = copy.deepcopy(dict(mixture)) | {"total_tokens": total_tokens}
    parts = [("mixture", changed), *((f"mixture.stages[{number}]", stage) for number, stage in enumerate(changed["stages"]))]
    for where, part in parts:
        if part.get("ratios"):
            for key in ("ratios", "end_ratios"):
                part[key] = _general(part.get(key) or {}, spec, f"{where}.{key}")
        elif part is changed or any(part.get(key) for key in ("source_tokens", "source_epochs")) or part.get("spec_share") is not None:
            part["spec_share"] = 0.0
        part["end_spec_share"] = None
        for key in ("source_tokens", "source_epochs"):
            part[key] = {name: value for name, value in (part.get(key) or {}).items() if name not in spec}
    changed.pop("end_ratios", None), changed.pop("end_spec_share", None)
    if unique := changed.get("unique_tokens"):
        changed["unique_tokens"] = {name: value for name, value in unique.items() if name not in spec}
    return changed


def _general(ratios: Mapping[str, float], spec: Sequence[str], where: str) -> dict[str, float]:
    rest = sum(ratio for name, ratio in ratios.items() if name not in spec)
    if ratios and not rest:
        raise ConfigError(
            f"{where}={dict(ratios)} has no general source above 0, so that without the spec nothing is left to train. Give one a ratio."
        )
    return {name: 0.0 if name in spec else ratio / rest for name, ratio in ratios.items()}


def _divided(unique: int, tokens: Mapping[str, int]) -> dict[str, int]:
    """Each source's part of the subset, by its size, so that all are repeated as often as each other."""
    total = sum(tokens.values())
    return {name: max(1, unique * count // total) for name, count in tokens.items()}
