"""The correlation of old and new errors, measured on stars with labels that neither release made.

The expected difference is judged by the share of stars within it, so the correlation is that of the
same share: 68 % of the differences are within

    sqrt(a^2 s_o^2 + b^2 s_n^2 - 2 rho a b s_o s_n),

where a and b say how far the stated deviations s_o and s_n are off: 68 % of the residuals r against
a survey's label of error s_L are within sqrt(a^2 s^2 + s_L^2), of the old and of the new answers.
So uncertainties that are all too large by a factor leave rho as it is. For Gaussian errors this is
the ordinary correlation. That one, made of averages of products, is that of the largest errors: two
answers that share most of their error differ by a distribution with long tails (a kurtosis of 4 was
measured), and it then expects 75 % within. Like the correlation from the scales of sum and
difference (Gnanadesikan & Kettenring 1972, Biometrics 28, 81), this one does not mind outliers.

Medians of the residuals are taken off first: a shift against the survey is no noise. The error is
that of a jackknife over groups of stars.

What it rests on: s_L is right (where it is too small, a and b are too large, and the rest looks
like correlation), and the answers for these stars were made by networks that did not learn from
them (docs/taught.md).
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
from catalog_builder.comparing.expected import WITHIN_ONE, needed_correlation
from catalog_builder.comparing.matching import Match, Matching
from catalog_builder.comparing.pairs import Finder
from catalog_builder.comparing.sides import SOURCE_ID, Block, CatalogueSide
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.locate import find_crossmatch
from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.training.labels import collect_labels

Array = NDArray[np.float64]

#: Stars below which a correlation is not adopted.
LEAST_STARS: Final = 100
#: Groups of the jackknife.
_GROUPS: Final = 20
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
    residuals = [side[:, 0] - label for side in (old, new)]
    first, second = (residual - np.median(residual) for residual in residuals)
    own = _scaled(first, old[:, 1], noise), _scaled(second, new[:, 1], noise)
    stars = _Stars(second - first, old[:, 1], new[:, 1], *own)
    groups = min(_GROUPS, len(label))
    without = np.array([stars.correlation(leave_out=(n, groups)) for n in range(groups)])
    error = math.sqrt((groups - 1) * float(np.var(without)))
    return Estimate(len(label), stars.correlation(), error)


def _scaled(residual: Array, sigma: Array, noise: Array) -> Array:
    """Return by which factor each star's sigma must grow to reach its residual."""
    return np.sqrt(np.maximum(residual**2 - noise, 0.0)) / sigma


@dataclass(frozen=True)
class _Stars:
    difference: Array
    old: Array
    new: Array
    old_scale: Array
    new_scale: Array

    def correlation(self, leave_out: tuple[int, int] | None = None) -> float:
        """Return the correlation, of all stars or without a group of them; NaN if none is told."""
        chosen = np.ones(len(self.difference), dtype=bool)
        if leave_out is not None:
            first, step = leave_out
            chosen[first::step] = False
        scales = (self.old_scale, self.new_scale)
        a, b = (float(np.quantile(scale[chosen], WITHIN_ONE)) for scale in scales)
        if a == 0 or b == 0:  # the survey's errors are all that there is
            return math.nan
        needed = needed_correlation(
            self.difference[chosen], a * self.old[chosen], b * self.new[chosen]
        )
        return float(np.quantile(needed, 1.0 - WITHIN_ONE))


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
    labels = collect_labels(file, survey, find_crossmatch(survey, file, "")).columns
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
