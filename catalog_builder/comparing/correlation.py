"""The correlation of old and new errors, measured on stars with labels that neither release made.

For a star with a survey's label L of error s_L, the residuals r_o = o - L and r_n = n - L have the
covariance cov(e_o, e_n) + s_L^2, for the error of the label is in both, and the variances
var(e_o) + s_L^2 and var(e_n) + s_L^2. With averages over stars of residuals in units of the stated
deviations s_o and s_n,

    A = < (r_o r_n - s_L^2) / (s_o s_n) >, B = < (r_o^2 - s_L^2) / s_o^2 >, C likewise of the new,
    rho = A / sqrt(B C).

The stated deviations only weigh: were they all too large by a factor, rho would be the same, and
the differences n - o do not enter. Medians of the residuals are taken off first (a shift against
the survey is no noise), stars beyond `_CUT` deviations in either residual are left out, and stars
weigh by the inverse variance of their term in A at rho = 0, for that of a survey's error far above
the network's says little. The error follows from the scatter of the terms (the delta method).

What it rests on: s_L is right (where it is too small, the rest looks like correlation), and the
answers for these stars were made by networks that did not learn from them (docs/taught.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.files import FileRef
from catalog_builder.comparing.engine import common_labels
from catalog_builder.comparing.matching import Match, Matching
from catalog_builder.comparing.pairs import Finder
from catalog_builder.comparing.sides import SOURCE_ID, Block, CatalogueSide
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.training.labels import collect_labels

Array = NDArray[np.float64]

#: Stars below which a correlation is not adopted.
LEAST_STARS: Final = 100
#: Residuals beyond this many deviations are those of other stars, or of failures.
_CUT: Final = 4.0
_GAUSSIAN: Final = 1.4826
#: Of all stars at once; a correlation of 1 would leave no expected difference.
_MOST: Final = 0.99


@dataclass(frozen=True)
class Estimate:
    """A correlation as it was measured.

    Attributes
    ----------
    stars : int
    correlation, error : float
        NaN where there are fewer than three stars, or nothing but the survey's errors.
    """

    stars: int
    correlation: float
    error: float

    @property
    def adopted(self) -> float:
        """The number to go on with: within 0 and 0.99, and 0 where too few stars tell."""
        if self.stars < LEAST_STARS or not math.isfinite(self.correlation):
            return 0.0
        return min(max(self.correlation, 0.0), _MOST)


def estimate(old: Array, new: Array, label: Array, label_error: Array) -> Estimate:
    """Measure the correlation of one label.

    Parameters
    ----------
    old, new : ndarray, shape (n, 2)
        Answers and their uncertainties.
    label, label_error : ndarray, shape (n,)
    """
    known = np.isfinite(np.column_stack([old, new, label, label_error])).all(axis=1)
    known &= (old[:, 1] > 0) & (new[:, 1] > 0)
    old, new, label, noise = old[known], new[known], label[known], label_error[known] ** 2
    if len(label) < 3:
        return Estimate(len(label), math.nan, math.nan)
    first, second = old[:, 0] - label, new[:, 0] - label
    first, second = first - np.median(first), second - np.median(second)
    spread = np.sqrt(old[:, 1] ** 2 + noise), np.sqrt(new[:, 1] ** 2 + noise)
    kept = np.ones(len(first), dtype=bool)
    for residual, deviation in zip((first, second), spread, strict=True):
        size = np.abs(residual) / deviation
        kept &= size < _CUT * max(_GAUSSIAN * float(np.median(size)), 1.0)
    both = (old[:, 1] * new[:, 1])[kept]
    if not kept.any():
        return Estimate(0, math.nan, math.nan)
    variance = ((spread[0] * spread[1]) ** 2 + noise**2)[kept] / both**2
    products = first * second, first**2, second**2
    units = both, old[kept, 1] ** 2, new[kept, 1] ** 2
    terms = [(p - noise)[kept] / unit for p, unit in zip(products, units, strict=True)]
    return _ratio(terms, 1.0 / variance, int(np.count_nonzero(kept)))


def _ratio(terms: list[Array], weights: Array, stars: int) -> Estimate:
    """Return A / sqrt(B C) of weighted means, with its error."""
    shared, before, now = (float(np.average(term, weights=weights)) for term in terms)
    if before <= 0 or now <= 0:  # the survey's errors are all that there is
        return Estimate(stars, math.nan, math.nan)
    norm = math.sqrt(before * now)
    off = (terms[0] - shared) / norm
    off -= shared / norm * ((terms[1] - before) / before + (terms[2] - now) / now) / 2
    error = float(np.sqrt(np.sum((weights * off) ** 2)) / np.sum(weights))
    return Estimate(stars, shared / norm, error)


def measure(
    old: CatalogueSide,
    new: CatalogueSide,
    matching: Matching,
    file: FileRef,
    survey: LabelSurvey,
) -> dict[str, Estimate]:
    """Measure the correlation of each label that both catalogues and a survey have.

    Raises
    ------
    InputError
        If none of the survey's stars is in both catalogues.
    """
    labels = collect_labels(file, survey).columns
    wanted = [name for name in common_labels(old, new) if name in survey.labels]
    names = [column for name in wanted for column in (name, f"e_{name}")]
    old_ids, new_ids = _ids_of(labels[SOURCE_ID], old, new, matching, survey)
    before, now = _looked_up(old, old_ids, names), _looked_up(new, new_ids, names)
    both = before.rows & now.rows
    if not both.any():
        raise InputError(
            f"None of the {len(both)} stars of {file.url} is in both catalogues.",
            f"Their ids are of {survey.source_id_release}: check --survey and the crosswalk.",
        )
    places = {name: place for place, name in enumerate(survey.labels)}
    return {
        name: estimate(
            before.pair(name, both),
            now.pair(name, both),
            labels["labels"][both, places[name]].astype(np.float64),
            labels["label_error"][both, places[name]].astype(np.float64),
        )
        for name in wanted
    }


def adopted_of(found: Mapping[str, Estimate]) -> dict[str, float]:
    """Return the correlations to go on with, by label."""
    return {name: each.adopted for name, each in found.items()}


@dataclass(frozen=True)
class _Found:
    rows: NDArray[np.bool_]
    block: Block

    def pair(self, name: str, chosen: NDArray[np.bool_]) -> Array:
        values = [self.block[column][chosen] for column in (name, f"e_{name}")]
        return np.column_stack(values).astype(np.float64)


def _looked_up(side: CatalogueSide, ids: NDArray[np.int64], names: list[str]) -> _Found:
    rows, block = Finder(side, names).find(ids)
    return _Found(rows >= 0, block)


def _ids_of(
    ids: NDArray[np.int64],
    old: CatalogueSide,
    new: CatalogueSide,
    matching: Matching,
    survey: LabelSurvey,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the old and the new id of each star of a survey.

    Raises
    ------
    InputError
        If the survey's ids are of neither release: to guess would be to match other stars.
    """
    release = survey.source_id_release
    if old.facts.get("release") not in {release, None}:
        raise InputError(
            f"The ids of {survey.title} are of {release}, the old catalogue is of"
            f" {old.facts['release']} and the new one of {new.facts.get('release')}.",
            "The correlation can be measured where the labels have the old catalogue's ids.",
        )
    translated, status = matching.to_new(ids)
    return ids, np.where(status == Match.ONE, translated, -1)
