"""XP mean spectra: coefficients with correlated errors, and the sampled spectra made from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.features.low_resolution import SampledSpectra, sample_coefficients
from catalog_builder.simulate.instruments import photometers as instrument

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: The matrices of the simulated instrument, which is DR3's.
BASIS = "xp_dr3"


@dataclass(frozen=True)
class BandCoefficients:
    """One band's spectra as published.

    Parameters
    ----------
    values : numpy.ndarray
        (n, 55) coefficients.
    errors : numpy.ndarray
        (n, 55), which include `standard_deviation`.
    correlations : numpy.ndarray
        (n, 1485) strict lower triangle, row by row.
    independent : numpy.ndarray
        (n,) share of the variance without correlations; not published.
    standard_deviation : numpy.ndarray
        (n,) of the least-squares solution.
    n_measurements, n_rejected, n_relevant_bases : numpy.ndarray
        (n,) int16.
    """

    values: Float
    errors: Float32
    correlations: Float32
    independent: Float
    standard_deviation: Float32
    n_measurements: NDArray[np.int16]
    n_rejected: NDArray[np.int16]
    n_relevant_bases: NDArray[np.int16]


def coefficients(
    rng: np.random.Generator, flux: Float, transits: Float, band: instrument.Band
) -> BandCoefficients:
    """Measure sampled, noise-free spectra (n, 343) [W m-2 nm-1] in one band.

    Parameters
    ----------
    transits : numpy.ndarray
        (n,) number of transits in units of the typical number: errors fall with its square root.
    """
    table: instrument.XpBand = getattr(instrument.load(), band)
    exact = flux @ table.inverse
    n, k = len(exact), len(table.correlation)
    errors = table.errors(exact) / np.sqrt(transits)[:, None]
    # Each source's scan history differs: its correlations lie between the mean ones and none.
    independent = rng.uniform(0.0, 0.35, n)
    factor = table.correlation
    drawn = np.sqrt(1.0 - independent)[:, None] * (rng.standard_normal((n, k)) @ factor.T)
    drawn += np.sqrt(independent)[:, None] * rng.standard_normal((n, k))
    rows, columns = np.tril_indices(k, k=-1)
    mean = (factor @ factor.T)[rows, columns]

    values = exact + errors * drawn
    measured = np.clip(2000.0 * transits + rng.normal(0.0, 60.0, n), 600.0, 30000.0)
    significance = np.abs(exact) > errors
    last = k - np.argmax(significance[:, ::-1], axis=1)
    return BandCoefficients(
        values=values,
        errors=errors.astype(np.float32),
        independent=independent,
        correlations=((1.0 - independent)[:, None] * mean).astype(np.float32),
        standard_deviation=(1.05 + 0.04 * rng.standard_normal(n)).clip(0.9).astype(np.float32),
        n_measurements=measured.astype(np.int16),
        n_rejected=rng.poisson(14.0, n).astype(np.int16),
        n_relevant_bases=np.clip(last, 2, k).astype(np.int16),
    )


def sampled(bp: BandCoefficients, rp: BandCoefficients) -> SampledSpectra:
    """Sample both bands on the archive's grid, errors from the full covariance."""
    bands = {
        name: (band.values, band.errors, band.correlations)
        for name, band in (("bp", bp), ("rp", rp))
    }
    return sample_coefficients(bands, BASIS)
