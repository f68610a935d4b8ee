"""The likelihood: full label covariance, label errors added, missing labels marginalised."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

# A scatter of 1 % of a label's spread in the sample is finer than any label; it keeps the
# covariance away from singular.
_SMALLEST_SCATTER = 0.01
_LOG_2PI = math.log(2.0 * math.pi)


def mean_and_cholesky(output: Tensor, labels: int) -> tuple[Tensor, Tensor]:
    """Split network output into means of l labels, (b, l), and a lower factor, (b, l, l).

    Parameters
    ----------
    output : Tensor
        (b, l + l (l + 1) / 2), from the network.
    labels : int
        l.
    """
    mean, diagonal = output[:, :labels], output[:, labels : 2 * labels]
    below = output[:, 2 * labels :]
    cholesky = torch.diag_embed(functional.softplus(diagonal) + _SMALLEST_SCATTER)
    rows, columns = _lower(labels, output.device)
    cholesky[:, rows, columns] = below
    return mean, cholesky


@functools.cache
def _lower(labels: int, device: torch.device) -> Tensor:
    """Return rows and columns of the elements below the diagonal, copied to a device once."""
    return torch.tril_indices(labels, labels, -1, device=device)


def negative_log_likelihood(
    output: Tensor,
    labels: Tensor,
    label_error: Tensor,
    known: Tensor,
    freedom: float | None = None,
) -> Tensor:
    """Return -ln p of each star's known labels, (b,).

    The predicted covariance describes the distance to the truth, so the labels' own variances are
    added to it before it meets them. The density of a subset of the components, of a Gaussian and
    of a Student t too, is the same law with the sub-block of the covariance: rows and columns of
    unknown labels become those of the identity and their residuals 0, which adds nothing to
    determinant or square.

    Parameters
    ----------
    output : Tensor
        (b, l + l (l + 1) / 2), from the network.
    labels, label_error : Tensor
        (b, l), scaled; any finite value where not known.
    known : Tensor
        (b, l) bool.
    freedom : float, optional
        Degrees of freedom, > 2, of a Student t of this covariance; a Gaussian without.
    """
    # Double precision: a covariance of tight, strongly correlated labels is singular in single.
    mean, cholesky = mean_and_cholesky(output.double(), labels.shape[1])
    covariance = cholesky @ cholesky.mT + torch.diag_embed(label_error.double() ** 2)
    both = known[:, :, None] & known[:, None, :]
    identity = torch.eye(labels.shape[1], dtype=torch.float64, device=output.device)
    # Unchecked: what is not finite shows in the loss, and a check would stall a GPU every step.
    factor = torch.linalg.cholesky_ex(torch.where(both, covariance, identity)).L
    residual = torch.where(known, labels - mean, 0.0)
    whitened = torch.linalg.solve_triangular(factor, residual[:, :, None], upper=False)
    half_log_determinant = torch.log(torch.diagonal(factor, dim1=1, dim2=2)).sum(dim=1)
    square = (whitened**2).sum(dim=(1, 2))
    count = known.sum(dim=1)
    if freedom is None:
        gaussian: Tensor = half_log_determinant + 0.5 * square + 0.5 * _LOG_2PI * count
        return gaussian
    # Kotz & Nadarajah 2004, Multivariate t Distributions, eq. 1.1, with scale matrix
    # covariance x (freedom - 2) / freedom.
    half = 0.5 * (freedom + count)
    width = freedom - 2.0
    scale = 0.5 * count * math.log(width * math.pi)
    constant = torch.lgamma(half) - math.lgamma(0.5 * freedom) - scale
    student: Tensor = half_log_determinant + half * torch.log1p(square / width) - constant
    return student


def label_losses(output: Tensor, labels: Tensor, label_error: Tensor, known: Tensor) -> Tensor:
    """Return -ln p of each known label by itself, (b, l), and NaN elsewhere; for the log."""
    mean, cholesky = mean_and_cholesky(output, labels.shape[1])
    variance = (cholesky**2).sum(dim=2) + label_error**2
    loss = 0.5 * (torch.log(variance) + (labels - mean) ** 2 / variance + _LOG_2PI)
    return torch.where(known, loss, torch.nan)
