"""Which stars taught a model, so that they are known again: their ids, mixed, their split and fold.

Ids are mixed under a key of their id system, one to one: no star is taken for another one, and ids
of another system match none. The fold of a star that taught is answered by networks that were
trained without that fold.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from catalog_builder.features.store import stars_of
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.checkpoint import check_tensors, read_tensors, tensor_bytes
from catalog_builder.model.document import read_document
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.arrays import Split, TrainingArrays
from catalog_builder.training.split import mixed, uniform_hash

#: Labelled stars that a file may name; the largest survey has half as many.
MOST_STARS: Final = 20_000_000
#: No fold: of a star that did not teach, or is not known.
NO_FOLD: Final = 255
#: Values of the column ``training_split``: 0 is a star that is not known, and splits follow.
_NONE: Final = 0
# Of folds: far from the seeds of splits, which are hashed in the same way.
_FOLD_KEY: Final = 0x6F1D_5EED_0F01_D000
_STRANGER_KEY: Final = 0x57A2_5EED_0F01_D000
#: Stars that set the sigma of the models of folds at most. Each is kept as seen from every subset
#: of its inputs, 350 bytes each time, and more would tell little.
MOST_STRANGERS: Final = 30_000
_BYTES: Final = {"ids": 8, "split": 1, "fold": 1}


class Known(NamedTuple):
    """What is known of n stars: split, 0 where not known and else 1 more than `Split`; and fold."""

    split: NDArray[np.uint8]
    fold: NDArray[np.uint8]


@dataclass(frozen=True)
class TaughtStars:
    """The labelled stars of a training.

    Attributes
    ----------
    source_id_release : str
        The archive release whose identifiers they are.
    ids : ndarray of int64, shape (n,)
        Mixed ids, rising.
    split, fold : ndarray of uint8, shape (n,)
        `Split` of each, and its fold; `NO_FOLD` without.
    """

    source_id_release: str
    ids: NDArray[np.int64]
    split: NDArray[np.uint8]
    fold: NDArray[np.uint8]

    @classmethod
    def of(cls, data: TrainingArrays, folds: int, source_id_release: str) -> Self:
        """Return the stars of a training sample, cut into `folds` parts."""
        # Rows of one star have one split and one fold, which follow from its id.
        ids, order = np.unique(_mixed(stars_of(data.block), source_id_release), return_index=True)
        fold = folds_of(data, folds)
        return cls(source_id_release, ids, data.split[order], fold[order])

    def with_calibrators(
        self, source_id: NDArray[np.int64], measured: NDArray[np.int64], folds: int
    ) -> TaughtStars:
        """Return these stars and more, by ids of the same release.

        Parameters
        ----------
        source_id, measured : ndarray of int64
            Stars whose labels set sigma, and those that were only measured with. They did not teach
            before.
        folds : int
            How many folds there are.
        """
        fold = fold_of(source_id, folds) if folds else np.full(len(source_id), NO_FOLD, np.uint8)
        new = _mixed(np.concatenate([source_id, measured]), self.source_id_release)
        kinds = np.array([Split.CALIBRATION, Split.TEST], np.uint8)
        split = np.repeat(kinds, [len(fold), len(measured)])
        fold = np.concatenate([fold, np.full(len(measured), NO_FOLD, np.uint8)])
        stay = ~np.isin(self.ids, new)
        ids, order = np.unique(np.concatenate([self.ids[stay], new]), return_index=True)
        return TaughtStars(
            self.source_id_release,
            ids,
            np.concatenate([self.split[stay], split])[order],
            np.concatenate([self.fold[stay], fold])[order],
        )

    @classmethod
    def nobody(cls) -> Self:
        """Return no stars: of a model that does not say."""
        none = np.empty(0, dtype=np.uint8)
        return cls("", np.empty(0, dtype=np.int64), none, none)

    def find(self, source_id: NDArray[np.int64], source_id_release: str) -> Known:
        """Look stars up, by ids of some release."""
        split = np.full(len(source_id), _NONE, dtype=np.uint8)
        fold = np.full(len(source_id), NO_FOLD, dtype=np.uint8)
        if source_id_release == self.source_id_release and len(self.ids):
            wanted = _mixed(source_id, source_id_release)
            place = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
            known = self.ids[place] == wanted
            split[known] = self.split[place[known]] + 1
            fold[known] = self.fold[place[known]]
        return Known(split, fold)

    def knows(self, source_id: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which ids of its own release are of stars that it names."""
        return self.find(source_id, self.source_id_release).split > _NONE

    def to_bytes(self) -> bytes:
        """Return the content of a safetensors file."""
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in _BYTES}
        return tensor_bytes(arrays, {})

    @classmethod
    def load(cls, path: Path, source_id_release: str, folds: int, sha256: str) -> Self:
        """Read a file of `to_bytes`.

        Raises
        ------
        ModelError
            If the file is absent or damaged, or names what no training does.
        """
        limit = MOST_STARS * sum(_BYTES.values())
        tensors, _ = read_tensors(path, limit, sha256=sha256)
        stars = tensors["ids"].numel() if "ids" in tensors else 0
        types = {1: torch.uint8, 8: torch.int64}
        expected = {
            name: torch.empty(stars, dtype=types[size], device="meta")
            for name, size in _BYTES.items()
        }
        check_tensors(path, tensors, expected)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        taught = cls(source_id_release, **arrays)
        if problem := taught._problem(folds):
            raise ModelError(
                f"The arrays in {path} are of no model: {problem}.",
                "Train the model again with this version of the program.",
            )
        return taught

    def _problem(self, folds: int) -> str:
        if (self.ids[1:] <= self.ids[:-1]).any():
            return "ids do not rise"
        if (self.split > max(Split)).any():
            return "split holds a number that is none"
        without = (self.split == Split.TEST) | (folds == 0)
        if (self.fold[without] != NO_FOLD).any() or (self.fold[~without] >= folds).any():
            return f"fold holds a number that is none of {folds}"
        return ""


