"""The strongest axes of spectra with more samples than there are spectra."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

#: Samples up to which all axes of all samples are found at once: it takes their third power.
_MANY_SAMPLES: Final = 2_000


def is_wide(rows: Tensor) -> bool:
    """Tell whether rows, (n, samples), are few and so long that `strongest_of_wide` is faster."""
    return rows.shape[1] > max(len(rows), _MANY_SAMPLES)


def strongest_of_wide(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the greatest eigenvalues of ``rows.mT @ rows``, and orthonormal eigenvectors.

    Parameters
    ----------
    rows : Tensor
        (n, samples), more samples than rows. Their products with each other have the same
        eigenvalues, and are n by n.
    count : int
        How many; beyond n the eigenvalues are 0.

    Returns
    -------
    values : Tensor
        (count,), rising.
    vectors : Tensor
        (samples, count).
    """
    n, samples = rows.shape
    found = min(count, n)
    values, left = torch.linalg.eigh(rows @ rows.mT)
    # In falling order, so that what is hardly more than rounding does not tilt the others.
    strongest = (rows.mT @ left[:, -found:]).flip(1)
    padded = torch.cat([strongest, strongest.new_zeros(samples, count - found)], dim=1)
    vectors, _ = torch.linalg.qr(padded)
    kept = torch.cat([values.new_zeros(count - found), values[-found:].clamp_min(0.0)])
    return kept, vectors.flip(1)
