"""The calibration of an ensemble: what it predicts of stars kept back, from any of their inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Self

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.inputs import Inputs
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.calibrate.factors import (
    ANY_INPUTS,
    Array,
    LabelFactors,
    coordinates,
    factors,
    fainter_twins,
    inputs_key,
)
from catalog_builder.model.calibrate.fit import fit_label_factors
from catalog_builder.model.calibrate.trim import trimmed
from catalog_builder.model.estimator import Estimator
from catalog_builder.training.design import Block, TrainingArrays, presence

#: Told which share of the work is done.
Tell = Callable[[float], None]
#: Inputs of which every subset is calibrated, 63 of them; and what a few of more inputs are.
_ALL_SUBSETS, _FEW = 6, 2


def calibrate(
    estimator: Estimator, data: TrainingArrays, tell: Tell
) -> dict[str, tuple[LabelFactors, ...]]:
    """Return the factors on sigma of every subset of the inputs that these stars have.

    Parameters
    ----------
    estimator : Estimator
        The ensemble, not calibrated yet.
    data : TrainingArrays
        Stars that no gradient saw.
    tell : callable
        Told after each subset which share of the work is done.

    Raises
    ------
    ModelError
        If there is no star.
    """
    if not len(data):
        raise ModelError(
            "The training sample has no validation or calibration stars.",
            "Use a larger training sample or other split shares.",
        )
    settings, inputs = estimator.document.settings, estimator.contract.inputs
    twins = replace(data, block=fainter_twins(data.block, settings.noise_factor, inputs))
    subsets = list(_subsets(data, estimator))
    done, work = 0, sum(rows.size for _, rows in subsets)
    seen, fitted = [], {}
    for shown, rows in subsets:
        both = [
            _Seen.of(estimator, stars.take(rows), shown, observed=stars is data)
            for stars in (data, twins)
        ]
        seen.append(_Seen.together(both))
        key = inputs_key(seen[-1].used[0], inputs)
        fitted[key] = seen[-1].fit(settings.min_regime_stars)
        done += rows.size
        tell(done / work)
    # Shared factors serve the subsets of the inputs that no calibration star has.
    return {**fitted, ANY_INPUTS: _Seen.together(seen).fit(settings.min_regime_stars)}


class Answers:
    """What a calibrated model says of stars that did not teach it, from any of their inputs.

    Errors count in units of its own calibrated sigma, so that answers of several models, each on
    stars of its own, can be told together.
    """

    def __init__(self, estimator: Estimator, data: TrainingArrays) -> None:
        self._seen: dict[str, list[_Seen]] = {}
        settings, inputs = estimator.document.settings, estimator.contract.inputs
        self._labels, self._least = len(estimator.contract.labels), settings.min_regime_stars
        if not len(data):
            return
        twins = replace(data, block=fainter_twins(data.block, settings.noise_factor, inputs))
        bare = estimator.before_calibration()
        for shown, rows in _subsets(data, estimator):
            for stars in (data, twins):
                one = _Seen.of(bare, stars.take(rows), shown, observed=stars is data)
                on_sigma, _ = factors(estimator.document.calibration, one.used, one.places, inputs)
                one = replace(one, sigma=one.sigma * on_sigma)
                self._seen.setdefault(inputs_key(one.used[0], inputs), []).append(one)

    def corrections(
        self, *others: Answers, level_only: bool = False
    ) -> dict[str, tuple[LabelFactors, ...]]:
        """Return factors on calibrated sigma for every subset of the inputs, with which it holds.

        Parameters
        ----------
        *others : Answers
            Of other models.
        level_only : bool
            Whether the factors are the same for all stars of a subset.
        """
        seen: dict[str, list[_Seen]] = {}
        for answers in (self, *others):
            for key, parts in answers._seen.items():
                seen.setdefault(key, []).extend(parts)
        every = [one for parts in seen.values() for one in parts]
        if not every:
            return {ANY_INPUTS: (LabelFactors(),) * self._labels}
        # A curve needs twice as many stars.
        least = sum(len(one.residual) for one in every) if level_only else self._least
        along = not level_only
        fitted = {key: _Seen.together(parts).fit(least, along=along) for key, parts in seen.items()}
        return {**fitted, ANY_INPUTS: _Seen.together(every).fit(least, along=along)}


@dataclass(frozen=True)
class _Seen:
    """Calibration stars as predicted from one subset of their inputs, before calibration.

    `observed` says which of them are as they were observed, and no fainter twins.
    """

    residual: Array
    sigma: Array
    label_error: Array
    places: Array
    used: NDArray[np.bool_]
    observed: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        estimator: Estimator,
        data: TrainingArrays,
        shown: NDArray[np.bool_],
        *,
        observed: bool,
    ) -> Self:
        block = hide(data.block, estimator.contract.inputs, ~shown)
        predicted = estimator.predict(block, estimator.document.settings.validation_batch_size)
        return cls(
            residual=predicted.mean - data.labels,
            sigma=predicted.sigma,
            label_error=data.label_error.astype(np.float64),
            places=coordinates(
                block,
                predicted.mean,
                predicted.sigma,
                predicted.inputs_used,
                estimator.contract,
            ),
            used=predicted.inputs_used,
            observed=np.full(len(data), observed),
        )

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        return cls(
            residual=np.concatenate([part.residual for part in parts]),
            sigma=np.concatenate([part.sigma for part in parts]),
            label_error=np.concatenate([part.label_error for part in parts]),
            places=np.concatenate([part.places for part in parts], axis=1),
            used=np.concatenate([part.used for part in parts]),
            observed=np.concatenate([part.observed for part in parts]),
        )

    def fit(self, least: int, *, along: bool = True) -> tuple[LabelFactors, ...]:
        """Return each label's factors; with `along`, what they leave along temperature as well."""
        columns = range(self.residual.shape[1])
        return tuple(self._fit(column, least, along=along) for column in columns)

    def _fit(self, column: int, least: int, *, along: bool) -> LabelFactors:
        residual, sigma, error = (
            each[:, column] for each in (self.residual, self.sigma, self.label_error)
        )
        places, seen = self.places[column], self.observed
        smooth = fit_label_factors(residual, sigma, error, places, least)
        if not along:
            return smooth
        return trimmed(smooth, residual[seen], sigma[seen], error[seen], places[seen])


