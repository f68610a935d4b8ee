"""How many stars of a place belong to the sequence of high [alpha/M], of labels that are uncertain.

Counting answers above a line is no measure of that: of faint stars an answer is drawn to where most
of the stars are that taught, and stars are lost across the line that do not come back. How often a
star is truly above it whose answer is such, the stars that taught can tell: they have labels of the
survey, and answers of networks that did not see these. A logistic regression learns it, of the
answer's distance from the line and of `prior_share`, by which answers are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from catalog_builder.catalog.given import given_columns
from catalog_builder.catalog.layout import find_catalogue
from catalog_builder.catalog.open import open_catalog, schema_of
from catalog_builder.catalog.place_bins import Bins
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.selection import PRIOR
from catalog_builder.catalog.table import open_table
from catalog_builder.contract.schema import PRIOR_SHARE, TRAINING
from catalog_builder.contract.side_table import TRAINING_LABELS
from catalog_builder.ground.errors import CatalogueError, ConfigError

if TYPE_CHECKING:
    import xarray as xr

Float = NDArray[np.float64]

#: Knots of the line between the two sequences, [M/H] and [alpha/M]; constant beyond them.
LINE: Final = ((-0.6, 0.17), (0.2, 0.07))
#: Edges of the bins, kpc.
RADII: Final = (4.0, 6.0, 8.0, 10.0, 12.0)
HEIGHTS: Final = (0.0, 0.3, 0.6, 1.0, 1.5, 2.5, 4.0)
PLACE: Final = ("galactocentric_radius", "galactocentric_height")
_LABELS: Final = ("m_h", "alpha_m")
#: What a star's label was used for; larger than this for those that fitted no network.
SPLIT, _FITTED = TRAINING[1], 1
#: Below this [M/H] the halo begins, which has no two sequences.
_LOWEST: Final = -1.0
#: Units of the regression's terms: dex of the distance from the line, and a usual prior share.
_DEX, _SHARE, _LEAST_SHARE = 0.05, 0.05, 0.005
#: Stars on either side of the line from which it may be learnt; and the ridge, in stars.
_FEWEST, _RIDGE = 30, 0.1
#: Brighter than the limit is this share of the stars that taught.
_BRIGHTER: Final = 0.98
_STEPS: Final = 50
_ENDS: Final = (0.158655, 0.841345)


def high_alpha(
    path: str | Path, line: Sequence[tuple[float, float]] = LINE, *, lowest_m_h: float = _LOWEST
) -> HighAlpha:
    """Learn how probable it is that a star lies above a line in the plane of abundances.

    Parameters
    ----------
    path : str or Path
        A catalogue with the table ``training_labels``: that of the run which trained the model.
        The answer serves for all catalogues of the same model.
    line : sequence of (float, float)
        Knots of the line, [M/H] rising, and [alpha/M] there; straight between them, level beyond.
        It should lie where stars are few: see `plot_abundances`.
    lowest_m_h : float
        Stars of lower [M/H] are left out.

    Notes
    -----
    Stars that taught are answered by networks that did not see them, unless the model has no folds
    (``model.folds: 0``). Then only stars that fitted no network are learnt from.

    Raises
    ------
    CatalogueError
        If there is no such table, it has too few stars on either side of the line, or the model
        tells no `prior_share`.
    ConfigError
        If the line is none.

    Examples
    --------
    >>> learnt = high_alpha("workdir/catalogs/dr3")  # doctest: +SKIP
    >>> shares = learnt.shares(open_catalog("workdir/catalogs/dr3"))  # doctest: +SKIP
    """
    knots = _knots(line)
    labels = open_table(path, ["source_id", *_LABELS], table=TRAINING_LABELS)
    survey = {name: np.asarray(getattr(labels[name], "value", labels[name])) for name in _LABELS}
    magnitude = schema_of(path).inputs.magnitude
    facts = read_release(find_catalogue(path)).model
    seen = facts is not None and facts.answers_seen is True
    names = ("source_id", *_LABELS, PRIOR_SHARE, *([magnitude] if magnitude else []))
    names = (*names, SPLIT) if seen else names
    stars = given_columns(open_catalog(path), names, f"{path}")
    ids = np.asarray(labels["source_id"])
    order = np.argsort(stars["source_id"])
    place = order[np.searchsorted(stars["source_id"], ids, sorter=order).clip(max=order.size - 1)]
    there = stars["source_id"][place] == ids
    if seen:
        there &= stars[SPLIT][place] > _FITTED
    used = place[there]
    return learn(
        {name: values[used] for name, values in stars.items()},
        {name: values[there] for name, values in survey.items()},
        knots,
        lowest_m_h,
        magnitude,
    )


def learn(
    answers: Mapping[str, NDArray[Any]],
    survey: Mapping[str, NDArray[Any]],
    line: tuple[Float, Float],
    lowest_m_h: float,
    magnitude: str | None,
) -> HighAlpha:
    """Learn it of the answers for n stars and the labels that a survey gave to them.

    Parameters
    ----------
    answers : mapping of str to ndarray of shape (n,)
        `m_h`, `alpha_m`, `prior_share` and the magnitude.
    survey : mapping of str to ndarray of shape (n,)
        `m_h` and `alpha_m`.
    line, lowest_m_h, magnitude
        As `HighAlpha` has them.

    Raises
    ------
    CatalogueError
        If there are too few stars on either side of the line.
    """
    if len(answers[PRIOR_SHARE]) and not np.isfinite(answers[PRIOR_SHARE]).any():
        raise CatalogueError(
            f"{PRIOR_SHARE} is null for every star that taught: the model is of an older version,"
            " which did not tell it.",
            "Train the model anew, and publish the catalogue with it.",
        )
    terms = _terms(answers, line)
    above = survey["alpha_m"] > np.interp(survey["m_h"], *line)
    known = np.isfinite(terms).all(axis=1) & (answers["m_h"] > lowest_m_h)
    known &= np.isfinite(survey["alpha_m"] + survey["m_h"])
    terms, above = terms[known], above[known]
    if min(above.sum(), (~above).sum()) < _FEWEST:
        raise CatalogueError(
            f"Of the stars that taught, {above.sum()} lie above the line and {(~above).sum()} below"
            f" it: {_FEWEST} of each are needed.",
            "Move the line, or take the catalogue of a model that had more labels.",
        )
    weights, covariance = _logistic(terms, above)
    bright = np.zeros(0) if magnitude is None else answers[magnitude][known]
    bright = bright[np.isfinite(bright)]
    if not bright.size:  # without magnitudes nobody is called faint
        return HighAlpha(line, lowest_m_h, weights, covariance, None, np.inf)
    faintest = float(np.quantile(bright, _BRIGHTER))
    return HighAlpha(line, lowest_m_h, weights, covariance, magnitude, faintest)


@dataclass(frozen=True)
class HighAlpha:
    """How probable it is that a star lies above a line: what `high_alpha` returns.

    Attributes
    ----------
    line : tuple of ndarray
        [M/H] and [alpha/M] of its knots.
    lowest_m_h : float
        Stars of lower [M/H] have no probability.
    weights, covariance : ndarray of shape (4,) and (4, 4)
        Of the regression.
    magnitude : str or None
        The column by which stars are called faint; None if no star that taught has it.
    faintest : float
        Brighter than this are 98 % of the stars that taught. Of fainter ones nothing is learnt.
    """

    line: tuple[Float, Float]
    lowest_m_h: float
    weights: Float
    covariance: Float
    magnitude: str | None
    faintest: float

    def probability(self, stars: Any) -> Float:
        """Return with what probability each star lies above the line, (n,).

        Parameters
        ----------
        stars : xarray.Dataset or astropy.table.QTable
            With `m_h`, `alpha_m` and `prior_share`.

        Returns
        -------
        ndarray of float
            NaN where one of these is null, or [M/H] too low.

        Raises
        ------
        CatalogueError
            If a column is missing.
        """
        columns = given_columns(stars, (*_LABELS, PRIOR_SHARE), "What is asked about")
        return _expected(self._terms_of(columns) @ self.weights)

    def shares(
        self,
        stars: Any,
        radii: Sequence[float] = RADII,
        heights: Sequence[float] = HEIGHTS,
        *,
        weights: ArrayLike | None = None,
        faintest: float | None = None,
        fewest: int = 30,
    ) -> xr.Dataset:
        """Return the share of stars above the line in bins of Galactocentric radius and height.

        Parameters
        ----------
        stars : xarray.Dataset or astropy.table.QTable
            With `m_h`, `alpha_m`, `prior_share`, `galactocentric_radius`, `galactocentric_height`
            and the magnitude: a catalogue, or a part of one that was not chosen by its labels.
        radii, heights : sequence of float
            Rising edges of R and of abs(z), kpc.
        weights : array_like of float, shape (n,), optional
            For how many sources each star stands: 1 / p of the selection function.
        faintest : float, optional
            Fainter stars are left out; `HighAlpha.faintest` by default.
        fewest : int
            A bin with fewer stars has no share.

        Returns
        -------
        xarray.Dataset
            Of the dimensions ``height`` and ``radius``, whose coordinates are the middles:
            ``share``, the ends ``lower`` and ``upper`` of its 68 % interval, and ``stars``, how
            many there are. The interval holds the chance of the draw and what is uncertain in the
            regression. The edges are in the attributes, and what is simulated.

        Raises
        ------
        CatalogueError
            If a column is missing.
        ConfigError
            If edges do not rise, or there are not as many weights as stars.
        """
        limit = self.faintest if faintest is None else faintest
        magnitude = [self.magnitude] if self.magnitude else []
        names = (*_LABELS, PRIOR_SHARE, *PLACE, *magnitude)
        columns = given_columns(stars, names, "What is asked about")
        terms = self._terms_of(columns)
        each = np.ones(len(terms)) if weights is None else np.asarray(weights, float)
        if each.shape != (len(terms),):
            raise ConfigError(
                f"There are weights of the shape {each.shape} for {len(terms)} stars.",
                "Give one for each star.",
            )
        use = np.isfinite(terms).all(axis=1) & np.isfinite(each) & (each > 0)
        if self.magnitude:
            use &= columns[self.magnitude] <= limit
        found = Bins(radii, heights)
        for place in np.ndindex(found.shape):
            here = use & found.holds(place, columns[PLACE[0]], np.abs(columns[PLACE[1]]))
            found.stars[place] = here.sum()
            if here.sum() >= fewest:
                found.numbers[:, *place] = _share(
                    terms[here], each[here], self.weights, self.covariance
                )
        told = getattr(stars, "attrs", None) or getattr(stars, "meta", {})
        return found.dataset(self.magnitude, limit, told.get("simulated"))

    def _terms_of(self, columns: dict[str, NDArray[Any]]) -> Float:
        terms = _terms(columns, self.line)
        terms[~(columns["m_h"] > self.lowest_m_h)] = np.nan
        return terms


def _knots(line: Sequence[tuple[float, float]]) -> tuple[Float, Float]:
    knots = np.asarray(line, float)
    if knots.ndim != 2 or knots.shape[1] != 2 or np.any(np.diff(knots[:, 0]) <= 0):
        raise ConfigError(
            f"The line {line!r} is none.", "Give pairs of [M/H] and [alpha/M], [M/H] rising."
        )
    return knots[:, 0], knots[:, 1]


def _terms(columns: Mapping[str, NDArray[Any]], line: tuple[Float, Float]) -> Float:
    """Return the regression's terms, (n, 4); NaN where something is null."""
    m_h, alpha_m, share = (columns[name].astype(float) for name in (*_LABELS, PRIOR_SHARE))
    off = (alpha_m - np.interp(m_h, *line)) / _DEX
    drawn = np.log(np.maximum(share, _LEAST_SHARE) / _SHARE)
    return np.stack([np.ones_like(off), off, drawn, off * drawn], axis=1)


