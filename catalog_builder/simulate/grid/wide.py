"""Normalised spectra of the whole window of the synthetic grid, sharper than Gaia's.

Made by `catalog_builder.builds.wide` from the same grid as the emulator of Gaia's spectra, which
stays as it is: skies of Gaia do not change with what other spectrographs need.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog_builder.ground.errors import InputError
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.grid.rbf import Float, Interpolant

WIDE_FILE = Path(__file__).with_name("wide.npz")


@dataclass(frozen=True)
class Wide:
    """Synthetic spectra at any labels inside the grid.

    Parameters
    ----------
    wavelength : numpy.ndarray
        (w,) vacuum nm, equal steps.
    model : Interpolant
        1 - flux at the resolving power `resolution`.
    resolution : float
        Resolving power.
    about : dict
        Number of grid spectra and held-out errors.
    """

    wavelength: Float
    model: Interpolant
    resolution: float
    about: dict[str, object]

    def normalised(self, labels: Float) -> NDArray[np.float32]:
        """Return spectra (n, w), continuum 1, at rest, without rotation, of labels (n, 4).

        Raises
        ------
        InputError
            If a star is outside the grid.
        """
        return np.asarray(1.0 - self.model(emulator.load().checked(labels)), dtype=np.float32)


def save(path: Path, wide: Wide) -> None:
    """Write it as arrays and JSON text, nothing pickled."""
    model = wide.model
    text = json.dumps(
        {"metric": vars(model.metric), "resolution": wide.resolution, "about": wide.about},
        sort_keys=True,
    )
    np.savez_compressed(
        path,
        allow_pickle=False,
        wavelength=wide.wavelength,
        **model.arrays(),
        about=np.frombuffer(text.encode(), dtype=np.uint8),
    )


@functools.cache
def load(path: Path = WIDE_FILE) -> Wide:
    """Load the file shipped with the program, once per process.

    Raises
    ------
    InputError
        If it is missing.
    """
    if not path.is_file():
        raise InputError(
            f"The synthetic spectra {path} are missing.",
            "Make them with `python -m catalog_builder.builds.wide GRID_DIR OUT`.",
        )
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    text = json.loads(arrays["about"].tobytes().decode())
    model = Interpolant.of(text["metric"], arrays)
    return Wide(arrays["wavelength"], model, text["resolution"], text["about"])
