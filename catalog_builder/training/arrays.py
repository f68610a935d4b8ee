"""Labelled stars in memory, and which inputs stars have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import PARALLAX, Inputs
from catalog_builder.ground.errors import ModelError

Block = Mapping[str, NDArray[np.generic]]


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
    contract : Contract
        What labels and inputs are.
    block : mapping of str to numpy.ndarray
        The feature block, n stars.
    labels, label_error : numpy.ndarray
        (n, l), in the order and the units of the contract's labels; NaN where missing.
    split : numpy.ndarray
        (n,) of `Split`.
    """

    contract: Contract
    block: Block
    labels: NDArray[np.float32]
    label_error: NDArray[np.float32]
    split: NDArray[np.uint8]

    def __post_init__(self) -> None:
        expected = (len(self.split), len(self.contract.labels))
        shapes = {"labels": self.labels.shape, "label_error": self.label_error.shape}
        for name, shape in shapes.items():
            if shape != expected:
                raise ModelError(
                    f"training array {name} has shape {shape}, not {expected}.",
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
            contract=self.contract,
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


def presence(block: Block, inputs: Inputs) -> NDArray[np.bool_]:
    """Return which inputs each star has, (n, i); none where the block says nothing of one."""
    stars = len(block["source_id"])
    has = [
        np.asarray(block.get(f"has_{name}", np.zeros(stars)), dtype=bool) for name in inputs.names
    ]
    return np.stack(has, axis=1) if has else np.zeros((stars, 0), dtype=bool)


def completed(block: Block, inputs: Inputs) -> Block:
    """Return a block that has every array of some inputs: those that it lacks are absent.

    A model may know inputs that a release does not have, and be asked about its stars all the
    same. An input counts as absent as a whole where any of its arrays is.
    """
    added: dict[str, NDArray[np.generic]] = {}
    stars = len(block["source_id"])
    for name, arrays in _arrays_of(inputs).items():
        missing = {key: empty for key, empty in arrays.items() if key not in block}
        added |= {
            key: np.broadcast_to(empty, (stars, *empty.shape)) for key, empty in missing.items()
        }
        if missing or f"has_{name}" not in block:
            added[f"has_{name}"] = np.zeros(stars, dtype=bool)
            spectrum = inputs.spectra.get(name)
            if spectrum is not None and spectrum.sig_to_noise not in {None, *block}:
                added[str(spectrum.sig_to_noise)] = np.full(stars, np.nan, dtype=np.float32)
    return {**block, **added} if added else block


def _arrays_of(inputs: Inputs) -> dict[str, dict[str, NDArray[np.generic]]]:
    """Return, by input, its arrays of features with what one star without it has there."""
    nothing = np.array(np.nan, dtype=np.float32)
    found: dict[str, dict[str, NDArray[np.generic]]] = {}
    for name, spectrum in inputs.spectra.items():
        flux = np.zeros(spectrum.samples, dtype=np.float32)
        found[name] = {f"{name}_flux": flux, f"{name}_flux_error": flux}
        if spectrum.kind == "lines":
            found[name][f"{name}_mask"] = np.zeros(spectrum.samples, dtype=bool)
            found[name][f"{name}_normalisation"] = np.array(0, dtype=np.uint8)
    for name, bands in inputs.photometry.items():
        found[name] = dict.fromkeys(bands.columns, nothing)
    if inputs.parallax:
        names = (PARALLAX, f"{PARALLAX}_corrected", f"{PARALLAX}_error")
        found[PARALLAX] = dict.fromkeys(names, nothing)
    return found


def signal_to_noise(block: Block, name: str, inputs: Inputs) -> NDArray[np.float64]:
    """Return the signal-to-noise ratio of a spectrum of lines, (n,).

    That of its column where there is one; else the median of flux over error of its samples, NaN
    for a star without the spectrum.
    """
    column = inputs.spectra[name].sig_to_noise
    if column is not None and column in block:
        return np.asarray(block[column], dtype=np.float64)
    flux, error = (
        np.asarray(block[f"{name}_{kind}"], dtype=np.float64) for kind in ("flux", "flux_error")
    )
    used = np.asarray(block[f"{name}_mask"], dtype=bool) & (error > 0)
    ratio = np.where(used, flux / np.where(used, error, 1.0), np.nan)
    found = np.full(len(flux), np.nan)
    some = used.any(axis=1)
    found[some] = np.nanmedian(ratio[some], axis=1)
    return found


def batches(block: Block, size: int) -> Iterator[Block]:
    """Cut a feature block in blocks of `size` stars from its first on, the last of what is left."""
    for start in range(0, len(block["source_id"]), size):
        yield {name: values[start : start + size] for name, values in block.items()}
