"""Add to ``instrument_dr3.npz`` what real XP spectra have and synthetic spectra do not.

::

    python -m catalog_builder.builds.response ARCHIVE INSTRUMENT

``ARCHIVE`` holds real sampled XP spectra in the archive's layout and an APOGEE label file. For
stars with labels, little dust and 5000-6500 K, the median ratio of the real to the emulated
spectrum is taken, after a free scale and extinction. It holds XP's systematic wiggles, the junction
of BP and RP and what the synthetic spectra get wrong in the near ultraviolet. Credit:
ESA/Gaia/DPAC; SDSS.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from astropy.io import fits
from numpy.typing import NDArray

from catalog_builder.ground.errors import CatalogBuilderError, ConfigError, InputError
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.population.galaxy import extinction_curve

Float = NDArray[np.float64]
TEFF_RANGE = (5000.0, 6500.0)
#: Stars with less than 0.2 mag of extinction in V, and good labels.
LARGEST_AK, SMALLEST_SNR = 0.02, 100.0
_LABEL_FILE = "apogee/allStar-dr17-synspec_rev1.fits"
_SPECTRA = "gdr3/Spectroscopy/xp_sampled_mean_spectrum/*.csv.gz"


def labelled_stars(archive: Path) -> tuple[NDArray[np.int64], Float]:
    """Ids (n,) and labels (n, 4) of stars with good labels and little dust, inside the grid."""
    path = archive / _LABEL_FILE
    if not path.is_file():
        raise InputError(f"{path} is not there.", "Give the root of an archive with labels.")
    table = fits.getdata(path, 1)
    # [Fe/H] stands for [M/H], which the file has for few stars.
    names = ("TEFF", "LOGG", "FE_H", "ALPHA_M")
    labels = np.column_stack([table[name] for name in names]).astype(np.float64)
    good = np.isfinite(labels).all(axis=1) & (table["SNR"] > SMALLEST_SNR)
    good &= (table["AK_TARG"] >= 0.0) & (table["AK_TARG"] < LARGEST_AK)
    good &= emulator.load().trusted(np.nan_to_num(labels))
    return table["GAIAEDR3_SOURCE_ID"][good].astype(np.int64), labels[good]


def real_spectra(archive: Path, wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], Float]:
    """Ids and sampled flux (m, 343) of those of the wanted stars that the archive has."""
    frames = [
        pl.read_csv(path, comment_prefix="#", null_values="null", columns=["source_id", "flux"])
        .filter(pl.col("source_id").is_in(wanted.tolist()))
        for path in sorted(archive.glob(_SPECTRA))
    ]  # fmt: skip
    if not frames:
        raise InputError(f"No {_SPECTRA} under {archive}.", "Give the root of an archive.")
    table = pl.concat(frames)
    numbers = table["flux"].str.strip_chars("[]").str.split(",").cast(pl.List(pl.Float64))
    return table["source_id"].to_numpy(), np.array(numbers.to_list())


def log_ratio(real: Float, emulated: Float, wavelength: Float) -> Float:
    """Ln of real / emulated (n, 343), after the best scale and extinction of each star."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.log(real / emulated)
    fitted = (wavelength >= 400.0) & (wavelength <= 1000.0)
    basis = np.column_stack([np.ones(len(wavelength)), extinction_curve(wavelength)])
    usable = np.isfinite(ratio[:, fitted]).all(axis=1)
    solution, *_ = np.linalg.lstsq(basis[fitted], ratio[usable][:, fitted].T, rcond=None)
    return np.asarray(ratio[usable] - (basis @ solution).T)


def response(archive: Path) -> Float:
    """Median ratio (343,) of real to emulated spectra."""
    source_id, labels = labelled_stars(archive)
    warm = (labels[:, 0] >= TEFF_RANGE[0]) & (labels[:, 0] <= TEFF_RANGE[1])
    source_id, labels = source_id[warm], labels[warm]
    found, real = real_spectra(archive, source_id)
    order = np.argsort(source_id)
    labels = labels[order[np.searchsorted(source_id[order], found)]]
    surface = np.exp(emulator.load().sed(labels).astype(np.float64))
    grid = emulator.load().sed_wavelength
    emulated = surface @ instrument.line_spread(float(grid[0]), len(grid))
    ratio = log_ratio(real, emulated, instrument.load().wavelength)
    print(f"{len(ratio)} stars")
    return np.asarray(np.exp(np.nanmedian(ratio, axis=0)))


def main(arguments: list[str]) -> int:
    """Rewrite the instrument file with the response in it; return the exit code."""
    if len(arguments) != 2:
        usage = "usage: python -m catalog_builder.builds.response ARCHIVE INSTRUMENT"
        print(usage, file=sys.stderr)
        return ConfigError.exit_code
    archive, path = map(Path, arguments)
    try:
        ratio = response(archive)
    except CatalogBuilderError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez_compressed(path, allow_pickle=False, **{**arrays, "response": ratio})
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
