"""Checks of stars with labels: sigma, bias, scatter, and whether those that taught are special."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from catalog_builder.report.labelled import KEPT_BACK, TAUGHT, Labelled
from catalog_builder.report.measured import Measured, along
from catalog_builder.report.pooling import pooled, regime_cells
from catalog_builder.verdict.judging import Question
from catalog_builder.verdict.numbers import Number
from catalog_builder.verdict.settings import CheckSettings

#: Of the median, and of half the distance of the quartiles, of a Gaussian: their variances in units
#: of that of the mean, and of sigma squared over n.
_MEDIAN, _QUARTILES = 1.2533, 1.36
#: Stars in a bin along a label, at least.
_ALONG_STARS: Final = 50


def questions(
    labelled: Labelled | None,
    metrics: Mapping[str, Any],
    settings: CheckSettings,
    *,
    why_not: str,
    folds: int,
) -> Iterator[Question]:
    """Yield the checks of stars with labels.

    Parameters
    ----------
    labelled : Labelled, optional
        Their sums.
    metrics : mapping
        The model's own numbers, of its test stars (``as_observed``).
    settings : CheckSettings
        Tolerances.
    why_not : str
        Why there is no star with a label.
    folds : int
        Models of folds; without any, stars that taught say nothing.
    """
    if labelled is not None and labelled.stars < settings.min_stars:
        why_not = (
            f"{labelled.stars} stars with survey labels, of {settings.min_stars} that are needed"
        )
        labelled = None
    told = "test" if labelled is None else "accuracy"
    own = metrics.get("as_observed") or {}
    # Of stars that networks have seen nothing can be learnt.
    group = None if folds else KEPT_BACK
    asked = _Asked(labelled, own, settings, group)
    yield Question(
        "coverage", "Uncertainties by regime: one sigma", "within one sigma are",
        asked.coverage(0.6827, settings.coverage, "within_68"), why_not, told,
    )  # fmt: skip
    yield Question(
        "coverage_95", "Uncertainties by regime: interval of 95 %", "within it are",
        asked.coverage(0.95, settings.coverage_95, "within_95"), why_not, told,
    )  # fmt: skip
    reference = why_not or "the model records no test stars in these regimes"
    yield Question(
        "bias", "Bias beside the model's test stars", "the median of answer less label is",
        asked.bias(), reference, told,
    )  # fmt: skip
    yield Question(
        "bias_along", "Bias along labels and magnitude", "the median of answer less label is",
        asked.bias_along(), why_not or f"no bin has {_ALONG_STARS} stars",
        f"{told}-along" if told == "accuracy" else told,
    )  # fmt: skip
    yield Question(
        "scatter", "Scatter beside the model's test stars", "the scatter is",
        asked.scatter(), reference, told,
    )  # fmt: skip
    special = why_not or (
        "fewer than 20 stars that did not teach, or that did"
        if folds
        else "the model has no folds: stars that taught it have answers of networks that saw them"
    )
    yield Question(
        "fit_stars", "Stars that taught beside others", "scatter over sigma is",
        asked.taught() if folds else (), special, told,
    )  # fmt: skip


class _Asked:
    def __init__(
        self,
        labelled: Labelled | None,
        own: Mapping[str, Any],
        settings: CheckSettings,
        group: int | None,
    ) -> None:
        self._sums, self._own, self._settings, self._group = labelled, own, settings, group

    def _each(self) -> Iterator[tuple[str, str, Measured]]:
        """Yield label, regime and what was measured: of all stars, and of each regime."""
        if self._sums is None:
            return
        for label in self._sums.shown:
            for name, cells in regime_cells(self._sums, label, self._settings.min_stars):
                found = self._sums.measured(label, cells, self._group)
                if found.stars >= self._settings.min_stars:
                    yield label, name, found

    def coverage(self, share: float, tolerance: float, what: str) -> list[Number]:
        numbers = []
        for label, regime, found in self._each():
            within = getattr(found, what) / found.stars
            error = math.sqrt(share * (1 - share) / found.stars)
            about = _about(label, regime)
            numbers.append(Number(about, within, share, tolerance, error, found.stars, -2))
        return numbers

    def bias(self) -> list[Number]:
        numbers = []
        for label, regime, found in self._each():
            if (own := self._reference(label, regime)) is None:
                continue
            bias, scatter, stars = own
            error = math.hypot(
                _MEDIAN * found.scatter / math.sqrt(found.stars),
                _MEDIAN * scatter / math.sqrt(stars),
            )
            numbers.append(
                _of(found, _about(label, regime), found.bias, bias,
                    self._settings.bias * scatter, error)
            )  # fmt: skip
        return numbers

    def scatter(self) -> list[Number]:
        numbers = []
        tolerance = math.log1p(self._settings.scatter)
        for label, regime, found in self._each():
            own = self._reference(label, regime)
            # Of all stars it depends on how many are faint.
            if own is None or not regime or not min(own[1], found.scatter) > 0:
                continue
            error = math.sqrt(_QUARTILES * (1 / found.stars + 1 / own[2]))
            about = _about(label, regime)
            numbers.append(_of(found, about, found.scatter, own[1], tolerance, error, log=True))
        return numbers

    def bias_along(self) -> list[Number]:
        numbers: list[Number] = []
        sums = self._sums
        if sums is None:
            return numbers
        for label in sums.shown:
            for name in ("temperature", "own", "magnitude"):
                if name not in sums.divisions:
                    continue
                for first, stop, found in pooled(sums, label, name, _ALONG_STARS, self._group):
                    about = _between(sums, label, name, first, stop)
                    error = _MEDIAN * found.scatter / math.sqrt(found.stars)
                    tolerance = self._settings.bias_along * found.scatter
                    numbers.append(_of(found, about, found.bias, 0.0, tolerance, error))
        return numbers

    def taught(self) -> list[Number]:
        numbers: list[Number] = []
        if self._sums is None:
            return numbers
        everybody = self._sums.cell("all")
        tolerance = math.log1p(self._settings.scatter)
        for label in self._sums.shown:
            kept = self._sums.measured(label, everybody, KEPT_BACK)
            taught = self._sums.measured(label, everybody, TAUGHT)
            if min(kept.stars, taught.stars) < self._settings.min_stars:
                continue
            one, other = taught.pull_scatter, kept.pull_scatter
            error = math.sqrt(_QUARTILES * (1 / kept.stars + 1 / taught.stars))
            numbers.append(
                Number(label, one, max(other, 1e-9), tolerance, error, taught.stars, 2, log=True)
            )
        return numbers

    def _reference(self, label: str, regime: str) -> tuple[float, float, int] | None:
        """Return bias, scatter and number of the model's own test stars."""
        found = self._own.get("all", {}) if not regime else {}
        if regime:
            found = (self._own.get("by_regime") or {}).get(regime) or {}
        values = found.get(label) or {}
        if values.get("stars", 0) < self._settings.min_stars:
            return None
        return float(values["bias"]), float(values["robust_scatter"]), int(values["stars"])


def _between(sums: Labelled, label: str, division: str, first: int, stop: int) -> str:
    axis, title = sums.divisions[division].axis, f", {sums.divisions[division].title}"
    if axis is None:  # along the label itself
        axis, title = along(sums.shown[label]), ""
    edges = axis.edges()
    return f"{label}{title} {edges[first]:.4g} to {edges[stop]:.4g}"


def _about(label: str, regime: str) -> str:
    return f"{label}, {regime}" if regime else label


def _of(
    found: Measured,
    about: str,
    number: float,
    expected: float,
    tolerance: float,
    error: float,
    *,
    log: bool = False,
) -> Number:
    label = found.quantity.label
    digits = label.decimals
    unit = "dex" if label.in_dex else label.unit
    return Number(
        about, number, expected, tolerance, error, found.stars, digits, log, unit, signed=not log
    )
