"""The emulator: normalised RVS spectra and spectral energy distributions from stellar labels.

Made by `catalog_builder.builds.emulator` from grids of synthetic spectra (LTE, plane
parallel; Turbospectrum with the Gaia-ESO line list). The file is plain arrays.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog_builder.ground.errors import InputError
from catalog_builder.simulate.grid.microturbulence import microturbulence
from catalog_builder.simulate.grid.rbf import Float, Interpolant

EMULATOR_FILE = Path(__file__).with_name("emulator.npz")

#: Limits inside which the grid is dense enough: Teff [K], log g, [M/H], [alpha/M].
LOWER = np.array([3550.0, 0.1, -2.55, -0.12])
UPPER = np.array([7480.0, 5.0, 0.55, 0.43])
#: Farthest that a star may be from its nearest grid spectrum in the Kiel plane, in units of
#: (`_KIEL_SCALE`): beyond, the grid has a hole (the cool subgiants) or an edge (the hot giants).
_KIEL_SCALE = np.array([250.0, 0.35])
_KIEL_REACH = 1.2


@dataclass(frozen=True)
class Emulator:
    """Synthetic spectra at any labels inside the grid.

    Parameters
    ----------
    rvs_wavelength : numpy.ndarray
        (r,) vacuum nm, step 0.01, wider than the archive's window so that it can be shifted.
    sed_wavelength : numpy.ndarray
        (s,) vacuum nm, step 1.
    rvs_model, sed_model : Interpolant
        1 - flux at R = 11 500, and ln(surface flux density / Planck function).
    kiel_nodes : numpy.ndarray
        (m, 2) Teff and log g of the RVS grid.
    about : dict
        How the file was made: number of grid spectra and held-out errors.
    """

    rvs_wavelength: Float
    sed_wavelength: Float
    rvs_model: Interpolant
    sed_model: Interpolant
    kiel_nodes: Float
    about: dict[str, object]

    def trusted(self, labels: Float) -> NDArray[np.bool_]:
        """Whether each star of (n, 4) Teff, log g, [M/H], [alpha/M] is inside the grid."""
        inside = np.all((labels >= LOWER) & (labels <= UPPER), axis=1)
        at = labels[:, :2] / _KIEL_SCALE
        nodes = self.kiel_nodes / _KIEL_SCALE
        squared = np.sum(at**2, axis=1)[:, None] + np.sum(nodes**2, axis=1) - 2 * at @ nodes.T
        return np.asarray(inside & (squared.min(axis=1) <= _KIEL_REACH**2))

    def rvs(self, labels: Float) -> NDArray[np.float32]:
        """Return normalised RVS spectra at R = 11 500, rest frame, without rotation.

        Parameters
        ----------
        labels : numpy.ndarray
            (n, 4) Teff [K], log g, [M/H], [alpha/M].

        Returns
        -------
        numpy.ndarray
            (n, r) float32 flux, continuum 1.

        Raises
        ------
        InputError
            If a star is outside the grid.
        """
        return np.asarray(1.0 - self.rvs_model(self.checked(labels)))

    def sed(self, labels: Float) -> NDArray[np.float32]:
        """Return ln of the surface flux density (n, s) on the grid's arbitrary common scale."""
        five = self.checked(labels)
        shape = self.sed_model(five)
        return np.asarray(shape + log_planck(self.sed_wavelength, five[:, 0]), dtype=np.float32)

    def checked(self, labels: Float) -> Float:
        """Return labels (n, 4) with their microturbulence, (n, 5).

        Raises
        ------
        InputError
            If a star is outside the grid.
        """
        outside = ~self.trusted(labels)
        if np.any(outside):
            star = labels[np.argmax(outside)]
            raise InputError(
                f"{np.count_nonzero(outside)} of {len(labels)} stars are outside the grid of "
                f"synthetic spectra, such as Teff {star[0]:.0f} K, log g {star[1]:.2f}, "
                f"[M/H] {star[2]:+.2f}, [alpha/M] {star[3]:+.2f}.",
                f"Stay within {LOWER.tolist()} and {UPPER.tolist()}, and off the cool subgiants "
                "(Emulator.trusted tells).",
            )
        return np.column_stack([labels, microturbulence(labels)])


def log_planck(wavelength: Float, teff: Float) -> Float:
    """Ln of the Planck function (n, w), up to a constant; wavelength in nm, Teff in K."""
    # Second radiation constant h c / k = 1.4388e7 nm K (CODATA).
    exponent = 1.4388e7 / (wavelength[None, :] * teff[:, None])
    return np.asarray(-5.0 * np.log(wavelength) - np.log(np.expm1(exponent)))


def save(path: Path, emulator: Emulator) -> None:
    """Write an emulator as arrays and JSON text, nothing pickled."""
    arrays: dict[str, NDArray[np.generic]] = {
        "rvs_wavelength": emulator.rvs_wavelength,
        "sed_wavelength": emulator.sed_wavelength,
        "kiel_nodes": emulator.kiel_nodes,
    }
    metrics = {}
    for name, model in (("rvs", emulator.rvs_model), ("sed", emulator.sed_model)):
        metrics[name] = vars(model.metric)
        arrays |= model.arrays(f"{name}_")
    about = json.dumps({"metrics": metrics, "about": emulator.about}, sort_keys=True)
    arrays["about"] = np.frombuffer(about.encode(), dtype=np.uint8)
    np.savez_compressed(path, allow_pickle=False, **arrays)


@functools.cache
def load(path: Path = EMULATOR_FILE) -> Emulator:
    """Load the emulator shipped with the program, once per process.

    Raises
    ------
    InputError
        If the file is missing.
    """
    if not path.is_file():
        raise InputError(
            f"The emulator {path} is missing.",
            "Make it with `python -m catalog_builder.builds.emulator GRID_DIR OUT`.",
        )
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    text = json.loads(arrays["about"].tobytes().decode())
    models = {
        name: Interpolant.of(text["metrics"][name], arrays, f"{name}_") for name in ("rvs", "sed")
    }
    return Emulator(
        rvs_wavelength=arrays["rvs_wavelength"],
        sed_wavelength=arrays["sed_wavelength"],
        rvs_model=models["rvs"],
        sed_model=models["sed"],
        kiel_nodes=arrays["kiel_nodes"],
        about=text["about"],
    )
