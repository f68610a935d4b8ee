"""Where the networks contradict each other, or one network itself when it sees less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.model.arrays import MODALITIES
from catalog_builder.model.loss import mean_and_cholesky
from catalog_builder.model.network import HybridNet
from catalog_builder.model.slices import whole_slices

_SPECTRA = ("rvs", "xp")


class Contradictions(NamedTuple):
    """What n stars' answers say against each other.

    Attributes
    ----------
    conflict : ndarray of float64, shape (n,)
        Chi-square of the labels from RVS alone against those from XP alone; NaN where either is
        absent.
    disagreement : ndarray of float64, shape (n,)
        Variance between the members over the variance that each gives, mean of the labels.
    """

    conflict: NDArray[np.float64]
    disagreement: NDArray[np.float64]


def conflict(
    network: HybridNet, embedded: Mapping[str, Tensor], usable: Tensor, trained: Tensor
) -> Tensor:
    """Return the chi-square (n,) between what RVS alone and XP alone say of the trained labels.

    Parameters
    ----------
    network : HybridNet
        One member: its branches have done their part, only the trunk is run twice more.
    embedded : mapping of str to Tensor
        Of n stars, from `HybridNet.embed`.
    usable : Tensor
        (n, 4) bool.
    trained : Tensor
        Numbers of the labels to compare.

    Returns
    -------
    Tensor
        float64, NaN where a star lacks one of the two.
    """
    chi_square = torch.full((len(usable),), torch.nan, dtype=torch.float64, device=usable.device)
    rows = torch.nonzero(usable[:, 0] & usable[:, 1])[:, 0]
    if not len(rows):
        return chi_square
    asked = whole_slices(rows)
    means, covariance = [], torch.zeros((), dtype=torch.float64, device=usable.device)
    for name in _SPECTRA:
        shown = torch.tensor([other == name for other in MODALITIES], device=usable.device)
        out = network.answer({name: embedded[name][asked]}, shown.expand(len(asked), -1))
        mean, cholesky = mean_and_cholesky(out.double())
        means.append(mean[:, trained])
        covariance = covariance + (cholesky @ cholesky.mT)[:, trained][:, :, trained]
    difference = means[0] - means[1]
    solved = torch.linalg.solve(covariance, difference)
    chi_square[rows] = (difference * solved).sum(dim=1)[: len(rows)]
    return chi_square


def disagreement(aleatoric: Tensor, epistemic: Tensor, trained: Tensor) -> Tensor:
    """Return the mean ratio (n,) of the variances between and within members, both (n, 5, 5)."""
    within, between = (
        torch.diagonal(part, dim1=1, dim2=2)[:, trained] for part in (aleatoric, epistemic)
    )
    return (between / within).mean(dim=1)
