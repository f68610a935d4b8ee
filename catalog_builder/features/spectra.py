"""Rows of a spectra table become spectra on the model's grids, or have a reason not to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName
from catalog_builder.config import IngestSettings
from catalog_builder.errors import ConfigError
from catalog_builder.features import rvs, xp

Columns = Mapping[str, NDArray[Any]]
Bools = NDArray[np.bool_]

RVS: TableName = "rvs_mean_spectrum"
XP_CONTINUOUS: TableName = "xp_continuous_mean_spectrum"
XP_SAMPLED: TableName = "xp_sampled_mean_spectrum"

#: Spectra tables and what they hold, in the order they are read: where a source has both XP
#: products, the coefficients count, for they exist for every source with XP.
SPECTRA_TABLES: tuple[tuple[TableName, str], ...] = (
    (RVS, "rvs"),
    (XP_CONTINUOUS, "xp"),
    (XP_SAMPLED, "xp"),
)

#: Columns of the source table that say who has a row in these tables.
ANNOUNCED_BY: dict[TableName, str] = {
    RVS: "has_rvs",
    XP_CONTINUOUS: "has_xp_continuous",
    XP_SAMPLED: "has_xp_sampled",
}


@dataclass(frozen=True)
class Converted:
    """Spectra of n rows.

    Attributes
    ----------
    rows : dict of str to ndarray of shape (n, samples)
        Arrays of the feature store.
    usable : ndarray of bool, shape (n,)
        Which rows are to be kept.
    reasons : dict of RejectReason to ndarray of bool, shape (n,)
        Why the others are not; each unusable row has exactly one reason.
    scale : ndarray of float32, shape (n,), or None
        The XP flux scale.
    """

    rows: dict[str, NDArray[Any]]
    usable: Bools
    reasons: dict[RejectReason, Bools]
    scale: NDArray[np.float32] | None = None


def convert(
    table: TableName, columns: Columns, release: ReleaseSpec, settings: IngestSettings
) -> Converted:
    """Bring the rows of one of :data:`SPECTRA_TABLES` to the model's grids.

    Raises
    ------
    ConfigError
        If the release description lacks what the table needs.
    """
    if table == RVS:
        return _convert_rvs(columns, release, settings)
    return _convert_xp(table, columns, release, settings)


def _convert_rvs(columns: Columns, release: ReleaseSpec, settings: IngestSettings) -> Converted:
    if release.rvs is None:
        raise ConfigError(
            f"Release {release.name} has RVS spectra but describes no grid for them.",
            "Add `rvs` to the release description.",
        )
    flux = columns["flux"]
    spectra = rvs.resample(
        flux, columns["flux_error"], release.rvs.grid, settings.min_pixel_coverage
    )
    coverage = spectra.mask.mean(axis=1)
    usable = (coverage > 0) & (coverage >= settings.min_spectrum_coverage)
    empty = np.asarray(~np.isfinite(flux).any(axis=1))
    return Converted(
        rows={
            "rvs_flux": spectra.flux,
            "rvs_flux_error": spectra.flux_error,
            "rvs_mask": spectra.mask,
        },
        usable=usable,
        reasons={
            RejectReason.ALL_NAN_SPECTRUM: empty,
            RejectReason.NEGATIVE_OR_ZERO_ERRORS: ~usable & ~empty,
        },
    )


def _convert_xp(
    table: TableName, columns: Columns, release: ReleaseSpec, settings: IngestSettings
) -> Converted:
    if table == XP_SAMPLED:
        spectra = xp.SampledSpectra(
            columns["flux"].astype(np.float64), columns["flux_error"].astype(np.float64)
        )
    else:
        spectra = _sample_continuous(columns, release)
    scaled = xp.scale_spectra(spectra, settings.xp_scale_window)
    finite = np.isfinite(spectra.flux)
    empty = np.asarray(~finite.any(axis=1))
    incomplete = np.asarray(~finite.all(axis=1))
    # Coefficients are there for a whole band or not at all: then every sample is missing.
    lacks_band = incomplete if table == XP_CONTINUOUS else incomplete & ~empty
    errors = spectra.flux_error
    bad_errors = ~incomplete & ~np.asarray((np.isfinite(errors) & (errors > 0)).all(axis=1))
    return Converted(
        rows={"xp_flux": scaled.flux, "xp_flux_error": scaled.flux_error},
        usable=scaled.usable,
        reasons={
            RejectReason.XP_BAND_MISSING: lacks_band,
            RejectReason.ALL_NAN_SPECTRUM: empty & ~lacks_band,
            RejectReason.NEGATIVE_OR_ZERO_ERRORS: bad_errors,
            RejectReason.NO_POSITIVE_FLUX: ~scaled.usable & ~incomplete & ~bad_errors,
        },
        scale=scaled.scale,
    )


def _sample_continuous(columns: Columns, release: ReleaseSpec) -> xp.SampledSpectra:
    basis = (
        None if release.xp is None or release.xp.continuous is None else release.xp.continuous.basis
    )
    if basis is None:
        raise ConfigError(
            f"Release {release.name} has XP coefficients but names no basis for them.",
            "Add `xp.continuous` to the release description.",
        )
    bp, rp = (
        (
            columns[f"{band}_coefficients"],
            columns[f"{band}_coefficient_errors"],
            columns[f"{band}_coefficient_correlations"],
        )
        for band in ("bp", "rp")
    )
    return xp.sample_continuous(bp, rp, basis)
