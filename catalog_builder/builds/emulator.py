"""Make ``emulator.npz`` from grids of synthetic spectra.

::

    python -m catalog_builder.builds.emulator GRID_DIR OUT

``GRID_DIR`` holds ``rvs_grid.npz`` (``wave`` vacuum nm, ``flux`` normalised, ``labels``) and
``sed_grid.npz`` (``flux``: surface flux density); labels are Teff, log g, [M/H], [alpha/M] and
microturbulence. Prints the held-out errors, which are also kept in the file.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from catalog_builder.ground.errors import CatalogBuilderError, ConfigError, InputError
from catalog_builder.simulate.grid import rbf
from catalog_builder.simulate.grid.emulator import LOWER, UPPER, Emulator, log_planck, save
from catalog_builder.simulate.grid.line_profiles import SPEED_OF_LIGHT, convolve_velocity
from catalog_builder.simulate.grid.microturbulence import microturbulence
from catalog_builder.simulate.grid.rbf import Float, Metric

RESOLVING_POWER = 11500.0
#: Window of the emulator: the archive's 846-870 nm and room for a shift of 400 km/s.
RVS_WAVELENGTH = np.round(844.5 + 0.01 * np.arange(2701), 2)
N_RVS, N_SED = 60, 150
#: Held-out errors are measured in this many folds, or leaving one out of a grid below
#: `LEAVE_ONE_OUT`: the smaller the grid, the more a fold's worth of spectra is missed.
FOLDS = 100
LEAVE_ONE_OUT = 500
#: Warm stars, quoted apart: below, molecular bands dominate the errors.
WARM = 4300.0

# Found by a random search for the smallest leave-one-out errors (median and 95th percentile).
RVS_METRIC = Metric(
    kernel="quintic",
    cool_stretch=0.881,
    cool_onset=1.15,
    cool_width=0.05,
    metallicity_scale=0.207,
    ridge=-7.657,
    matrix=(
        *(0.767, 0.684, 0.096, 0.183, -0.315, 0.366, 0.115, -0.102),
        *(0.071, -1.37, -0.297, 0.2, 0.417, 0.245, -0.732),
    ),
)
SED_METRIC = Metric(
    kernel="cubic",
    cool_stretch=-0.026,
    cool_onset=1.677,
    cool_width=0.044,
    metallicity_scale=-0.014,
    ridge=-6.608,
    matrix=(
        *(1.157, 0.531, -0.061, 0.349, -0.367, -0.023, 0.018, -0.057),
        *(0.129, -1.701, 0.059, 0.067, 0.439, 0.172, -1.282),
    ),
)


def read_grid(path: Path) -> tuple[Float, Float, Float]:
    """Return wavelength (w,), flux (n, w) and labels (n, 5) of a grid file."""
    try:
        with np.load(path, allow_pickle=False) as grid:
            return tuple(grid[name].astype(np.float64) for name in ("wave", "flux", "labels"))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is not a grid of spectra: {error}.",
            "It must be an .npz file with `wave`, `flux` and `labels`.",
        ) from error


def rvs_depths(wavelength: Float, flux: Float) -> Float:
    """Line depths (n, 2701) at R = 11 500 on `RVS_WAVELENGTH`."""
    return broadened_depths(wavelength, flux, RVS_WAVELENGTH, RESOLVING_POWER)


def broadened_depths(wavelength: Float, flux: Float, samples: Float, resolution: float) -> Float:
    """Line depths (n, s) of spectra (n, w) at a resolving power, at samples [vacuum nm]."""
    # Equal steps of ln(wavelength) make the line spread function the same everywhere.
    step = 0.003 / wavelength.mean()
    grid = np.arange(np.log(wavelength[0]), np.log(wavelength[-1]), step)
    fwhm = SPEED_OF_LIGHT / resolution
    depths = np.empty((len(flux), len(samples)))
    for row, spectrum in enumerate(flux):
        depth = np.interp(grid, np.log(wavelength), 1.0 - spectrum)
        sharp = convolve_velocity(depth[None], step, gaussian=np.array([fwhm / 2.3548]))
        depths[row] = np.interp(np.log(samples), grid, sharp[0])
    return depths


def held_out(name: str, metric: Metric, labels: Float, spectra: Float, k: int) -> dict[str, object]:
    """Measure one interpolant on held-out spectra: rms in per cent, median and 95th percentile."""
    folded = labels.copy()
    folded[:, 4] = microturbulence(labels[:, :4])
    folds = len(labels) if len(labels) < LEAVE_ONE_OUT else FOLDS
    rms = 100.0 * rbf.held_out_rms(metric, labels, spectra, k, folds)
    groups = {
        "held_out_rms_percent": np.ones(len(labels), dtype=bool),
        # Stars within the limits that the emulator accepts: the rest lies at the grid's edges.
        "held_out_rms_percent_trusted": np.all(
            (labels[:, :4] >= LOWER) & (labels[:, :4] <= UPPER), axis=1
        ),
        "held_out_rms_percent_warm": labels[:, 0] > WARM,
    }
    result: dict[str, object] = {
        "spectra": len(labels),
        "components": k,
        "folds": folds,
        **{
            name: np.percentile(rms[group], [50, 95]).round(4).tolist()
            for name, group in groups.items()
        },
        "microturbulence_rms": float(np.std(folded[:, 4] - labels[:, 4]).round(3)),
    }
    print(name, result)
    return result


def build(grid_dir: Path) -> Emulator:
    """Fit both interpolants and measure them."""
    wavelength, flux, rvs_labels = read_grid(grid_dir / "rvs_grid.npz")
    depths = rvs_depths(wavelength, flux)
    sed_wavelength, sed_flux, sed_labels = read_grid(grid_dir / "sed_grid.npz")
    shapes = np.log(sed_flux) - log_planck(sed_wavelength, sed_labels[:, 0])

    published = (RVS_WAVELENGTH >= 846.0) & (RVS_WAVELENGTH <= 870.0)
    about: dict[str, object] = {
        "rvs": held_out("RVS", RVS_METRIC, rvs_labels, depths[:, published], N_RVS),
        "sed": held_out("SED", SED_METRIC, sed_labels, shapes, N_SED),
    }
    emulator = Emulator(
        rvs_wavelength=RVS_WAVELENGTH,
        sed_wavelength=sed_wavelength,
        rvs_model=rbf.fit(RVS_METRIC, rvs_labels, depths, N_RVS),
        sed_model=rbf.fit(SED_METRIC, sed_labels, shapes, N_SED),
        kiel_nodes=rvs_labels[:, :2],
        about=about,
    )
    return replace(emulator, about={**about, "resolving_power": RESOLVING_POWER})


def main(arguments: list[str]) -> int:
    """Write the file; return the exit code."""
    if len(arguments) != 2:
        print("usage: python -m catalog_builder.builds.emulator GRID_DIR OUT", file=sys.stderr)
        return ConfigError.exit_code
    grid_dir, out = map(Path, arguments)
    try:
        emulator = build(grid_dir)
    except CatalogBuilderError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    save(out, emulator)
    print(f"{out}: {out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
