"""Rows of a spectra table become spectra on the model's grids, or have a reason not to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.spectra import CodeRule, LineSpectrum, LowResolutionSpectrum, Reading
from catalog_builder.features import lines, low_resolution
from catalog_builder.features.faint import below
from catalog_builder.features.own_wavelengths import resample_own
from catalog_builder.features.settings import IngestSettings

Columns = Mapping[str, NDArray[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Converted:
    """Spectra of n rows.

    Attributes
    ----------
    rows : dict of str to ndarray of shape (n, samples)
        Arrays of the feature store.
    scalars : dict of str to ndarray of shape (n,)
        What else is known of each spectrum: its flux scale, say. See `ReleaseSpec.scalars_of`.
    usable : ndarray of bool, shape (n,)
        Which rows are to be kept.
    reasons : dict of RejectReason to ndarray of bool, shape (n,)
        Why the others are not; each unusable row has exactly one reason.
    """

    rows: dict[str, NDArray[Any]]
    scalars: dict[str, NDArray[Any]]
    usable: Bools
    reasons: dict[RejectReason, Bools]


def convert(reading: Reading, columns: Columns, settings: IngestSettings) -> Converted:
    """Bring the rows of one table to the model's grid of one of its spectra.

    Parameters
    ----------
    reading : Reading
        From the release description: which spectrum, and in which columns it stands.
    columns : mapping of str to ndarray
        Of the table, n rows each.
    settings : IngestSettings
        Coverage limits.
    """
    if isinstance(reading.spectrum, LineSpectrum):
        made = _convert_lines(reading, reading.spectrum, columns, settings)
    else:
        made = _convert_low_resolution(reading, reading.spectrum, columns)
    return _without_faint(reading, made)


def _without_faint(reading: Reading, made: Converted) -> Converted:
    """Leave out spectra whose own S/N is below the least; that of looked-up tables is known."""
    least = reading.spectrum.least_sig_to_noise
    if least is None or not reading.own_noise:
        return made
    faint = made.usable & below(made.scalars[f"{reading.name}_sig_to_noise"], least)
    reasons = {**made.reasons, RejectReason.BELOW_LEAST_SIG_TO_NOISE: faint}
    return replace(made, usable=made.usable & ~faint, reasons=reasons)


def _convert_lines(
    reading: Reading, spectrum: LineSpectrum, columns: Columns, settings: IngestSettings
) -> Converted:
    name, product = reading.name, reading.product
    flux, error = columns[product.flux], product.errors(columns)
    strange = np.zeros(len(flux), bool)
    if product.wavelength is None:
        spectra = lines.resample(flux, error, spectrum, settings.min_pixel_coverage)
    else:
        spectra, known = resample_own(
            flux, error, columns[product.wavelength], spectrum, settings.min_pixel_coverage
        )
        strange = ~known
    coverage = spectra.mask.mean(axis=1)
    usable = (coverage > 0) & (coverage >= settings.min_spectrum_coverage)
    empty = np.asarray(~np.isfinite(flux).any(axis=1))
    scalars = _sig_to_noise(reading, columns)
    if reading.own_noise and not scalars:
        scalars = {f"{name}_sig_to_noise": lines.sig_to_noise(spectra)}
    rule = spectrum.normalisation
    if isinstance(rule, CodeRule):
        scalars[f"{name}_normalisation"] = lines.class_by_code(columns[rule.code], rule)
    return Converted(
        rows={
            f"{name}_flux": spectra.flux,
            f"{name}_flux_error": spectra.flux_error,
            f"{name}_mask": spectra.mask,
        },
        scalars=scalars,
        usable=usable,
        reasons={
            RejectReason.ALL_NAN_SPECTRUM: empty,
            RejectReason.NO_WAVELENGTHS: strange & ~empty,
            RejectReason.NEGATIVE_OR_ZERO_ERRORS: ~usable & ~empty & ~strange,
        },
    )


def _convert_low_resolution(
    reading: Reading, spectrum: LowResolutionSpectrum, columns: Columns
) -> Converted:
    name, product = reading.name, reading.product
    if product.basis is None:
        spectra = low_resolution.SampledSpectra(
            columns[product.flux].astype(np.float64), columns[product.flux_error].astype(np.float64)
        )
    else:
        bands = {band: _coefficients(columns, band) for band in product.bands}
        spectra = low_resolution.sample_coefficients(bands, product.basis)
    scaled = low_resolution.scale_spectra(spectra, spectrum)
    finite = np.isfinite(spectra.flux)
    empty = np.asarray(~finite.any(axis=1))
    incomplete = np.asarray(~finite.all(axis=1))
    # Coefficients are there for a whole band or not at all: then every sample is missing.
    lacks_band = incomplete & ~empty if product.basis is None else incomplete
    errors = spectra.flux_error
    bad_errors = ~incomplete & ~np.asarray((np.isfinite(errors) & (errors > 0)).all(axis=1))
    return Converted(
        rows={f"{name}_flux": scaled.flux, f"{name}_flux_error": scaled.flux_error},
        scalars={f"{name}_flux_scale": scaled.scale, **_sig_to_noise(reading, columns)},
        usable=scaled.usable,
        reasons={
            RejectReason.BAND_MISSING: lacks_band,
            RejectReason.ALL_NAN_SPECTRUM: empty & ~lacks_band,
            RejectReason.NEGATIVE_OR_ZERO_ERRORS: bad_errors,
            RejectReason.NO_POSITIVE_FLUX: ~scaled.usable & ~incomplete & ~bad_errors,
        },
    )


def _coefficients(columns: Columns, band: str) -> low_resolution.Coefficients:
    return (
        columns[f"{band}_coefficients"],
        columns[f"{band}_coefficient_errors"],
        columns[f"{band}_coefficient_correlations"],
    )


def _sig_to_noise(reading: Reading, columns: Columns) -> dict[str, NDArray[Any]]:
    """Return the S/N that the spectrum's own table has, if that is where it comes from."""
    column = reading.spectrum.sig_to_noise
    if not reading.own_noise or column is None:
        return {}
    # Numbers beyond those of the feature are no S/N.
    with np.errstate(over="ignore"):
        values = columns[column].astype(np.float32)
    return {f"{reading.name}_sig_to_noise": np.where(np.isfinite(values), values, np.nan)}
