"""Where the networks contradict each other, or one network itself when it sees less."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.model.arrays import LABELS, MODALITIES
from catalog_builder.model.loss import mean_and_cholesky
from catalog_builder.model.network import HybridNet
from catalog_builder.model.slices import SLICE, sliced, whole_slices

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


class Alone(NamedTuple):
    """What each kind of spectra says alone, of n stars with both, on the scale of the network.

    Attributes
    ----------
    rows : Tensor
        int64, (n,), their places in the batch.
    means, covariances : Tensor
        float64, (2, n, 5) and (2, n, 5, 5): RVS, XP.
    """

    rows: Tensor
    means: Tensor
    covariances: Tensor

    def conflict(self, count: int, trained: Tensor) -> Tensor:
        """Return the chi-square of the trained labels for `count` stars; NaN where not both."""
        difference = (self.means[0] - self.means[1])[:, trained]
        covariance = self.covariances.sum(dim=0)[:, trained][:, :, trained]
        # Unchecked: one star without a finite answer must not cost its batch theirs.
        solved = torch.linalg.solve_ex(covariance, difference).result
        chi_square = self.means.new_full((count,), torch.nan)
        chi_square[self.rows] = (difference * solved).sum(dim=1)
        return chi_square

    def either(self, together: Tensor) -> Tensor:
        """Return the covariance if one of the two spectra is wrong, nobody knows which.

        The truth is then about the answer of the one or of the other, in half of the cases each.

        Parameters
        ----------
        together : Tensor
            (b, 5), what the same network says from all inputs.

        Returns
        -------
        Tensor
            (b, 5, 5), mean square about `together`; 0 where a star has not both.
        """
        apart = self.means - together[self.rows]
        about = torch.einsum("kni,knj->knij", apart, apart) + self.covariances
        either = together.new_zeros(len(together), *about.shape[2:])
        either[self.rows] = about.mean(dim=0)
        return either


def alone(network: HybridNet, embedded: Mapping[str, Tensor], usable: Tensor) -> Alone:
    """Return what RVS alone and XP alone say.

    Parameters
    ----------
    network : HybridNet
        One member: its branches have done their part, only the trunk is run twice more.
    embedded : mapping of str to Tensor
        Of b stars, from `HybridNet.embed`.
    usable : Tensor
        (b, 4) bool.
    """
    rows = torch.nonzero(usable[:, 0] & usable[:, 1])[:, 0]
    if not len(rows):
        empty = torch.empty(2, 0, len(LABELS), dtype=torch.float64, device=usable.device)
        return Alone(rows, empty, empty[..., None].expand(-1, -1, -1, len(LABELS)))
    asked = whole_slices(rows)
    size = SLICE if usable.device.type == "cpu" else None
    means, covariances = [], []
    for name in _SPECTRA:
        shown = torch.tensor([other == name for other in MODALITIES], device=usable.device)
        seen = shown.expand(len(asked), -1)
        out = sliced(partial(_answer, network, name), size, embedded[name][asked], seen)
        mean, cholesky = mean_and_cholesky(out[: len(rows)].double())
        means.append(mean)
        covariances.append(cholesky @ cholesky.mT)
    return Alone(rows, torch.stack(means), torch.stack(covariances))


def _answer(network: HybridNet, name: str, embedded: Tensor, usable: Tensor) -> Tensor:
    return network.answer({name: embedded}, usable)


def disagreement(aleatoric: Tensor, epistemic: Tensor, trained: Tensor) -> Tensor:
    """Return the mean ratio (n,) of the variances between and within members, both (n, 5, 5)."""
    within, between = (
        torch.diagonal(part, dim1=1, dim2=2)[:, trained] for part in (aleatoric, epistemic)
    )
    return (between / within).mean(dim=1)


def believed(conflict: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far to believe in conflicts, (n,), 0 to 1, given over the limit of their flag.

    Not at all up to the limit, where chance makes as many as are flagged; then ever more.
    """
    return np.asarray(1.0 - 1.0 / np.maximum(conflict, 1.0))
