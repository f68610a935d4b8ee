"""Absolute magnitudes of stars as a function of their labels: what a model has learnt of them.

The magnitude is one that dust leaves as it is (`Inputs.reddening_free`). Its mean is a polynomial
in the labels, and so is the logarithm of the scatter about it that stars of the same labels have;
the labels' own uncertainties are carried through. A small share of stars are strangers: binaries,
wrong labels, wrong parallaxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Float = NDArray[np.float64]

# Far beyond any that a fit makes, and sums of products stay finite.
_Number = Annotated[float, Field(ge=-1e6, le=1e6)]
_Positive = Annotated[float, Field(ge=1e-6, le=1e6)]
_MOST_LABELS, _MOST_TERMS, _MOST_POWER = 64, 400, 4
#: No scatter is believed that is smaller, mag: photometry and dust are no better.
LEAST_SCATTER: Final = 0.02
_MOST_SCATTER: Final = 5.0
LearntAs = Literal["value", "logarithm", "reciprocal"]


class Absolute(NamedTuple):
    """Absolute magnitudes of n stars, NaN where a label is; strangers have a wider scatter.

    Attributes
    ----------
    mean, variance : ndarray of shape (n,)
        mag and mag2.
    share : float
        Of strangers.
    apart : float
        The deviation of these, mag, beside the scatter of the others.
    """

    mean: Float
    variance: Float
    share: float
    apart: float


class Relation(BaseModel):
    """What is needed to tell an absolute magnitude by labels.

    Attributes
    ----------
    index : dict of str to float
        Weights of the apparent magnitudes, by column, in their sum.
    labels, learnt_as : tuple of str
        Labels that it is a function of, and on which scale.
    centre, scale, lowest, highest : tuple of float
        Of each label on that scale: what is subtracted, what is divided by, and the limits of what
        comes out; beyond them the polynomials are not followed.
    terms : tuple of tuple of int
        Powers of the labels in each term.
    magnitude, scatter : tuple of float
        Coefficients of the terms in the mean, mag, and in the logarithm of the scatter.
    carried : float
        How much of the variance counts that follows from the labels' covariance.
    share, apart : float
        Of strangers: `Absolute`.
    stars : int
        That it was learnt from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    index: Annotated[dict[str, _Number], Field(min_length=1, max_length=8)]
    labels: Annotated[tuple[str, ...], Field(min_length=1, max_length=_MOST_LABELS)]
    learnt_as: tuple[LearntAs, ...]
    centre: tuple[_Number, ...]
    scale: tuple[_Positive, ...]
    lowest: tuple[_Number, ...]
    highest: tuple[_Number, ...]
    terms: Annotated[
        tuple[tuple[Annotated[int, Field(ge=0, le=_MOST_POWER)], ...], ...],
        Field(max_length=_MOST_TERMS),
    ]
    magnitude: tuple[_Number, ...]
    scatter: tuple[_Number, ...]
    carried: Annotated[float, Field(ge=0, le=100)]
    share: Annotated[float, Field(ge=0, le=0.5)]
    apart: Annotated[float, Field(ge=0, le=10)]
    stars: Annotated[int, Field(ge=0, lt=2**53)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        of_labels = (self.learnt_as, self.centre, self.scale, self.lowest, self.highest)
        if any(len(each) != len(self.labels) for each in (*of_labels, *self.terms)):
            raise ValueError("each label needs a scale, limits, and a power in every term")
        if any(len(each) != len(self.terms) for each in (self.magnitude, self.scatter)):
            raise ValueError("each term needs its coefficients")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label is there twice")
        if any(low > high for low, high in zip(self.lowest, self.highest, strict=True)):
            raise ValueError("lowest is above highest")
        return self

    def absolute(self, labels: Float, covariance: Float) -> Absolute:
        """Return absolute magnitudes.

        Parameters
        ----------
        labels, covariance : ndarray of shape (n, l) and (n, l, l)
            In the labels' units, in the order of `labels`.
        """
        values, unit = self.scaled(labels)
        terms, slopes = polynomial(values, self.terms)
        gradient = np.einsum("ntl,t->nl", slopes, self.magnitude) / unit
        carried = np.einsum("ni,nij,nj->n", gradient, covariance, gradient)
        scatter = scatter_of(terms @ np.asarray(self.scatter))
        variance = scatter**2 + self.carried * np.maximum(carried, 0.0)
        return Absolute(terms @ np.asarray(self.magnitude), variance, self.share, self.apart)

    def scaled(self, labels: Float) -> tuple[Float, Float]:
        """Return scaled labels within their limits, (n, l), and the size of their unit."""
        return scaled(labels, self.learnt_as, self.centre, self.scale, self.lowest, self.highest)


def apparent(
    columns: Mapping[str, NDArray[Any]], index: Mapping[str, float]
) -> tuple[Float, Float]:
    """Return the apparent magnitude without reddening of n stars, and its variance.

    Parameters
    ----------
    columns : mapping of str to ndarray of shape (n,)
        Apparent magnitudes, NaN where null. The errors of those that have a column for it, of the
        same name with ``_error`` behind, count.
    index : mapping of str to float
        Weights of the magnitudes.
    """
    stars = len(columns[next(iter(index))])
    total, variance = np.zeros(stars), np.zeros(stars)
    for name, weight in index.items():
        total += weight * np.asarray(columns[name], np.float64)
        if f"{name}_error" in columns:
            error = np.asarray(columns[f"{name}_error"], np.float64)
            variance += np.nan_to_num(weight * error, posinf=0.0, neginf=0.0) ** 2
    return total, variance


def scaled(
    labels: Float,
    learnt_as: Sequence[str],
    centre: Sequence[float] | Float,
    scale: Sequence[float] | Float,
    lowest: Sequence[float] | Float,
    highest: Sequence[float] | Float,
) -> tuple[Float, Float]:
    """Return labels as a relation sees them, and the size of their unit in the labels' own."""
    values, unit = np.array(labels, np.float64), np.ones(labels.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        for place, way in enumerate(learnt_as):
            column = values[:, place]
            if way == "logarithm":
                unit[:, place], values[:, place] = column, np.log(column)
            elif way == "reciprocal":
                unit[:, place], values[:, place] = column**2, -1.0 / column
    values = (values - centre) / scale
    return np.clip(values, lowest, highest), unit * np.asarray(scale)


def polynomial(values: Float, terms: Sequence[Sequence[int]]) -> tuple[Float, Float]:
    """Return the terms of a polynomial, (n, t), and their slopes along each label, (n, t, l)."""
    stars, labels = values.shape
    found, slopes = np.ones((stars, len(terms))), np.zeros((stars, len(terms), labels))
    for place, powers in enumerate(terms):
        for label, power in enumerate(powers):
            if power:
                found[:, place] *= values[:, label] ** power
        for label, power in enumerate(powers):
            if power:
                others = [0 if one == label else each for one, each in enumerate(powers)]
                rest = np.prod(values ** np.array(others), axis=1)
                slopes[:, place, label] = power * values[:, label] ** (power - 1) * rest
    return found, slopes


def scatter_of(logarithm: Float) -> Float:
    """Return the scatter, mag, of its logarithm: within what is believed."""
    return np.exp(np.clip(logarithm, np.log(LEAST_SCATTER), np.log(_MOST_SCATTER)))