def taught_by(path: Path) -> TaughtStars:
    """Return the stars that taught the model of a directory; none where it does not say.

    Raises
    ------
    ModelError
        If it is no model, or its file of stars is damaged.
    """
    taught = read_document(path).taught
    if taught is None:
        return TaughtStars.nobody()
    file, folds = path / taught.stars.file, len(taught.folds)
    return TaughtStars.load(file, taught.source_id_release, folds, taught.stars.sha256)


def folds_of(data: TrainingArrays, folds: int) -> NDArray[np.uint8]:
    """Return the fold of each star, (n,): a function of its id; test stars have none."""
    if not folds:
        return np.full(len(data), NO_FOLD, dtype=np.uint8)
    fold = fold_of(stars_of(data.block), folds)
    return np.where(data.split == Split.TEST, np.uint8(NO_FOLD), fold)


def fold_of(source_id: NDArray[np.generic], folds: int) -> NDArray[np.uint8]:
    """Return the fold that an id belongs to, (n,), of one or more."""
    ids = np.asarray(source_id, dtype=np.int64)
    return np.floor(uniform_hash(ids, _FOLD_KEY) * folds).astype(np.uint8)


def without_fold(
    data: TrainingArrays, settings: ModelSettings, fold: int
) -> tuple[TrainingArrays, ModelSettings]:
    """Return a training sample without one of its folds, and the settings to learn from it.

    Its validation and calibration stars are fit stars too: all epochs are done, and sigma is set by
    the stars of other folds, as their models answer them. All else is as with the whole sample: the
    labels that it trains are trained, and test stars measure.

    Parameters
    ----------
    data : TrainingArrays
        The whole sample.
    settings : ModelSettings
        Of the whole model.
    fold : int
        Which one to leave out.
    """
    rest = data.take(np.flatnonzero(folds_of(data, settings.folds) != fold))
    fit = data.labels[data.split == Split.FIT]
    enough = np.isfinite(fit).sum(axis=0) >= settings.min_label_stars
    labels = np.where(enough, rest.labels, np.float32(np.nan))
    split = np.where(rest.split == Split.TEST, rest.split, np.uint8(Split.FIT))
    return (
        TrainingArrays(rest.contract, rest.block, labels, rest.label_error, split),
        settings.of_fold(),
    )


def strangers(data: TrainingArrays, folds: int, fold: int) -> TrainingArrays:
    """Return stars of one fold, which the model that was trained without it did not see.

    Of all folds together they are `MOST_STRANGERS` at most, chosen by their ids.
    """
    fold_of_star = folds_of(data, folds)
    share = MOST_STRANGERS / max(1, np.sum(fold_of_star != NO_FOLD))
    ids = np.asarray(data.block["source_id"], dtype=np.int64)
    chosen = (fold_of_star == fold) & (uniform_hash(ids, _STRANGER_KEY) < share)
    return data.take(np.flatnonzero(chosen))


def _mixed(source_id: NDArray[np.generic], release: str) -> NDArray[np.int64]:
    key = hashlib.blake2b(f"source_id of {release}".encode(), digest_size=8).digest()
    ids = np.asarray(source_id, dtype=np.int64)
    return mixed(ids, int.from_bytes(key)).view(np.int64)