def _subsets(
    data: TrainingArrays, estimator: Estimator
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.intp]]]:
    """Yield subsets of the inputs, (i,) bool, each with the rows of the stars that have it.

    All of them, up to `_ALL_SUBSETS` inputs. Of more there would be thousands: then those that only
    a few inputs lack, or that have only a few.
    """
    inputs = estimator.contract.inputs
    usable = np.array([name in estimator.document.trained_inputs for name in inputs.names])
    has = presence(data.block, inputs) & usable
    many = int(usable.sum())
    for choice in product((True, False), repeat=many) if many <= _ALL_SUBSETS else near_ends(many):
        shown = np.zeros(len(usable), dtype=bool)
        shown[usable] = choice
        rows = np.flatnonzero(has[:, shown].all(axis=1))
        if shown.any() and rows.size:
            yield shown, rows


def near_ends(many: int) -> Iterator[tuple[bool, ...]]:
    """Yield the subsets without one or two of many inputs, and those with one or two of them."""
    for count in range(_FEW + 1):
        for few in combinations(range(many), count):
            yield tuple(place not in few for place in range(many))
    for count in range(1, _FEW + 1):
        for few in combinations(range(many), count):
            yield tuple(place in few for place in range(many))


def hide(block: Block, inputs: Inputs, hidden: NDArray[np.bool_]) -> Block:
    """Return the stars without the inputs marked in `hidden`, (i,)."""
    gone = [f"has_{name}" for name, away in zip(inputs.names, hidden, strict=True) if away]
    return {**block, **{name: np.zeros_like(block[name]) for name in gone}}
