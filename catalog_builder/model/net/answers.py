"""Where the networks contradict each other, or one network itself when it sees less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.model.net.loss import mean_and_cholesky
from catalog_builder.model.net.network import HybridNet
from catalog_builder.model.net.slices import SLICE, sliced, whole_slices


class Contradictions(NamedTuple):
    """What n stars' answers say against each other.

    Attributes
    ----------
    conflicts : ndarray of float64, shape (n, p)
        For each pair of spectra, chi-square of the labels from the one alone against those from
        the other alone; NaN where either is absent.
    disagreement : ndarray of float64, shape (n,)
        Variance between the members over the variance that each gives, mean of the labels.
    """

    conflicts: NDArray[np.float64]
    disagreement: NDArray[np.float64]


class Alone(NamedTuple):
    """What each of two spectra says alone, of n stars with both, on the scale of the network.

    Attributes
    ----------
    rows : Tensor
        int64, (n,), their places in the batch.
    means, covariances : Tensor
        float64, (2, n, l) and (2, n, l, l).
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
        """Return the covariance if one of the two spectra is wrong, and it is not known which.

        The truth is then about the answer of the one or of the other, in half of the cases each.

        Parameters
        ----------
        together : Tensor
            (b, l), what the same network says from all inputs.

        Returns
        -------
        Tensor
            (b, l, l), mean square about `together`; 0 where a star has not both.
        """
        apart = self.means - together[self.rows]
        about = torch.einsum("kni,knj->knij", apart, apart) + self.covariances
        either = together.new_zeros(len(together), *about.shape[2:])
        either[self.rows] = about.mean(dim=0)
        return either


class _Said(NamedTuple):
    """What one spectrum says alone: (n, l), (n, l, l), and where each star of the batch is."""

    mean: Tensor
    covariance: Tensor
    place: Tensor


def alone(network: HybridNet, embedded: Mapping[str, Tensor], usable: Tensor) -> list[Alone]:
    """Return what the spectra of each pair say alone, in the order of ``inputs.pairs``.

    Parameters
    ----------
    network : HybridNet
        One member: its branches have done their part, only the trunk is run again, once for each
        spectrum.
    embedded : mapping of str to Tensor
        Of b stars, from `HybridNet.embed`.
    usable : Tensor
        (b, i) bool.
    """
    inputs = network.contract.inputs
    has = {name: usable[:, inputs.place(name)] for name in inputs.spectra}
    several = torch.zeros(len(usable), dtype=torch.int64, device=usable.device)
    for one in has.values():
        several = several + one
    said: dict[str, _Said] = {}
    for name, one in has.items():
        rows = torch.nonzero(one & (several > 1))[:, 0]
        if len(rows):
            said[name] = _ask(network, embedded[name], name, rows, len(usable))
    found = []
    for first, second in inputs.pairs:
        rows = torch.nonzero(has[first] & has[second])[:, 0]
        found.append(
            _both(rows, [said[first], said[second]]) if len(rows) else _nothing(network, rows)
        )
    return found


def _ask(network: HybridNet, embedded: Tensor, name: str, rows: Tensor, count: int) -> _Said:
    asked = whole_slices(rows)
    device = embedded.device
    size = SLICE if device.type == "cpu" else None
    names = network.contract.inputs.names
    seen = torch.tensor([other == name for other in names], device=device)
    seen = seen.expand(len(asked), -1)
    out = sliced(partial(_answer, network, name), size, embedded[asked], seen)
    mean, cholesky = mean_and_cholesky(out[: len(rows)].double(), len(network.contract.labels))
    place = torch.zeros(count, dtype=torch.int64, device=device)
    place[rows] = torch.arange(len(rows), device=device)
    return _Said(mean, cholesky @ cholesky.mT, place)


def _both(rows: Tensor, said: Sequence[_Said]) -> Alone:
    places = [one.place[rows] for one in said]
    return Alone(
        rows,
        torch.stack([one.mean[place] for one, place in zip(said, places, strict=True)]),
        torch.stack([one.covariance[place] for one, place in zip(said, places, strict=True)]),
    )


def _nothing(network: HybridNet, rows: Tensor) -> Alone:
    labels = len(network.contract.labels)
    empty = torch.empty(2, 0, labels, dtype=torch.float64, device=rows.device)
    return Alone(rows, empty, empty[..., None].expand(-1, -1, -1, labels))


def _answer(network: HybridNet, name: str, embedded: Tensor, usable: Tensor) -> Tensor:
    return network.answer({name: embedded}, usable)


def disagreement(aleatoric: Tensor, epistemic: Tensor, trained: Tensor) -> Tensor:
    """Return the mean ratio (n,) of the variances between and within members, both (n, l, l)."""
    within, between = (
        torch.diagonal(part, dim1=1, dim2=2)[:, trained] for part in (aleatoric, epistemic)
    )
    return (between / within).mean(dim=1)


def believed(conflict: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far to believe in conflicts, (n,), 0 to 1, given over the limit of their flag.

    Not at all up to the limit, where chance makes as many as are flagged; then ever more.
    """
    return np.asarray(1.0 - 1.0 / np.maximum(conflict, 1.0))
