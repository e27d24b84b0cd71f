"""How sure a mean of held-out losses is, when several of its sequences are of one document."""

import math

import numpy as np
from numpy.typing import NDArray


def standard_error(values: NDArray[np.float64], documents: NDArray[np.int64] | None = None) -> float | None:
    """The standard error of a mean over sequences, of which those of one document are not independent.

    With G documents, and S_g the sum of the deviations from the mean within each, it is the root of G / (G - 1) times the sum of
    S_g^2, by n (Liang and Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 1986, for a mean, with the
    usual correction for few clusters). Where each sequence is of another document, that is the sample deviation by the root of n.

    Args:
        values: (n,) of each sequence.
        documents: (n,) the number of the document that each is of; none: each is taken as one of its own.

    Returns:
        It; none for a single document.
    """
    sums = values - values.mean() if len(values) else values
    if documents is not None:
        _, which = np.unique(documents, return_inverse=True)
        sums = np.bincount(which, sums)
    num = len(sums)
    return math.sqrt(num / (num - 1) * float(sums @ sums)) / len(values) if num > 1 else None
