"""Axes of few long spectra are those of their whole covariance."""

import pytest
import torch

from catalog_builder.model.select.axes import is_wide, strongest_of_wide


@pytest.mark.parametrize(("rows", "count"), [(60, 8), (5, 8)])
def test_the_strongest_axes_of_few_long_rows(rows, count):
    generator = torch.Generator().manual_seed(1)
    strength = 2.0 ** -torch.arange(rows, dtype=torch.float64)
    spectra = torch.randn(rows, rows, generator=generator).double() * strength
    spectra = spectra @ torch.randn(rows, 400, generator=generator).double()
    values, vectors = strongest_of_wide(spectra, count)
    expected, axes = torch.linalg.eigh(spectra.mT @ spectra)
    torch.testing.assert_close(
        values, expected[-count:], rtol=1e-8, atol=1e-8 * expected[-1].item()
    )
    torch.testing.assert_close(vectors.mT @ vectors, torch.eye(count, dtype=torch.float64))
    cosines = (vectors * axes[:, -count:]).sum(dim=0).abs()
    torch.testing.assert_close(cosines[-4:], torch.ones(4, dtype=torch.float64))


def test_short_or_many_rows_keep_their_way():
    assert is_wide(torch.empty(100, 2001))
    assert not is_wide(torch.empty(100, 800))
    assert not is_wide(torch.empty(3000, 2500))
