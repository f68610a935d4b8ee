"""What the members of an ensemble say together, and against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.model.net.answers import Contradictions, alone, disagreement
from catalog_builder.model.net.loss import mean_and_cholesky
from catalog_builder.model.net.network import HybridNet

Array = NDArray[np.float64]


class Spectral(NamedTuple):
    """What n stars' spectra alone say, without magnitudes and parallax, on the network's scale.

    Attributes
    ----------
    mean, covariance : ndarray of float64, shape (n, l) and (n, l, l)
    used : ndarray of bool, shape (n, i)
    """

    mean: Array
    covariance: Array
    used: NDArray[np.bool_]


class Mixture(NamedTuple):
    """The members' answers together, on the scale of the network, and against each other.

    Attributes
    ----------
    mean : ndarray of float64, shape (n, l)
    aleatoric, epistemic : ndarray of float64, shape (n, l, l)
    used : ndarray of bool, shape (n, i)
    either : ndarray of float64, shape (p, n, l, l)
        For each pair of spectra, the covariance if one of the two is wrong.
    contradictions : Contradictions
    spectral : Spectral, optional
        Where it was asked for.
    """

    mean: Array
    aleatoric: Array
    epistemic: Array
    used: NDArray[np.bool_]
    either: Array
    contradictions: Contradictions
    spectral: Spectral | None


class _Together:
    """The members' answers to one question."""

    def __init__(self, labels: int) -> None:
        self._labels = labels
        self._means: list[Tensor] = []
        self._covariances: list[Tensor] = []

    def add(self, answer: Tensor) -> Tensor:
        """Take a member's answer; return its mean."""
        mean, cholesky = mean_and_cholesky(answer.double(), self._labels)
        self._means.append(mean)
        self._covariances.append(cholesky @ cholesky.mT)
        return mean

    def result(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return their mean, and the covariances that they give and that is between them."""
        stacked = torch.stack(self._means)
        mean = stacked.mean(dim=0)
        deviation = stacked - mean
        freedom = max(1, len(self._means) - 1)
        epistemic = torch.einsum("mni,mnj->nij", deviation, deviation) / freedom
        return mean, torch.stack(self._covariances).mean(dim=0), epistemic


def mixture(
    networks: Sequence[HybridNet],
    columns: Mapping[str, Tensor],
    present: Tensor,
    trained: Tensor,
    count: int,
    *,
    spectral: bool,
) -> Mixture:
    """Ask all members.

    Parameters
    ----------
    networks : sequence of HybridNet
        The members.
    columns : mapping of str to Tensor
        As `network_columns` gives them.
    present : Tensor
        (b, i) bool, in the order of the contract's inputs.
    trained : Tensor
        Places of the labels that were trained.
    count : int
        How many of the stars are asked for: the first ones.
    spectral : bool
        Whether to ask as well what spectra alone say; only the trunks are run again.
    """
    contract = networks[0].contract
    used = networks[0].usable(present)
    whole, of_spectra = (_Together(len(contract.labels)) for _ in range(2))
    shown = torch.tensor([name in contract.inputs.spectra for name in contract.inputs.names])
    seen = used & shown.to(used.device)
    for number, network in enumerate(networks):
        embedded = network.embed(columns, used)
        mean = whole.add(network.answer(embedded, used))
        if spectral:
            spectra = {k: v for k, v in embedded.items() if k in contract.inputs.spectra}
            of_spectra.add(network.answer(spectra, seen))
        if number == 0:
            # One member tells a contradiction, and all would cost a tenth of the time.
            by_spectra = alone(network, embedded, used)
            either = [pair.either(mean) for pair in by_spectra]
    mean, aleatoric, epistemic = whole.result()
    ratio = disagreement(aleatoric, epistemic, trained)

    def of_stars(values: Tensor) -> NDArray[Any]:
        return np.asarray(values[:count].cpu())

    conflicts = [np.asarray(pair.conflict(len(used), trained).cpu()) for pair in by_spectra]
    return Mixture(
        of_stars(mean),
        of_stars(aleatoric),
        of_stars(epistemic),
        of_stars(used),
        _stack([of_stars(one) for one in either], aleatoric[:count].shape),
        Contradictions(_stack(conflicts, (len(used),)).T[:count], of_stars(ratio)),
        _spectral(of_spectra, seen, of_stars) if spectral else None,
    )


def _spectral(
    asked: _Together, seen: Tensor, of_stars: Callable[[Tensor], NDArray[Any]]
) -> Spectral:
    mean, aleatoric, epistemic = asked.result()
    return Spectral(of_stars(mean), of_stars(aleatoric + epistemic), of_stars(seen))


def _stack(arrays: Sequence[Array], shape: Sequence[int]) -> Array:
    """Return arrays of one shape as one array; there may be none."""
    return np.stack(arrays) if arrays else np.empty((0, *shape))
