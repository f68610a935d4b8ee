"""From a feature block to tensors: which quantities the network sees, and how they are scaled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder import schema
from catalog_builder.errors import ModelError
from catalog_builder.features.rvs import CONSTANT, N_PIXELS, PSEUDO_CONTINUUM

FloatArray = NDArray[np.floating]
Block = Mapping[str, NDArray[np.generic]]

LABELS = schema.LABELS
MODALITIES = ("rvs", "xp", "photometry", "parallax")
RVS_SAMPLES = N_PIXELS
XP_SAMPLES = 343

# Columns of every input that is standardised. `luminosity` is parallax and G together: it exists
# where both do, so that a star without photometry does not see its magnitude by another door.
WIDTHS = {"xp": XP_SAMPLES + 1, "photometry": 3, "parallax": 3, "luminosity": 2}

# XP flux is of order 1 after division by its flux scale. asinh is linear below the softening,
# where noise dominates, and logarithmic above, where extinction and temperature act as factors.
_XP_SOFTENING = 0.1
# Depth of a typical absorption line: RVS samples much noisier than this tell nothing by themselves.
_RVS_DEPTH = 0.2
_RVS_NOISE = 0.02
# Relative errors below this say the same: models, not photons, are the limit of such a star.
_SMALLEST_NOISE = 1e-4


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

    def subset(self, split: Split) -> TrainingArrays:
        """Return the stars of one split, in the order they have here."""
        rows = np.flatnonzero(self.split == split)
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


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of every standardised input and of the labels.

    Labels are those of `design_labels`: the first is ln(Teff / K).
    """

    xp_mean: NDArray[np.float64]
    xp_std: NDArray[np.float64]
    photometry_mean: NDArray[np.float64]
    photometry_std: NDArray[np.float64]
    parallax_mean: NDArray[np.float64]
    parallax_std: NDArray[np.float64]
    luminosity_mean: NDArray[np.float64]
    luminosity_std: NDArray[np.float64]
    labels_mean: NDArray[np.float64]
    labels_std: NDArray[np.float64]

    @classmethod
    def from_statistics(cls, statistics: Mapping[str, tuple[FloatArray, FloatArray]]) -> Scaling:
        """Build a scaling from the statistics of the fit stars.

        Parameters
        ----------
        statistics : mapping of str to (mean, std)
            For each key of `design_features` that any fit star has, and for ``labels``: mean and
            standard deviation per column, NaN rows left out. An input left out is not scaled.

        Raises
        ------
        ModelError
            If a name is unknown or the arrays are not as wide as the input.
        """
        widths = WIDTHS | {"labels": len(LABELS)}
        if unknown := sorted(set(statistics) - set(widths)):
            raise ModelError(
                f"scaling statistics for unknown inputs: {', '.join(unknown)}.",
                f"Known are {', '.join(widths)}.",
            )
        arrays: dict[str, NDArray[np.float64]] = {}
        for name, width in widths.items():
            given = statistics.get(name, (np.zeros(width), np.ones(width)))
            mean, std = (np.asarray(values, dtype=np.float64) for values in given)
            if mean.shape != (width,) or std.shape != (width,):
                raise ModelError(
                    f"scaling of {name} has shapes {mean.shape} and {std.shape}, not ({width},).",
                    "Compute the statistics on the columns of design_features.",
                )
            # A constant or wholly missing column carries nothing: any finite scale will do.
            arrays[f"{name}_mean"] = np.where(np.isfinite(mean), mean, 0.0)
            arrays[f"{name}_std"] = np.where(np.isfinite(std) & (std > 0), std, 1.0)
        return cls(**arrays)

    def digest(self) -> str:
        """Return the SHA-256 of all arrays, as hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, list[float]]:
        """Return the arrays as lists; their decimal form gives back the same bits."""
        return {field.name: getattr(self, field.name).tolist() for field in fields(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, list[float]]) -> Scaling:
        """Build a scaling from `to_json`; raises ModelError where it does not fit."""
        names = {field.name for field in fields(cls)}
        if set(document) != names:
            raise ModelError(
                f"the model's scaling holds {sorted(document)}, not {sorted(names)}.",
                "Train the model again with this version of the program.",
            )
        stems = [name.removesuffix("_mean") for name in sorted(names) if name.endswith("_mean")]
        return cls.from_statistics(
            {
                stem: (np.array(document[f"{stem}_mean"]), np.array(document[f"{stem}_std"]))
                for stem in stems
            }
        )

    def standardise(self, name: str, values: Tensor) -> Tensor:
        """Scale the columns of one input, (n, k) float32."""
        mean = torch.as_tensor(getattr(self, f"{name}_mean"), dtype=torch.float32)
        std = torch.as_tensor(getattr(self, f"{name}_std"), dtype=torch.float32)
        return (values - mean.to(values.device)) / std.to(values.device)


def presence(block: Block) -> NDArray[np.bool_]:
    """Return which of `MODALITIES` each star has, (n, 4)."""
    return np.stack([np.asarray(block[f"has_{name}"], dtype=bool) for name in MODALITIES], axis=1)


def design_labels(
    labels: FloatArray, label_error: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return labels and errors as the network learns them: ln Teff in place of Teff.

    Relative errors of Teff are alike from 3 000 to 20 000 K where absolute ones are not. To first
    order the error of ln Teff is the relative error of Teff.
    """
    values, errors = labels.astype(np.float64), label_error.astype(np.float64)
    errors[:, 0] /= values[:, 0]
    values[:, 0] = np.log(values[:, 0])
    return values, errors


