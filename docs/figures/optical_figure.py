"""Draw the nine real optical spectra, read and normalised as HR10 has them.

``python docs/figures/optical_figure.py FOLDER OUT``; FOLDER has the FITS images of Gaia FGK
benchmark stars at R = 47 000.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

from catalog_builder.archive.release import load_release
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.features.own_grid import OwnSamples, resample_own
from catalog_builder.labelling.files import read_tables

mpl.use("Agg")
import matplotlib.pyplot as plt


def main(folder: Path, out: Path) -> None:
    """Draw one spectrum above the other."""
    content = load_release("ges-giraffe").spectra["hr10"].model_dump()
    content["steps"] = [
        {"step": "continuum", "method": "clipped_chebyshev", "degree": 4, "below": 0.8}
    ]
    spectrum = LineSpectrum.model_validate(content)
    grid = spectrum.model_grid.nanometres()
    figure, axes = plt.subplots(figsize=(11, 10), layout="constrained")
    for place, file in enumerate(sorted(folder.glob("*.fits"))):
        table = read_tables(file)[0].table
        near = (table["wavelength"] > 531.0) & (table["wavelength"] < 564.0)
        flux = np.asarray(table["flux"][near], float)
        own = OwnSamples(
            np.asarray(table["wavelength"][near], float),
            flux,
            np.full(flux.shape, 0.01 * np.median(flux)),
            "air",
            resolution=47_000.0,
        )
        made = resample_own(own, spectrum, 0.5)
        shown = np.where(made.mask[0], made.flux[0], np.nan) - place
        axes.plot(grid, shown, lw=0.6, color="C0")
        axes.axhline(1.0 - place, lw=0.5, color="0.7", zorder=0)
        name = file.stem.removesuffix("_47000").removeprefix("iraf_")
        axes.text(grid[0], 1.05 - place, name, fontsize=8)
    axes.set(xlabel="wavelength in vacuum [nm]", ylabel="normalised flux, shifted", yticks=[])
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
