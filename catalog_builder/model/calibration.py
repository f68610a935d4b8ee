"""Sigma and the 95 % interval, made honest on stars that no gradient saw.

The networks' covariance says which stars are uncertain; how uncertain is measured. For every subset
of the inputs the stars of the validation and the calibration split are predicted with the other
inputs hidden, and two factors on the networks' sigma are fitted per label (`calibration_fit`): one
that makes it hold 68.3 % of the networks' own errors, and one that makes 1.96 of it hold 95 %.
Errors have longer tails than a Gaussian, so the two differ, by the same share for all stars of a
subset. Each factor is a product of smooth curves in S/N (or XP noise, or G), the predicted Teff and
metallicity, and sigma itself.

Label surveys hold brighter stars than the archive. So each star is predicted twice: as it was
observed, and with its spectra made noisier, as those of a fainter twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog_builder.model.inputs import LABELS, MODALITIES, Block

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: What a factor depends on, in the order of the columns of `coordinates`.
COORDINATES = ("brightness", "teff", "metallicity", "sigma")
#: Key of the correction for subsets of the inputs that no calibration star has.
ANY_INPUTS = "any"

_TWIN_SEED = 17
# Where label errors explain all scatter the factor could be 0; no sigma is believed below this.
_SMALLEST, _LARGEST = np.log(0.1), np.log(100.0)


# Logarithms of factors, and coordinates: far beyond any that a fit makes, and sums stay finite.
_Logarithm = Annotated[float, Field(ge=-1e6, le=1e6)]
_Coordinate = Annotated[float, Field(ge=-1e100, le=1e100)]
_MOST_KNOTS = 64


class Curve(BaseModel):
    """The logarithm of a factor along one coordinate: straight lines between knots."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    knots: tuple[_Coordinate, ...] = Field(max_length=_MOST_KNOTS)
    values: tuple[_Logarithm, ...] = Field(max_length=_MOST_KNOTS)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.knots) != len(self.values) or list(self.knots) != sorted(self.knots):
            raise ValueError("a curve needs as many values as knots, and knots in order")
        return self

    def __call__(self, coordinate: Array) -> Array:
        """Return the curve at n coordinates, 0 where they are NaN or there are no knots."""
        if not self.knots:
            return np.zeros(len(coordinate))
        found = np.interp(coordinate, self.knots, self.values)
        return np.where(np.isfinite(coordinate), found, 0.0)


class Factor(BaseModel):
    """A factor on sigma: a constant and one curve per coordinate, all in logarithms."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    constant: _Logarithm = 0.0
    curves: tuple[Curve, ...] = Field((), max_length=len(COORDINATES))

    def __call__(self, coordinates: Array) -> Array:
        """Return the factor (n,) at coordinates (n, 4)."""
        total = np.full(len(coordinates), self.constant)
        for curve, coordinate in zip(self.curves, coordinates.T, strict=False):
            total += curve(coordinate)
        factor: Array = np.exp(np.clip(total, _SMALLEST, _LARGEST))
        return factor


class LabelFactors(BaseModel):
    """The factors of one label: on sigma, and on 1.96 sigma for the 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sigma: Factor = Factor()
    interval95: Factor = Factor()


Calibration = Mapping[str, tuple[LabelFactors, ...]]


def inputs_key(used: NDArray[np.bool_]) -> str:
    """Return the name of one subset of the inputs, (4,), in a calibration."""
    return "+".join(name for name, has in zip(MODALITIES, used, strict=True) if has)


def coordinates(block: Block, mean: Array, sigma: Array, used: Bools) -> Array:
    """Return what the factors of each label depend on, (5, n, 4), in the order of `COORDINATES`.

    Parameters
    ----------
    block : mapping of str to numpy.ndarray
        Feature block of n stars.
    mean, sigma : numpy.ndarray
        (n, 5) predicted labels, and sigma before calibration in the labels' units.
    used : numpy.ndarray
        (n, 4) bool. Brightness is log10(S/N) where the RVS spectrum was used, else log10 of the
        XP spectrum's relative noise where that was used, else G.
    """
    snr = np.asarray(block["rvs_spec_sig_to_noise"], dtype=np.float64)
    xp_noise = np.asarray(block["xp_flux_error"], dtype=np.float64).mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_snr, log_noise = np.log10(np.where(snr > 0, snr, np.nan)), np.log10(xp_noise)
        log_sigma = np.log(sigma)
    brightness = np.where(used[:, 1], log_noise, np.asarray(block["phot_g_mean_mag"], np.float64))
    brightness = np.where(used[:, 0], log_snr, brightness)
    m_h, fe_h = mean[:, LABELS.index("m_h")], mean[:, LABELS.index("fe_h")]
    shared = np.stack([brightness, mean[:, 0], np.where(np.isfinite(m_h), m_h, fe_h)], axis=1)
    each = [np.column_stack([shared, column]) for column in log_sigma.T]
    return np.where(np.isfinite(each), each, np.nan)


def fainter_twins(block: Block, noise_factor: float) -> Block:
    """Return the stars with the spectra of fainter twins; always the same for the same stars.

    A star's noise gains k times its flux errors, k uniform in 0..noise_factor, as fit stars do in
    training; errors and S/N are changed to match.
    """
    stars = len(block["source_id"])
    rng = np.random.default_rng(_TWIN_SEED)
    k = rng.uniform(0.0, noise_factor, (stars, 1))
    growth = np.sqrt(1.0 + k**2)
    twins = dict(block)
    for name in ("rvs", "xp"):
        error = np.asarray(block[f"{name}_flux_error"], dtype=np.float32)
        noise = rng.standard_normal(error.shape, dtype=np.float32)
        noise *= error * k.astype(np.float32)
        noise += np.asarray(block[f"{name}_flux"], dtype=np.float32)
        twins[f"{name}_flux"] = noise
        twins[f"{name}_flux_error"] = error * growth.astype(np.float32)
    snr = np.asarray(block["rvs_spec_sig_to_noise"], dtype=np.float64)
    twins["rvs_spec_sig_to_noise"] = snr / growth[:, 0]
    return twins


def factors(calibration: Calibration, used: Bools, places: Array) -> tuple[Array, Array]:
    """Return the factors on sigma and on 1.96 sigma, (n, 5) each.

    Parameters
    ----------
    calibration : mapping of str to tuple of LabelFactors
        Of a model document.
    used : numpy.ndarray
        (n, 4) bool, inputs used.
    places : numpy.ndarray
        (5, n, 4), from `coordinates`.
    """
    on_sigma, on_interval = np.ones((2, len(used), len(LABELS)))
    for subset in np.unique(used, axis=0):
        rows = (used == subset).all(axis=1)
        of_subset = calibration.get(inputs_key(subset)) or calibration.get(ANY_INPUTS, ())
        for column, label in enumerate(of_subset):
            on_sigma[rows, column] = label.sigma(places[column][rows])
            on_interval[rows, column] = label.interval95(places[column][rows])
    return on_sigma, on_interval
