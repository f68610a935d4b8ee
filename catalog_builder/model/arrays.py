"""Labelled stars in memory, and the names that all of the model goes by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from catalog_builder import schema
from catalog_builder.errors import ModelError

Block = Mapping[str, NDArray[np.generic]]

LABELS = schema.LABELS
MODALITIES = schema.MODALITIES


class Split(IntEnum):
    """What a labelled star is used for."""

    FIT = 0
    VALIDATION = 1
    CALIBRATION = 2
    TEST = 3


@dataclass(frozen=True)
class TrainingArrays:
    """Labelled stars in memory.

    Attributes
    ----------
    block : mapping of str to numpy.ndarray
        The feature block, n stars.
    labels, label_error : numpy.ndarray
        (n, 5), in the order of `LABELS` [K, log10(cm s-2), dex, dex, dex]; NaN where missing.
    split : numpy.ndarray
        (n,) of `Split`.
    """

    block: Block
    labels: NDArray[np.float32]
    label_error: NDArray[np.float32]
    split: NDArray[np.uint8]

    def __post_init__(self) -> None:
        stars = len(self.split)
        shapes = {"labels": self.labels.shape, "label_error": self.label_error.shape}
        for name, shape in shapes.items():
            if shape != (stars, len(LABELS)):
                raise ModelError(
                    f"training array {name} has shape {shape}, not {(stars, len(LABELS))}.",
                    "Build the training store again.",
                )

    def __len__(self) -> int:
        return len(self.split)

    def subset(self, *splits: Split) -> TrainingArrays:
        """Return the stars of one split or of some, in the order they have here."""
        return self.take(np.flatnonzero(np.isin(self.split, splits)))

    def take(self, rows: NDArray[np.intp]) -> TrainingArrays:
        """Return the stars of some rows."""
        return TrainingArrays(
            block={name: values[rows] for name, values in self.block.items()},
            labels=self.labels[rows],
            label_error=self.label_error[rows],
            split=self.split[rows],
        )

    def digest(self) -> str:
        """Return the SHA-256 of all arrays, as hexadecimal digits."""
        arrays = dict(self.block) | {
            "labels": self.labels,
            "label_error": self.label_error,
            "split": self.split,
        }
        digest = hashlib.sha256()
        for name in sorted(arrays):
            values = np.ascontiguousarray(arrays[name])
            digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
            digest.update(values.data)
        return digest.hexdigest()


def presence(block: Block) -> NDArray[np.bool_]:
    """Return which of `MODALITIES` each star has, (n, 4)."""
    return np.stack([np.asarray(block[f"has_{name}"], dtype=bool) for name in MODALITIES], axis=1)


def batches(block: Block, size: int) -> Iterator[Block]:
    """Cut a feature block in blocks of `size` stars from its first on, the last of what is left."""
    for start in range(0, len(block["source_id"]), size):
        yield {name: values[start : start + size] for name, values in block.items()}
