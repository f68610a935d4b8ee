"""From a feature block to tensors: which quantities the network sees, and how they are scaled."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.errors import ModelError
from catalog_builder.features.rvs import CONSTANT, PSEUDO_CONTINUUM
from catalog_builder.model.arrays import (
    LABELS,
    MODALITIES,
    Block,
    Split,
    TrainingArrays,
    presence,
)
from catalog_builder.model.scaling import WIDTHS, FloatArray, Scaling

__all__ = [
    "LABELS",
    "MODALITIES",
    "WIDTHS",
    "Block",
    "Scaling",
    "Split",
    "Stars",
    "TrainingArrays",
    "asinh",
    "design_features",
    "design_labels",
    "network_columns",
    "presence",
]

# XP flux is of order 1 after division by its flux scale. asinh is linear below the softening,
# where noise dominates, and logarithmic above, where extinction and temperature act as factors.
_XP_SOFTENING = 0.1
# Depth of a typical absorption line: RVS samples much noisier than this tell nothing by themselves.
_RVS_DEPTH = 0.2
_RVS_NOISE = 0.02
# Relative errors below this say the same: models, not photons, are the limit of such a star.
_SMALLEST_NOISE = 1e-4


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
    def from_block(
        cls,
        block: Block,
        device: str = "cpu",
        spectra: Collection[str] = ("rvs", "xp"),
        *,
        may_overflow: bool = False,
    ) -> Stars:
        """Build the tensors of a feature block; spectra that are not asked for have no samples.

        Parameters
        ----------
        block : mapping of str to numpy.ndarray
            Feature block of n stars.
        device : str
            Where torch computes.
        spectra : collection of str
            Spectra that are wanted.
        may_overflow : bool
            Whether what is computed of finite measurements may be infinite, the colour of
            magnitudes of 1e38, say: such a star gets no answer, and its batch is none the worse.

        Raises
        ------
        ModelError
            If an input is said to be present and is not finite, naming the first such star.
        """
        has = presence(block)
        rvs, xp, photometry, parallax = has.T
        columns = {
            "photometry": (_photometry(block), photometry),
            "parallax": (_parallax(block), parallax),
            "luminosity": (_luminosity(block), photometry & parallax),
        }
        if may_overflow:
            for name, measured in (("photometry", _magnitudes), ("parallax", _distance)):
                owner = columns[name][1]
                _check_finite(name, measured(block)[owner], block["source_id"][owner])
        for name, owner in (("rvs", rvs), ("xp", xp)):
            for column in (f"{name}_flux", f"{name}_flux_error"):
                columns[column] = (_samples(block[column], name in spectra), owner)
        tensors: dict[str, Tensor] = {}
        for name, (values, owner) in columns.items():
            if not may_overflow or name.startswith(("rvs", "xp")):
                _check_finite(name, values[owner], block["source_id"][owner])
            values[~owner] = 0.0
            tensors[name] = torch.from_numpy(values)
        classes = np.asarray(block["rvs_normalisation"])
        told = np.stack([classes == PSEUDO_CONTINUUM, classes == CONSTANT], axis=1) & rvs[:, None]
        tensors["rvs_class"] = torch.from_numpy(told.astype(np.float32))
        mask = block["rvs_mask"] if "rvs" in spectra else block["rvs_mask"][:, :0]
        tensors["rvs_mask"] = torch.from_numpy(np.asarray(mask, dtype=bool) & rvs[:, None])
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
    stars = Stars.from_block(block, spectra=("xp",))
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


def asinh(values: Tensor) -> Tensor:
    """Return asinh as torch computes it many samples at a time: its own takes ten times as long.

    asinh x = sgn x ln(1 + |x| + x^2 / (1 + sqrt(1 + x^2))), accurate for small x too.
    """
    size = values.abs()
    # In this order what is too large for its square (1e19) still has a logarithm, short by ln 2.
    beyond = size * (size / (1.0 + torch.sqrt(1.0 + size * size)))
    return torch.log1p(size + beyond).copysign(values)


def xp_columns(stars: Stars) -> Tensor:
    """Return the XP input (n, 344): softened logarithmic flux and the relative noise."""
    flux = asinh(stars.xp_flux / _XP_SOFTENING)
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


def _samples(values: NDArray[np.generic], asked_for: bool) -> NDArray[np.float32]:
    return np.array(values if asked_for else values[:, :0], dtype=np.float32)


def _magnitudes(block: Block) -> NDArray[np.float32]:
    bands = [np.float32(block[f"phot_{band}_mean_mag"]) for band in ("g", "bp", "rp")]
    return np.stack(bands, axis=1)


def _distance(block: Block) -> NDArray[np.float64]:
    return np.stack(_corrected_parallax(block), axis=1)


def _photometry(block: Block) -> NDArray[np.float32]:
    g, bp, rp = _magnitudes(block).T
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack([g, bp - rp, g - rp], axis=1)


def _corrected_parallax(block: Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corrected = np.asarray(block["parallax_corrected"], dtype=np.float64)
    measured = np.asarray(block["parallax"], dtype=np.float64)
    error = np.asarray(block["parallax_error"], dtype=np.float64)
    # Outside the domain of the zero point the measured value is the best there is.
    return np.where(np.isfinite(corrected), corrected, measured), error


def _parallax(block: Block) -> NDArray[np.float32]:
    parallax, error = _corrected_parallax(block)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        columns = [np.arcsinh(parallax), np.arcsinh(parallax / error), np.log10(error)]
    return np.stack(columns, axis=1).astype(np.float32)


def _luminosity(block: Block) -> NDArray[np.float32]:
    parallax, error = _corrected_parallax(block)
    with np.errstate(invalid="ignore", over="ignore"):
        factor = 10.0 ** (np.asarray(block["phot_g_mean_mag"], dtype=np.float64) / 5.0 - 2.0)
        columns = [np.arcsinh(parallax * factor), np.arcsinh(error * factor)]
    return np.stack(columns, axis=1).astype(np.float32)


def _check_finite(name: str, values: FloatArray, ids: NDArray[np.generic]) -> None:
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise ModelError(
            f"{name} of source_id {ids[bad[0]]} is not finite though the star is said to have it "
            f"({bad.size} such stars in the block).",
            "Ingest the partition again; where a value is missing its has_ column must be false.",
        )
