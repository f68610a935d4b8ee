"""Make ``instrument_dr3.npz``: how a spectrum becomes XP coefficients, with what errors.

Run again with GaiaXPy installed (it is no dependency of the product) and a folder of real DR3
coefficients: ``chunk0.fits`` (coefficients and errors of some thousand sources) and ``*.vot`` (a
few sources with correlations)::

    python -m catalog_builder.builds.instrument FOLDER OUT

The inverse of the calibration is not published, so each band's coefficients are found by least
squares against the sampled spectrum, held back by the spread that the coefficients of real stars
have. Credit: ESA/Gaia/DPAC.
"""

from __future__ import annotations

import importlib
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from catalog_builder.builds.xp_matrix import BP_MODEL, RP_MODEL, xp_matrices
from catalog_builder.ground.errors import CatalogBuilderError, ConfigError, InputError

Float = NDArray[np.float64]
N_COEFFICIENTS = 55
#: Edges of the bins in log10 of the first coefficient, within which errors are averaged.
_KNOT_EDGES = np.array([1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0])
#: Coefficients brighter than this are used for the spread, where noise does not dominate.
_BRIGHT = 1000.0
#: Relative accuracy asked of the fit, in units of the mean flux of the band.
_FIT_ERROR = 0.004
#: A source with a coefficient this many robust standard deviations from the median is left out.
_ODD = 6.0
#: Combinations of coefficients that real stars hardly use get this amplitude, relative to
#: the first.
_SMALLEST = 2e-4


def read_coefficients(path: Path, band: str) -> tuple[Float, Float]:
    """Return coefficients and errors, each (n, 55), of one band."""
    if not path.is_file():
        raise InputError(f"{path} is not there.", "Give the folder with real XP coefficients.")
    table = Table.read(path)
    columns = range(N_COEFFICIENTS)
    values = np.column_stack([table[f"{band}_coeff_{i}"] for i in columns])
    errors = np.column_stack([table[f"e_{band}_coeff_{i}"] for i in columns])
    return values.astype(np.float64), errors.astype(np.float64)


def inverse(matrix: Float, values: Float, errors: Float, factor: Float) -> Float:
    """Matrix (343, 55) from sampled flux to coefficients: the linear estimate of least variance.

    Parameters
    ----------
    matrix : numpy.ndarray
        (55, 343) sampled flux per unit coefficient, without merge weights; zero where the band
        does not contribute.
    values, errors : numpy.ndarray
        (n, 55) coefficients of real stars. Their second moments say what the samples do not: which
        combinations of coefficients stars have.
    factor : numpy.ndarray
        (55, 55) Cholesky factor of the correlations of the errors.
    """
    inside = np.any(matrix != 0.0, axis=0)
    used = matrix[:, inside]
    bright = ordinary_stars(values)
    mean_flux = np.mean(values[bright] @ used, axis=1)
    moments = _second_moments(values[bright] / mean_flux[:, None])
    noise = errors[bright] / mean_flux[:, None]
    moments -= _second_moments(noise) * (factor @ factor.T)
    power, directions = np.linalg.eigh(moments)
    power = np.maximum(power, (_SMALLEST * np.sqrt(moments[0, 0])) ** 2)
    prior = (directions * power) @ directions.T
    # White noise of the coefficients reaches the samples as the norm of the columns.
    sample_error = np.linalg.norm(used, axis=0)
    sample_error *= _FIT_ERROR / np.median(sample_error)
    covariance = used.T @ prior @ used + np.diag(sample_error**2)
    result = np.zeros((matrix.shape[1], N_COEFFICIENTS))
    result[inside] = np.linalg.solve(covariance, used.T @ prior)
    return result


def ordinary_stars(values: Float) -> NDArray[np.int64]:
    """Rows of bright sources whose spectra are not odd: white dwarfs and quasars rule moments."""
    rows = np.flatnonzero(values[:, 0] > _BRIGHT)
    ratio = values[rows] / values[rows, :1]
    deviation = np.abs(ratio - np.median(ratio, axis=0))
    spread = 1.4826 * np.median(deviation, axis=0)
    return rows[np.all(deviation[:, 1:] < _ODD * spread[1:], axis=1)]


