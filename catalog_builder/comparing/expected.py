"""How far two answers for one star may differ: the expected difference.

Errors e_o and e_n of the old and the new answer have the deviations s_o and s_n that the tables
state, and the correlation rho. Then

    var(n - o) = s_o^2 + s_n^2 - 2 rho s_o s_n.

rho is not 0: both releases see partly the same photons, both networks learnt from the same labels,
and both shrink towards the same population of training stars where the data say little. Three cases
are told apart:

*independent*
    rho = 0: nothing is shared, s^2 = s_o^2 + s_n^2. Differences are expected to be smaller.
*nested*
    The new data contain the old ones (DR4 averages the transits of DR3 and later ones), and each
    answer is the best one from its data. Then n - o is uncorrelated with the error of n (the law of
    total variance for expectations under growing information; for estimators, Hausman 1978,
    Econometrica 46, 1251), cov(e_o, e_n) = s_n^2, rho = s_n / s_o, s^2 = s_o^2 - s_n^2. Where the
    new uncertainty is the larger one the parts are exchanged.
*shared*
    rho = 1: s = |s_o - s_n|, the least that there can be (Cauchy and Schwarz).

rho cannot be had from the differences themselves without taking the uncertainties for right; what
it would have to be for that is told (`needed_correlation`) and judged by nothing. It is a setting,
or is measured on stars with labels of a survey (:mod:`catalog_builder.comparing.correlation`).
What drifts is judged by what is possible, 0 to 1: labelled stars are bright, and fainter ones may
share more or less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Share of a Gaussian within one deviation.
WITHIN_ONE: Final = 0.6826895
INDEPENDENT: Final = "independent"
NESTED: Final = "nested"
ADOPTED: Final = "adopted"


@dataclass(frozen=True)
class Line:
    """One assumption about the shared part of two errors.

    Attributes
    ----------
    name, title : str
    variance : callable
        Of a difference, from the deviations of the old and the new answer.
    """

    name: str
    title: str
    variance: Callable[[Array, Array], Array]


def correlated(rho: float) -> Callable[[Array, Array], Array]:
    """Return the variance of a difference of errors with this correlation."""

    def variance(old: Array, new: Array) -> Array:
        return np.asarray(old**2 + new**2 - 2 * rho * old * new)

    return variance


def nested(old: Array, new: Array) -> Array:
    """Return the variance of a difference where one answer's data contain the other's."""
    return np.abs(old**2 - new**2)


def lines_for(rho: float) -> tuple[Line, ...]:
    """Return the adopted line first, then the bounds that are not the same."""
    independent = Line(INDEPENDENT, "errors independent", correlated(0.0))
    bound = Line(NESTED, "data nested", nested)
    if rho == 0:
        return (independent, bound)
    return (Line(ADOPTED, "correlation adopted", correlated(rho)), independent, bound)


def pulls(difference: Array, variance: Array) -> Array:
    """Return differences in units of the expected ones; infinite where none was expected."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = difference / np.sqrt(variance)
    return np.where(difference == 0, 0.0, found)


def needed_correlation(difference: Array, old: Array, new: Array) -> NDArray[Any]:
    """Return, for each star, the correlation up to which its difference is within one deviation.

    |d| < sqrt(s_o^2 + s_n^2 - 2 rho s_o s_n) where rho < (s_o^2 + s_n^2 - d^2) / (2 s_o s_n). The
    correlation at which 68 % of the stars are within is a quantile of these.
    """
    return np.asarray((old**2 + new**2 - difference**2) / (2 * old * new))