@dataclass(frozen=True)
class Stars:
    """A batch of stars as tensors on one device: measured quantities, nothing scaled yet.

    Absent quantities are 0 and `present` (n, 4), in the order of `MODALITIES`, says so.
    """

    rvs_flux: Tensor
    rvs_flux_error: Tensor
    rvs_mask: Tensor
    rvs_class: Tensor
    xp_flux: Tensor
    xp_flux_error: Tensor
    photometry: Tensor
    parallax: Tensor
    luminosity: Tensor
    present: Tensor

    @classmethod
    def from_block(cls, block: Block, device: str = "cpu") -> Stars:
        """Build the tensors of a feature block.

        Raises
        ------
        ModelError
            If an input is said to be present and is not finite, naming the first such star.
        """
        has = presence(block)
        columns = {
            "rvs_flux": _float(block["rvs_flux"]),
            "rvs_flux_error": _float(block["rvs_flux_error"]),
            "xp_flux": _float(block["xp_flux"]),
            "xp_flux_error": _float(block["xp_flux_error"]),
            "photometry": _photometry(block),
            "parallax": _parallax(block),
            "luminosity": _luminosity(block),
        }
        rvs, xp, photometry, parallax = has.T
        owners = {
            "rvs_flux": rvs,
            "rvs_flux_error": rvs,
            "xp_flux": xp,
            "xp_flux_error": xp,
            "photometry": photometry,
            "parallax": parallax,
            "luminosity": photometry & parallax,
        }
        for name, values in columns.items():
            owner = owners[name]
            _check_finite(name, values[owner], block["source_id"][owner])
            values[~owner] = 0.0
        classes = np.asarray(block["rvs_normalisation"])
        told = np.stack([classes == PSEUDO_CONTINUUM, classes == CONSTANT], axis=1) & rvs[:, None]
        tensors = {name: torch.from_numpy(values) for name, values in columns.items()}
        tensors["rvs_class"] = torch.from_numpy(told.astype(np.float32))
        mask = np.asarray(block["rvs_mask"], dtype=bool) & rvs[:, None]
        tensors["rvs_mask"] = torch.from_numpy(mask)
        tensors["present"] = torch.from_numpy(has)
        return cls(**{name: tensor.to(device) for name, tensor in tensors.items()})

    def __len__(self) -> int:
        return len(self.present)

    def take(self, rows: Tensor | slice) -> Stars:
        """Return some of the stars."""
        return Stars(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def design_features(block: Block) -> dict[str, NDArray[np.float32]]:
    """Return the unscaled inputs of the network on which the scaling is computed.

    Returns
    -------
    dict of str to numpy.ndarray
        ``xp`` (n, 344): asinh of the normalised flux over 0.1, and the logarithm of the relative
        noise. ``photometry`` (n, 3): G, BP-RP, G-RP [mag]. ``parallax`` (n, 3): asinh(parallax /
        mas), asinh(parallax / error), log10(error / mas). ``luminosity`` (n, 2): asinh of
        parallax x 10^(G/5 - 2) = 10^(M_G/5), free of the pole of 1/parallax, and of its error.
        Rows without the input are NaN, so that they stay out of means and deviations. RVS
        spectra are normalised already and are not standardised.
    """
    stars = Stars.from_block(block)
    has = stars.present
    tensors = {
        "xp": torch.where(has[:, 1:2], xp_columns(stars), torch.nan),
        "photometry": torch.where(has[:, 2:3], stars.photometry, torch.nan),
        "parallax": torch.where(has[:, 3:4], stars.parallax, torch.nan),
        "luminosity": torch.where(has[:, 2:3] & has[:, 3:4], stars.luminosity, torch.nan),
    }
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def network_columns(stars: Stars, scaling: Scaling, inputs: Collection[str]) -> dict[str, Tensor]:
    """Return the scaled columns that a network built for these inputs reads."""
    columns: dict[str, Tensor] = {}
    if "rvs" in inputs:
        columns |= {"rvs": rvs_channels(stars), "rvs_class": stars.rvs_class}
    if "xp" in inputs:
        columns["xp"] = scaling.standardise("xp", xp_columns(stars))
    for name in ("photometry", "parallax", "luminosity"):
        columns[name] = scaling.standardise(name, getattr(stars, name))
    return columns


def xp_columns(stars: Stars) -> Tensor:
    """Return the XP input (n, 344): softened logarithmic flux and the relative noise."""
    flux = torch.asinh(stars.xp_flux / _XP_SOFTENING)
    size = stars.xp_flux.abs().mean(dim=1, keepdim=True).clamp_min(_SMALLEST_NOISE)
    noise = stars.xp_flux_error.mean(dim=1, keepdim=True) / size
    return torch.cat([flux, torch.log10(noise + _SMALLEST_NOISE)], dim=1)


def rvs_channels(stars: Stars) -> Tensor:
    """Return the RVS input (n, 2, 800): depth of the spectrum, and trust in each sample.

    Trust is 1 for a perfect sample, falls as its error passes 0.02, and is 0 where masked.
    """
    mask = stars.rvs_mask.to(torch.float32)
    depth = (stars.rvs_flux - 1.0) / _RVS_DEPTH * mask
    trust = mask * _RVS_NOISE / torch.sqrt(_RVS_NOISE**2 + stars.rvs_flux_error**2)
    return torch.stack([depth, trust], dim=1)


def _float(values: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def _photometry(block: Block) -> NDArray[np.float32]:
    g, bp, rp = (_float(block[f"phot_{band}_mean_mag"]) for band in ("g", "bp", "rp"))
    return np.stack([g, bp - rp, g - rp], axis=1)


def _corrected_parallax(block: Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corrected = np.asarray(block["parallax_corrected"], dtype=np.float64)
    measured = np.asarray(block["parallax"], dtype=np.float64)
    error = np.asarray(block["parallax_error"], dtype=np.float64)
    # Outside the domain of the zero point the measured value is the best there is.
    return np.where(np.isfinite(corrected), corrected, measured), error


def _parallax(block: Block) -> NDArray[np.float32]:
    parallax, error = _corrected_parallax(block)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [np.arcsinh(parallax), np.arcsinh(parallax / error), np.log10(error)]
    return np.stack(columns, axis=1).astype(np.float32)


def _luminosity(block: Block) -> NDArray[np.float32]:
    parallax, error = _corrected_parallax(block)
    factor = 10.0 ** (np.asarray(block["phot_g_mean_mag"], dtype=np.float64) / 5.0 - 2.0)
    columns = [np.arcsinh(parallax * factor), np.arcsinh(error * factor)]
    return np.stack(columns, axis=1).astype(np.float32)


def _check_finite(name: str, values: NDArray[np.float32], ids: NDArray[np.generic]) -> None:
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise ModelError(
            f"{name} of source_id {ids[bad[0]]} is not finite though the star is said to have it "
            f"({bad.size} such stars in the block).",
            "Ingest the partition again; where a value is missing its has_ column must be false.",
        )