def _expected(scores: Float) -> Float:
    from scipy.special import expit

    return np.asarray(expit(scores))


def _logistic(terms: Float, above: NDArray[np.bool_]) -> tuple[Float, Float]:
    """Return weights of a logistic regression and their covariance, by Newton's method."""
    weights = np.zeros(terms.shape[1])
    ridge = _RIDGE * np.eye(len(weights))
    for _ in range(_STEPS):
        expected = _expected(terms @ weights)
        slope = terms.T @ (above - expected) - ridge @ weights
        curve = (terms * (expected * (1 - expected))[:, None]).T @ terms + ridge
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return weights, np.asarray(np.linalg.inv(curve))


def _share(
    terms: Float, each: Float, weights: Float, covariance: Float
) -> tuple[float, float, float]:
    """Return a bin's share and the ends of its interval."""
    from scipy.stats import beta

    of_each, part = _expected(terms @ weights), each / each.sum()
    share = float(part @ of_each)
    slope = (part * of_each * (1 - of_each)) @ terms
    variance = share * (1 - share) * float(part @ part) + float(slope @ covariance @ slope)
    # As many stars of equal weight would have that variance.
    stars = max(share * (1 - share) / variance, 1.0)
    ends = beta.ppf(_ENDS, share * stars + PRIOR, (1 - share) * stars + PRIOR)
    return share, float(ends[0]), float(ends[1])
