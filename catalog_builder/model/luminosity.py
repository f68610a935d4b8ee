"""Absolute magnitudes by labels, learnt when a model is assembled.

From parallaxes of the training sample and labels that strangers give: each star is answered, from
its spectra alone, by a model that it did not teach. So the relation is that of what prediction has,
errors of the network included. Labels that saw the parallax would count it twice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.labels import Role
from catalog_builder.contract.places import has_luminosity
from catalog_builder.galaxy.distance import prior_towards
from catalog_builder.galaxy.frames import sightlines
from catalog_builder.galaxy.learn import Axes, Labelled, learn
from catalog_builder.galaxy.relation import Relation, apparent
from catalog_builder.model.estimator import Estimator
from catalog_builder.model.kept_back import hide
from catalog_builder.model.taught import folds_of
from catalog_builder.training.arrays import Block, Split, TrainingArrays
from catalog_builder.training.split import uniform_hash

#: Highest powers of the first label of each role; others do not enter.
_POWERS: Final[dict[Role, int]] = {"temperature": 3, "gravity": 3, "metallicity": 1, "alpha": 1}
#: Stars that teach at most: some thousand settle forty coefficients.
MOST_STARS: Final = 6000
# Far from the seeds of splits and folds, which are hashed in the same way.
_KEY: Final = 0x3A11_5EED_1AB5_0D15


class Teachers:
    """The stars of a training sample that may teach absolute magnitudes, and what they are told.

    Parameters
    ----------
    data : TrainingArrays
        The whole sample. Test stars only measure.
    folds : int
        Into how many it is cut. Without folds only the validation and the calibration stars, which
        no gradient saw, are strangers.
    trained : tuple of str
        Labels that models give.
    """

    def __init__(self, data: TrainingArrays, folds: int, trained: tuple[str, ...]) -> None:
        contract = data.contract
        needed = {"ra", "dec", "parallax_corrected", "parallax_error"}
        axes = axes_of(contract, trained)
        self._axes = axes if axes is not None and needed <= data.block.keys() else None
        self.data = data.take(np.flatnonzero(self._chosen(data, folds)))
        self._fold = folds_of(self.data, folds)
        labels = len(contract.labels)
        self._mean = np.full((len(self.data), labels), np.nan)
        self._covariance = np.full((len(self.data), labels, labels), np.nan)

    def _chosen(self, data: TrainingArrays, folds: int) -> NDArray[np.bool_]:
        strangers = data.split != Split.TEST
        if not folds:
            strangers = np.isin(data.split, (Split.VALIDATION, Split.CALIBRATION))
        if self._axes is None:
            return np.zeros(len(data), dtype=bool)
        share = min(1.0, MOST_STARS / max(1, int(strangers.sum())))
        ids = np.asarray(data.block["source_id"], np.int64)
        return np.asarray(strangers & (uniform_hash(ids, _KEY) < share))

    def ask(self, estimator: Estimator, fold: int | None) -> None:
        """Have a model answer the stars of the fold that it was trained without, or all."""
        rows = np.flatnonzero(self._fold == fold) if fold is not None else np.arange(len(self.data))
        if not len(rows):
            return
        said = estimator.predict(
            by_spectra_alone(self.data.take(rows).block, self.data.contract.inputs),
            estimator.document.settings.validation_batch_size,
        )
        self._mean[rows] = said.mean
        size = said.sigma[:, :, None] * said.sigma[:, None, :]
        self._covariance[rows] = said.correlation * size

    def learnt(self, without: int | None = None) -> Relation | None:
        """Return what they teach, all or without those of a fold; None where they are too few."""
        if self._axes is None:
            return None
        block, contract = self.data.block, self.data.contract
        places = [contract.labels.place(name) for name in self._axes.names]
        index = dict(contract.inputs.reddening_free)
        magnitude, noise = apparent(block, index)
        stars = Labelled(
            labels=self._mean[:, places],
            covariance=self._covariance[:, places][:, :, places],
            magnitude=magnitude,
            noise=noise,
            parallax=_column(block, "parallax_corrected"),
            error=_column(block, "parallax_error"),
            prior=prior_towards(sightlines(_column(block, "ra"), _column(block, "dec"))),
        )
        others = np.ones(len(self.data), bool) if without is None else self._fold != without
        return learn(stars.take(others), self._axes, index)


def axes_of(contract: Contract, trained: tuple[str, ...]) -> Axes | None:
    """Return the labels that absolute magnitudes follow from; None where they are not enough."""
    if not has_luminosity(contract):
        return None
    found = {}
    for role, power in _POWERS.items():
        labels = (one for _, one in contract.labels.with_role(role) if one.name in trained)
        if (label := next(labels, None)) is not None:
            found[role] = (label, power)
    if not {"temperature", "gravity"} <= found.keys():
        return None
    return Axes(
        names=tuple(label.name for label, _ in found.values()),
        learnt_as=tuple(label.learnt_as for label, _ in found.values()),
        powers=tuple(power for _, power in found.values()),
    )


def by_spectra_alone(block: Block, inputs: Inputs) -> Block:
    """Return the stars with nothing but their spectra."""
    return hide(block, inputs, np.array([name not in inputs.spectra for name in inputs.names]))


def _column(block: Block, name: str) -> NDArray[np.float64]:
    return np.asarray(block[name], np.float64)
