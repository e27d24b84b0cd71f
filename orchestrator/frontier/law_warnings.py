"""Why a mixing law should be trusted less, in plain words."""

from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.frontier.estimates import SourceLaw
from orchestrator.frontier.exponential import rate_bounds
from orchestrator.frontier.settings import Group
from orchestrator.frontier.trials import Floats

FEW_SHARES = 5
NARROW_SPAN = 4.0  # the largest share by the smallest above 0


def law_warnings(line: Sequence[Group], laws: Mapping[str, SourceLaw], measured: Mapping[str, Floats], optimum: float) -> list[str]:
    """Look for what is wrong with fits.

    Args:
        line: the settings that were fitted, by rising share.
        laws: of each source.
        measured: of each source, (n,) mean losses of the settings in nats a token.
        optimum: the share at which the sources together lose least.
    """
    shares = np.array([group.spec_share for group in line])
    fits = [_at_bound(name, law, shares) or _straight(name, law, shares, measured[name]) for name, law in laws.items()]
    found = [_few_shares(shares), _narrow_span(shares), *fits, _repetition(line), _end(optimum, shares)]
    return [words for words in found if words]


def _few_shares(shares: Floats) -> str | None:
    num = len(np.unique(shares))
    if num >= FEW_SHARES:
        return None
    return f"3 parameters of each source are fitted to {num} spec shares, which any curve comes close to. Try {FEW_SHARES} shares or more."


def _narrow_span(shares: Floats) -> str | None:
    low, high = float(shares[shares > 0].min()), float(shares[-1])
    if high >= NARROW_SPAN * low:
        return None
    return f"The spec shares span a factor of {high / low:.2g} only. A curve shows itself over a factor of {NARROW_SPAN:g} or more."


def _at_bound(name: str, law: SourceLaw, shares: Floats) -> str | None:
    slowest, fastest = rate_bounds(shares)
    if law.k == 0:
        return f"{name}: the fitted loss does not change with the spec share (k is at its bound, 0)."
    if law.c == 0:
        return f"{name}: c is at its bound, 0: the shares do not show where the loss would settle."
    if abs(law.t) > 0.999 * fastest:
        return f"{name}: t is at its bound, {law.t:.4g}: all of the change lies below the smallest difference between shares."
    if abs(law.t) < 1.001 * slowest:
        return f"{name}: t is at its bound, {law.t:.2g}: over these shares the curve is a straight line."
    return None


def _straight(name: str, law: SourceLaw, shares: Floats, losses: Floats) -> str | None:
    """Compare it with a line by the variance that is left: the sum of squares by the number of settings less that of parameters."""
    num = len(shares)
    residuals = losses - np.polyval(np.polyfit(shares, losses, 1), shares)
    if np.square(residuals).sum() / (num - 2) > num * law.rmse**2 / (num - 3):
        return None
    return f"{name}: the law fits no better than a straight line."


def _repetition(line: Sequence[Group]) -> str | None:
    epochs = [group.spec_epochs for group in line if group.spec_share > 0]
    if max(epochs) <= 1 or epochs[-1] <= epochs[0]:
        return None
    return (
        f"Larger shares passed over the spec more often, up to {max(epochs):.3g} times. The law knows no repetition: it takes what that "
        f"does for what the share does."
    )


def _end(optimum: float, shares: Floats) -> str | None:
    low, high = float(shares[0]), float(shares[-1])
    if optimum > high * (1 - 1e-9):
        return f"The optimum is at the largest share that was tried, {high:.4g}; the true one may lie beyond. Try larger shares."
    if low == 0 and optimum < high * 1e-9:
        least = float(shares[shares > 0].min())
        return (
            f"The optimum is at 0, without the spec: by these curves no share takes up more than it forgets. If {least:.4g}, the smallest "
            f"that was tried, takes up anything, try smaller ones."
        )
    if low > 0 and optimum < low:
        return f"The optimum is below the smallest share that was tried, {low:.4g}, where the law was not measured. Try smaller shares."
    return None
