"""Make ``wide.npz`` from the grid of synthetic spectra: all of its window, at a higher resolution.

::

    python -m catalog_builder.builds.wide GRID_DIR OUT

``GRID_DIR`` holds ``rvs_grid.npz``, as for `catalog_builder.builds.emulator`. Other spectrographs
than Gaia's see more of the window, and some of them more sharply. Prints the held-out errors, which
are also kept in the file.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from catalog_builder.builds.emulator import RVS_METRIC, broadened_depths, read_grid
from catalog_builder.ground.errors import CatalogBuilderError, ConfigError
from catalog_builder.simulate.grid import rbf
from catalog_builder.simulate.grid.wide import Wide, save

#: The grid's own window, less what broadening loses at its ends.
WAVELENGTH = np.round(840.0 + 0.01 * np.arange(4051), 2)
RESOLVING_POWER, COMPONENTS = 20_000.0, 70
#: Folds in which held-out errors are measured: each takes a few seconds.
FOLDS = 5


def build(grid_dir: Path) -> Wide:
    """Fit the interpolant and measure it."""
    wavelength, flux, labels = read_grid(grid_dir / "rvs_grid.npz")
    depths = broadened_depths(wavelength, flux, WAVELENGTH, RESOLVING_POWER)
    made = Wide(WAVELENGTH, rbf.fit(RVS_METRIC, labels, depths, COMPONENTS), RESOLVING_POWER, {})
    rms = 100.0 * rbf.held_out_rms(RVS_METRIC, labels, depths, COMPONENTS, FOLDS)
    about: dict[str, object] = {
        "spectra": len(labels),
        "components": COMPONENTS,
        "folds": FOLDS,
        "held_out_rms_percent": np.percentile(rms, [50, 95]).round(4).tolist(),
    }
    print(about)
    return replace(made, about=about)


def main(arguments: list[str]) -> int:
    """Write the file; return the exit code."""
    if len(arguments) != 2:
        print("usage: python -m catalog_builder.builds.wide GRID_DIR OUT", file=sys.stderr)
        return ConfigError.exit_code
    grid_dir, out = map(Path, arguments)
    try:
        save(out, build(grid_dir))
    except CatalogBuilderError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{out}: {out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
