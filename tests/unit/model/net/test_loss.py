from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, multivariate_t

from catalog_builder.model.net.loss import (
    label_losses,
    mean_and_cholesky,
    negative_log_likelihood,
)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    output = torch.randn(64, 20, generator=generator)
    labels = torch.randn(64, 5, generator=generator)
    error = 0.3 * torch.rand(64, 5, generator=generator)
    known = torch.rand(64, 5, generator=generator) < 0.6
    known[0], known[1] = True, False
    return output, labels, error, known


def direct(batch, density) -> np.ndarray:
    """Return -ln of a density of the known labels alone, each star by itself."""
    output, labels, error, known = batch
    mean, cholesky = (part.double().numpy() for part in mean_and_cholesky(output, 5))
    result = []
    for i in range(len(known)):
        rows = np.flatnonzero(known[i].numpy())
        if not rows.size:
            result.append(0.0)
            continue
        covariance = cholesky[i] @ cholesky[i].T + np.diag(error[i].double().numpy() ** 2)
        block = covariance[np.ix_(rows, rows)]
        result.append(-density(labels[i].double().numpy()[rows], mean[i][rows], block))
    return np.array(result)


def test_gaussian_of_known_labels_is_the_sub_block(batch):
    expected = direct(batch, multivariate_normal.logpdf)
    np.testing.assert_allclose(negative_log_likelihood(*batch).numpy(), expected, atol=1e-5)


def test_student_t_of_known_labels_is_the_sub_block(batch):
    freedom = 5.0

    def density(x, mean, covariance):
        shape = covariance * (freedom - 2) / freedom
        return multivariate_t.logpdf(x, mean, shape, df=freedom)

    found = negative_log_likelihood(*batch, freedom).numpy()
    np.testing.assert_allclose(found, direct(batch, density), atol=1e-5)


def test_unknown_labels_have_no_influence_and_no_gradient(batch):
    output, labels, error, known = batch
    other = torch.where(known, labels, labels + 1e6)
    assert torch.equal(
        negative_log_likelihood(output, labels, error, known),
        negative_log_likelihood(output, other, error, known),
    )
    output = output.clone().requires_grad_()
    negative_log_likelihood(output, labels, error, known).sum().backward()
    assert output.grad is not None
    assert (output.grad[:, :5][~known] == 0).all()
    assert torch.isfinite(output.grad).all()


def test_label_losses_are_the_one_dimensional_gaussians(batch):
    output, labels, error, _ = batch
    losses = label_losses(output, labels, error, torch.ones(64, 5, dtype=torch.bool))
    for column in range(5):
        alone = torch.zeros(64, 5, dtype=torch.bool)
        alone[:, column] = True
        expected = negative_log_likelihood(output, labels, error, alone)
        torch.testing.assert_close(losses[:, column].double(), expected, atol=1e-5, rtol=1e-5)