def _second_moments(vectors: Float) -> Float:
    return np.asarray(vectors.T @ vectors / len(vectors))


def error_table(values: Float, errors: Float) -> tuple[Float, Float]:
    """Median log10 error (k, 55) at knots (k,) of log10 of the first coefficient."""
    brightness = np.log10(np.maximum(values[:, 0], 1.0))
    knots, rows = [], []
    for low, high in pairwise(_KNOT_EDGES):
        inside = (brightness > low) & (brightness <= high)
        if np.count_nonzero(inside) < 10:
            continue
        knots.append(np.median(brightness[inside]))
        rows.append(np.median(np.log10(errors[inside]), axis=0))
    return np.array(knots), np.array(rows)


def correlation_factor(paths: list[Path], band: str) -> Float:
    """Cholesky factor (55, 55) of the mean correlation matrix of a few real sources."""
    matrices = []
    rows, columns = np.tril_indices(N_COEFFICIENTS, k=-1)
    for path in paths:
        for triangle in Table.read(path)[f"{band}_coefficient_correlations"]:
            if np.size(triangle) != len(rows):
                continue
            full = np.eye(N_COEFFICIENTS)
            full[rows, columns] = full[columns, rows] = np.asarray(triangle, dtype=np.float64)
            matrices.append(full)
    if not matrices:
        raise InputError(f"No {band} correlations in {[str(p) for p in paths]}.", "Give *.vot.")
    return np.asarray(np.linalg.cholesky(np.mean(matrices, axis=0)))


def passbands(to_bp: Float, to_rp: Float) -> tuple[Float, Float]:
    """Passbands G, BP, RP (343, 3) as weights of the sampled flux, and their zero points (3,).

    DR3's synthetic photometry is linear in the coefficients (GaiaXPy, system GaiaDr3Vega: Gaia
    Collaboration, Montegriffo et al. 2023, A&A 674, A33); with the inverse it is linear in flux.
    """
    config = importlib.import_module("gaiaxpy.core.config")
    systems = importlib.import_module("gaiaxpy.generator.photometric_system")

    models = {"bp_model": BP_MODEL, "rp_model": RP_MODEL}
    _, merge = config.load_xpmerge_from_xml(system="GaiaDr3Vega", **models)
    sampling = config.load_xpsampling_from_xml(system="GaiaDr3Vega", **models)
    bands = {band: np.asarray(sampling[band]) * np.asarray(merge[band]) for band in ("bp", "rp")}
    zero_points = systems.PhotometricSystem.Gaia_DR3_Vega.get_zero_points()
    return to_bp @ bands["bp"] + to_rp @ bands["rp"], np.asarray(zero_points, dtype=np.float64)


def build(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the file; `simulate.instruments.photometers` says what for."""
    tables = xp_matrices()
    wavelength = tables["wavelength"]
    out: dict[str, np.ndarray] = {"wavelength": wavelength}
    correlated = sorted(folder.glob("*.vot"))
    for band in ("bp", "rp"):
        weight = tables[f"{band}_weight"]
        # Where the merge weight is zero, so is the matrix: the fit does not look there.
        matrix = np.divide(
            tables[band], weight, out=np.zeros_like(tables[band]), where=weight > 0.0
        )
        values, errors = read_coefficients(folder / "chunk0.fits", band)
        factor = correlation_factor(correlated, band)
        out[f"{band}_inverse"] = inverse(matrix, values, errors, factor)
        out[f"{band}_error_knots"], out[f"{band}_log_error"] = error_table(values, errors)
        out[f"{band}_correlation"] = factor
    out["response"] = np.ones(len(wavelength))  # see `builds.response`
    out["passbands"], out["zero_points"] = passbands(out["bp_inverse"], out["rp_inverse"])
    return out


def main(arguments: list[str]) -> int:
    """Write the file; return the exit code."""
    if len(arguments) != 2:
        print("usage: python -m catalog_builder.builds.instrument FOLDER OUT", file=sys.stderr)
        return ConfigError.exit_code
    folder, out = map(Path, arguments)
    try:
        arrays = build(folder)
    except CatalogBuilderError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    np.savez_compressed(out, allow_pickle=False, **arrays)
    print(f"{out}: {out.stat().st_size} bytes, " + ", ".join(map(str, arrays)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
