"""The coefficients of a later release's XP spectra: fewer, in a basis of their own.

The simulated instrument is DR3's. Its coefficients are turned so that the first ones carry most of
the flux, and the last ones of BP are left out: what is lost is below a thousandth of the noise.
"""

from __future__ import annotations

import functools
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments import xp

Float = NDArray[np.float64]

#: Coefficients of each band (GaiaXPy issue 114, of a file of DR4).
COUNTS: Final[dict[instrument.Band, int]] = {"bp": 51, "rp": 55}
#: Where the matrices lie in a simulated archive.
FILE: Final = "xp_matrices.npz"


@dataclass(frozen=True)
class Basis:
    """Matrices of one band.

    Parameters
    ----------
    turn : numpy.ndarray
        (55, k) from coefficients of the older release.
    matrix : numpy.ndarray
        (k, 343) to samples, W m-2 nm-1.
    """

    turn: Float
    matrix: Float


@functools.cache
def bases() -> dict[instrument.Band, Basis]:
    """Return the matrices of each band, once per process."""
    # As in the partitions: last digits depend on the number of threads.
    with threadpool_limits(limits=1):
        return {band: _basis(band, count) for band, count in COUNTS.items()}


def _basis(band: instrument.Band, count: int) -> Basis:
    with np.load(_of_dr3(), allow_pickle=False) as file:
        matrix = file[band]
    turn = np.linalg.svd(matrix, full_matrices=False)[0][:, :count]
    # The sign of a direction is anybody's choice: the samples that it adds to are positive in sum.
    turn = turn * np.where((turn.T @ matrix).sum(axis=1) < 0.0, -1.0, 1.0)
    return Basis(turn, turn.T @ matrix)


def _of_dr3() -> Path:
    from catalog_builder import features

    return Path(str(features.__file__)).with_name(f"{xp.BASIS}.npz")


def write_matrices(folder: Path) -> str:
    """Write the matrices into a folder as the features take them; return the file's sha256."""
    content = io.BytesIO()
    arrays = {band: basis.matrix for band, basis in bases().items()}
    # Without `allow_pickle`, of which NumPy before 2.2 makes an array: numbers are not pickled.
    np.savez(content, wavelength=instrument.load().wavelength, **arrays)  # type: ignore[arg-type]
    (folder / FILE).write_bytes(content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()
