"""What the peers see of a star."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.features.store import Block

Float = NDArray[np.float32]

#: Principal components of RVS and XP spectra that the peers see.
RVS_COMPONENTS, XP_COMPONENTS = 60, 80


@dataclass(frozen=True)
class Design:
    """What the peers see: components of the spectra, photometry, parallax, what is there.

    Parameters
    ----------
    centres, axes : dict of str to numpy.ndarray
        Mean spectrum and principal axes of RVS and XP, from the fit stars.
    location, spread : numpy.ndarray
        Of all columns, from the fit stars.
    """

    centres: dict[str, Float]
    axes: dict[str, Float]
    location: Float
    spread: Float

    @classmethod
    def fit(cls, block: Block) -> Design:
        """Find axes and scales on the fit stars."""
        centres, axes = {}, {}
        for name, count in (("rvs", RVS_COMPONENTS), ("xp", XP_COMPONENTS)):
            spectra = _spectra(block, name)
            has = np.asarray(block[f"has_{name}"])
            # Without any such spectrum there are no axes, and no components.
            centres[name] = spectra[has].sum(axis=0) / max(int(has.sum()), 1)
            filled = filled_spectra(block, name, centres[name])[has] - centres[name]
            axes[name] = np.linalg.svd(filled, full_matrices=False)[2][:count].T
        rough = cls(centres, axes, np.zeros(1, np.float32), np.ones(1, np.float32))
        columns = rough.columns(block)
        seen = np.isfinite(columns).any(axis=0)
        location = np.zeros(columns.shape[1], np.float32)
        spread = np.ones_like(location)
        location[seen] = np.nanmean(columns[:, seen], axis=0)
        spread[seen] = np.maximum(np.nanstd(columns[:, seen], axis=0), 1e-6)
        return cls(centres, axes, location, spread)

    def columns(self, block: Block) -> Float:
        """Columns (n, k); NaN where an input is absent."""
        parts = []
        for name in ("rvs", "xp"):
            projected = (
                filled_spectra(block, name, self.centres[name]) - self.centres[name]
            ) @ self.axes[name]
            noise = np.log10(np.asarray(block[f"{name}_flux_error"]).mean(axis=1) + 1e-4)
            parts.append(
                np.where(has_column(block, name), np.column_stack([projected, noise]), np.nan)
            )
        parts.append(np.where(has_column(block, "photometry"), _photometry(block), np.nan))
        parts.append(np.where(has_column(block, "parallax"), _parallax(block), np.nan))
        classes = np.asarray(block["rvs_normalisation"])
        parts.append(np.stack([classes == 1, classes == 2], axis=1))
        return (np.hstack(parts).astype(np.float32) - self.location) / self.spread

    def filled(self, block: Block) -> Float:
        """Columns with 0 for what is absent, and four columns that say so."""
        absent = np.hstack(
            [~has_column(block, name) for name in ("rvs", "xp", "photometry", "parallax")]
        )
        return np.hstack([np.nan_to_num(self.columns(block)), absent.astype(np.float32)])


def has_column(block: Block, name: str) -> NDArray[np.bool_]:
    """Which stars have an input, as a column (n, 1)."""
    return np.asarray(block[f"has_{name}"])[:, None]


def _spectra(block: Block, name: str) -> Float:
    flux = np.asarray(block[f"{name}_flux"])
    return flux if name == "rvs" else np.arcsinh(flux / 0.1)


def filled_spectra(block: Block, name: str, centre: Float) -> Float:
    """Spectra with the mean spectrum where a pixel is masked."""
    spectra = _spectra(block, name)
    if name == "xp":
        return spectra
    return np.where(np.asarray(block["rvs_mask"]), np.clip(spectra, -1.0, 3.0), centre)


def _photometry(block: Block) -> Float:
    g, bp, rp = (np.asarray(block[f"phot_{band}_mean_mag"]) for band in ("g", "bp", "rp"))
    return np.column_stack([g, bp - rp, g - rp])


def _parallax(block: Block) -> Float:
    measured, corrected = np.asarray(block["parallax"]), np.asarray(block["parallax_corrected"])
    parallax = np.where(np.isfinite(corrected), corrected, measured)
    error = np.asarray(block["parallax_error"])
    factor = 10.0 ** (np.asarray(block["phot_g_mean_mag"]) / 5.0 - 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.column_stack(
            [
                np.arcsinh(parallax),
                np.arcsinh(parallax / error),
                np.log10(error),
                np.arcsinh(parallax * factor),
                np.arcsinh(error * factor),
            ]
        )
