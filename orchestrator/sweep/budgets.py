"""How long a trial is and what of the spec it uses: share x tokens = epochs x unique tokens, with something held fixed. Pure.

Of the four, a sweep varies one or two and holds one; the others follow.
"""

from dataclasses import dataclass
from typing import Literal

from orchestrator.errors import ConfigError

Hold = Literal["total_tokens", "spec_tokens", "epochs", "updates"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a trial asks for.

    Attributes:
        total_tokens: that it varies or, if it does not, as configured.
        tokens_per_step: of its batch.
        spec_share: that it varies or, if it does not, as configured; none: the mixture gives the spec's part in another way.
        varies_share: whether it does.
        spec_epochs, unique_spec_tokens: none: not asked for.
        varies_epochs: whether the epochs differ from trial to trial.
    """

    total_tokens: int
    tokens_per_step: int
    spec_share: float | None
    varies_share: bool = False
    spec_epochs: float | None = None
    varies_epochs: bool = False
    unique_spec_tokens: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """What the run that is varied says.

    Attributes:
        total_tokens: of all sources.
        spec_share: none: its mixture gives the spec's part in another way.
        tokens_per_step: of its batch.
        unique_spec_tokens: that it uses of the spec.
        prepared_spec_tokens: all of it.
    """

    total_tokens: int
    spec_share: float | None
    tokens_per_step: int
    unique_spec_tokens: int
    prepared_spec_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a trial trains.

    Attributes:
        total_tokens: of all sources.
        spec_share: of them; none: as the mixture says.
        unique_spec_tokens: that it uses; none: all.
    """

    total_tokens: int
    spec_share: float | None
    unique_spec_tokens: int | None


def solve(asked: Asked, configured: Configured, hold: Hold) -> Budget:
    """What a trial trains, given what is held fixed.

    - `total_tokens`: the total is as configured. Epochs that are asked for move the share, or, where that varies too, the unique tokens.
    - `updates`: likewise, of as many updates as the configured batch makes of the configured total.
    - `spec_tokens`: the spec's tokens are the configured share of the configured total; the total follows from the share.
    - `epochs`: the spec's epochs are those asked for, or what the configured run makes; its tokens follow, and from the share the total.

    Raises:
        ConfigError: the trial asks for too much or too little.
    """
    if hold in ("total_tokens", "updates"):
        total = asked.total_tokens
        if hold == "updates":
            total = total // configured.tokens_per_step * asked.tokens_per_step
        return _of_total(asked, configured, total)
    _refuse_without_share(asked, configured, hold)
    if asked.total_tokens != configured.total_tokens:
        raise ConfigError(
            f"mixture.total_tokens={asked.total_tokens:,}, where the run has {configured.total_tokens:,}: with sweep.hold={hold} the total "
            f"follows from the spec's share. Vary mixture.spec_share, or hold total_tokens."
        )
    assert asked.spec_share is not None
    spec_tokens, unique = _of_spec(asked, configured, hold)
    if not asked.spec_share:
        raise ConfigError(
            f"a spec share of 0 has no length with sweep.hold={hold}. Leave it out (controls are added anyway), or hold total_tokens."
        )
    return Budget(total_tokens=round(spec_tokens / asked.spec_share), spec_share=asked.spec_share, unique_spec_tokens=unique)


def _of_total(asked: Asked, configured: Configured, total: int) -> Budget:
    share, epochs, unique = asked.spec_share, asked.spec_epochs, asked.unique_spec_tokens
    if epochs is None:
        return Budget(total_tokens=total, spec_share=share, unique_spec_tokens=unique)
    if asked.varies_share and unique is not None:
        raise ConfigError(
            f"spec_share={share}, spec_epochs={epochs:g} and unique_spec_tokens={unique:,} of {total:,} tokens say too much: two of them "
            f"give the third. Leave one out."
        )
    if asked.varies_share:
        assert share is not None
        return Budget(total_tokens=total, spec_share=share, unique_spec_tokens=_subset(share * total / epochs, configured))
    used = unique or configured.prepared_spec_tokens
    share = epochs * used / total
    if share > 1:
        raise ConfigError(
            f"spec_epochs={epochs:g} of {used:,} unique tokens are more than the {total:,} of the whole run. Lower the epochs to "
            f"{total / used:.3g}, or raise mixture.total_tokens."
        )
    return Budget(total_tokens=total, spec_share=share, unique_spec_tokens=unique)


def _of_spec(asked: Asked, configured: Configured, hold: Hold) -> tuple[float, int | None]:
    """The spec's trained tokens, and its unique ones; none: all."""
    assert configured.spec_share is not None
    tokens, unique = configured.spec_share * configured.total_tokens, asked.unique_spec_tokens
    if hold == "epochs":
        if asked.varies_epochs:
            raise ConfigError("sweep.hold=epochs holds what sweep.spec_epochs varies. Hold total_tokens or spec_tokens instead.")
        epochs = asked.spec_epochs or tokens / configured.unique_spec_tokens
        return epochs * (unique or configured.prepared_spec_tokens), unique
    if asked.spec_epochs is None:
        return tokens, unique
    if unique is not None:
        raise ConfigError(
            f"spec_epochs={asked.spec_epochs:g} and unique_spec_tokens={unique:,} give the spec's tokens, which sweep.hold=spec_tokens "
            f"holds. Leave one out, or hold total_tokens."
        )
    return tokens, _subset(tokens / asked.spec_epochs, configured)


def _subset(unique: float, configured: Configured) -> int | None:
    """So many of the prepared tokens; none where that is all of them."""
    if unique > configured.prepared_spec_tokens * (1 + 1e-9):
        raise ConfigError(
            f"the epochs and shares come to {unique:,.0f} unique tokens of the spec, and {configured.prepared_spec_tokens:,} are prepared. "
            f"Raise sweep.spec_epochs {unique / configured.prepared_spec_tokens:.3g} times, or lower the spec's share."
        )
    return None if round(unique) >= configured.prepared_spec_tokens else round(unique)


def _refuse_without_share(asked: Asked, configured: Configured, hold: Hold) -> None:
    if configured.spec_share is None or asked.spec_share is None:
        raise ConfigError(
            f"sweep.hold={hold} follows from mixture.spec_share, and it is null. Set it, or hold total_tokens, which needs none."
        )
