"""XP mean spectra in the one representation of the model: flux and error on 343 samples, scaled."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from catalog_builder.errors import ConfigError

#: The sampled grid, nm: 336 to 1020 in steps of 2.
WAVELENGTHS: NDArray[np.float64] = np.arange(336.0, 1021.0, 2.0)
N_SAMPLES = WAVELENGTHS.size


@dataclass(frozen=True)
class SampledSpectra:
    """Flux and error, shapes (n, 343), W m-2 nm-1."""

    flux: NDArray[np.float64]
    flux_error: NDArray[np.float64]


@dataclass(frozen=True)
class ScaledSpectra:
    """Flux and error divided by the scale; ``usable`` says which rows are complete."""

    flux: NDArray[np.float32]
    flux_error: NDArray[np.float32]
    scale: NDArray[np.float32]
    usable: NDArray[np.bool_]


def sample_continuous(
    bp: tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]],
    rp: tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]],
    basis: str,
) -> SampledSpectra:
    """Sample spectra given as basis-function coefficients.

    Parameters
    ----------
    bp, rp : tuple of (coefficients, errors, correlations)
        Shapes (n, k), (n, k) and (n, k(k-1)/2) of each band; the correlations are the strict lower
        triangle row by row. NaN where a band is missing.
    basis : str
        Name of the release's matrices in this folder, e.g. ``xp_dr3``.

    Returns
    -------
    SampledSpectra
        NaN in rows where a band is missing. The errors are those of the full covariance, both
        bands being independent. Published coefficient errors already include the
        ``standard_deviation`` of the fit.
    """
    matrices = _matrices(basis)
    with np.errstate(over="ignore", invalid="ignore"):  # such spectra are not usable
        flux = bp[0] @ matrices["bp"] + rp[0] @ matrices["rp"]
        variance = _variance(bp[1], bp[2], basis, "bp") + _variance(rp[1], rp[2], basis, "rp")
    return SampledSpectra(flux, np.sqrt(np.maximum(variance, 0)))


def scale_spectra(spectra: SampledSpectra, window: tuple[float, float]) -> ScaledSpectra:
    """Divide spectra by their mean flux in a window of wavelength.

    Parameters
    ----------
    spectra : SampledSpectra
        Shapes (n, 343).
    window : tuple of float
        First and last wavelength, nm.

    Returns
    -------
    ScaledSpectra
        Rows with a sample that is not finite, an error that is not positive or a scale that is
        not positive are zero and not usable. In the others all numbers are finite, and errors and
        scales positive, also as float32.
    """
    inside = (window[0] <= WAVELENGTHS) & (window[1] >= WAVELENGTHS)
    with np.errstate(all="ignore"):  # what is absurd is found below
        scale = np.asarray(spectra.flux[:, inside].mean(axis=1, dtype=np.float64), np.float32)
        flux = (spectra.flux / scale[:, None]).astype(np.float32)
        error = (spectra.flux_error / scale[:, None]).astype(np.float32)
    sound = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    usable = (scale > 0) & np.isfinite(scale) & np.asarray(sound.all(axis=1))
    return ScaledSpectra(
        np.where(usable[:, None], flux, 0),
        np.where(usable[:, None], error, 0),
        np.where(usable, scale, np.nan),
        usable,
    )


def _variance(
    errors: NDArray[np.float32], correlations: NDArray[np.float32], basis: str, band: str
) -> NDArray[np.float64]:
    """Return the variance of each sample: ``diag(M^T D R D M)`` with ``D = diag(errors)``.

    The form is linear in the products of errors and correlations, so it is one matrix product for
    all stars instead of one 55 x 55 product for each.
    """
    operator, first, second = _quadratic_form(basis, band)
    scale = errors.astype(np.float64)
    diagonal = scale * scale
    off_diagonal = scale[:, first] * scale[:, second] * correlations
    k = scale.shape[1]
    return diagonal @ operator[:k] + off_diagonal @ operator[k:]


@functools.lru_cache(maxsize=8)
def _quadratic_form(
    basis: str, band: str
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    matrix = _matrices(basis)[band]
    first, second = np.tril_indices(matrix.shape[0], k=-1)
    operator = np.concatenate([matrix**2, 2 * matrix[first] * matrix[second]])
    return operator, first, second


@functools.lru_cache(maxsize=4)
def _matrices(basis: str) -> dict[str, NDArray[np.float64]]:
    source = resources.files("catalog_builder.features") / f"{basis}.npz"
    if not source.is_file():
        raise ConfigError(
            f"There is no XP basis {basis!r} in this version of the program.",
            "Name one that is shipped in the release description, under xp.continuous.basis.",
        )
    with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in ("bp", "rp")}
