"""Test stars as measured, with the noise that they truly have."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.release import load_release
from catalog_builder.features.store import Block
from catalog_builder.simulate.instruments import observed
from catalog_builder.simulate.instruments import photometers as instrument
from tests.benchmarks.science.limit.forward import MAGNITUDES, RVS, WIDTH, Data, is_constant
from tests.benchmarks.science.sky import TestSky

Float = NDArray[np.float64]
_TABLE = "xp_continuous_mean_spectrum"


def measured(sky: TestSky, release: str, truth: pl.DataFrame) -> Iterator[tuple[int, Data]]:
    """Yield (source_id, data) of the stars in `truth`, which have all four inputs.

    Parameters
    ----------
    truth : polars.DataFrame
        Sorted by source_id. Of it only the noise level of the photometry is taken.
    """
    ids = truth["source_id"].to_numpy()
    coefficients = dict(_coefficients(sky, release, ids))
    levels = dict(zip(ids.tolist(), _transits(truth).tolist(), strict=True))
    for block in sky.read(ids):
        for row, source in enumerate(block["source_id"].tolist()):
            if source in coefficients:
                yield source, _data(block, row, coefficients[source], levels[source])


def _data(block: Block, row: int, xp: tuple[Float, Float, Float], transits: float) -> Data:
    values = np.zeros(WIDTH)
    values[RVS] = block["rvs_flux"][row]
    values[RVS.stop : MAGNITUDES.start] = xp[0]
    magnitudes = np.array([block[f"phot_{band}_mean_mag"][row] for band in ("g", "bp", "rp")])
    values[MAGNITUDES] = magnitudes
    # Floors and photon noise of `simulate.observed`.
    floor, photons = np.array([0.002, 0.004, 0.004]), np.array([3e-4, 2e-3, 1.5e-3])
    error = np.hypot(floor, photons * 10.0 ** (0.2 * (magnitudes - 14.0))) / np.sqrt(transits)
    parallax = float(block["parallax_corrected"][row])
    return Data(
        values=values,
        pixels=usable(np.asarray(block["rvs_mask"][row]), values[RVS]),
        sig_to_noise=float(block["rvs_spec_sig_to_noise"][row]),
        constant_class=is_constant(int(block["rvs_normalisation"][row])),
        xp_error=xp[1],
        independent=xp[2],
        magnitude_error=error,
        parallax=parallax if np.isfinite(parallax) else float(block["parallax"][row]),
        parallax_error=float(block["parallax_error"][row]),
    )


def usable(mask: NDArray[np.bool_], flux: Float) -> slice:
    """Pixels between the empty or spiky edges; the last and the first beside them are partial."""
    good = np.flatnonzero(mask & (flux < 2.0))
    first, last = int(good[0]), int(good[-1])
    return slice(first + (first > 0), last + 1 - (last < len(mask) - 1))


def _transits(truth: pl.DataFrame) -> Float:
    """Transits in units of the typical number, from S/N and G_RVS."""
    sn = truth["rvs_spec_sig_to_noise"].to_numpy()
    magnitude = truth["grvs_mag"].to_numpy()
    typical = observed._SIG_TO_NOISE_12 * 10.0 ** (
        observed._SIG_TO_NOISE_SLOPE * (magnitude - 12.0)
    )
    return np.asarray((sn / typical) ** 2)


def _coefficients(
    sky: TestSky, release: str, ids: NDArray[np.int64]
) -> Iterator[tuple[int, tuple[Float, Float, Float]]]:
    """Yield (source_id, (coefficients, errors, uncorrelated share of BP and RP))."""
    spec = load_release(release)
    names = [
        f"{band}_{what}"
        for band in instrument.BANDS
        for what in ("coefficients", "coefficient_errors", "coefficient_correlations")
    ]
    means = [_mean_correlation(band) for band in instrument.BANDS]
    for partition in list_partitions(str(sky.archive), spec, ()):
        if _TABLE not in partition.files:
            continue
        for block in read_blocks(partition.files[_TABLE][0], _TABLE, spec, columns=names):
            wanted = np.flatnonzero(np.isin(block.columns["source_id"], ids))
            columns = {name: block.columns[name][wanted].astype(np.float64) for name in names}
            shares = np.stack(
                [
                    1.0 - columns[f"{band}_coefficient_correlations"] @ mean / (mean @ mean)
                    for band, mean in zip(instrument.BANDS, means, strict=True)
                ],
                axis=1,
            )
            values, errors = (
                np.hstack([columns[f"{band}_{what}"] for band in instrument.BANDS])
                for what in ("coefficients", "coefficient_errors")
            )
            sources = block.columns["source_id"][wanted].tolist()
            yield from zip(sources, zip(values, errors, shares, strict=True), strict=True)


def _mean_correlation(band: instrument.Band) -> Float:
    table: instrument.XpBand = getattr(instrument.load(), band)
    rows, columns = np.tril_indices(len(table.correlation), k=-1)
    return np.asarray((table.correlation @ table.correlation.T)[rows, columns])
