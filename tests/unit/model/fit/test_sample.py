from __future__ import annotations

import numpy as np
import torch

from catalog_builder.model.fit.sample import Sample, principal_axes, spectra_for_whitening
from catalog_builder.training.design import Split, Stars


def test_components_along_the_axes_are_independent_and_of_size_one():
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(5000, 3, generator=generator) * torch.tensor([10.0, 1.0, 0.1])
    spectra = 4.0 + latent @ torch.randn(3, 50, generator=generator)
    centre, axes = principal_axes(lambda: spectra.split(999), 3)
    components = (spectra - centre) @ axes
    torch.testing.assert_close(components.T.cov(), torch.eye(3), atol=1e-2, rtol=0)


def test_axes_of_spectra_with_fewer_components_than_asked_for_stay_finite():
    spectra = torch.randn(20, 1, generator=torch.Generator().manual_seed(0)) * torch.ones(20, 30)
    _, axes = principal_axes(lambda: [spectra], 5)
    assert torch.isfinite(axes).all()


def test_only_stars_with_the_spectrum_shape_its_axes(sky, scaling):
    has = np.arange(len(sky)) % 2 == 0
    stars = Stars.from_block({**sky.block, "has_rvs": has, "has_xp": ~has}, sky.contract.inputs)
    for name, expected in (("rvs", (has.sum(), 800)), ("xp", ((~has).sum(), 343))):
        assert torch.cat([*spectra_for_whitening(name, stars, scaling)]).shape == expected


def test_missing_and_untrained_labels_are_not_known(sky, scaling):
    data = sky.subset(Split.FIT)
    data.labels[0, 1] = np.nan
    trained = np.array([True, True, False, True, True])
    sample = Sample.from_arrays(data, Split.FIT, scaling, trained, "cpu", ("xp",))
    expected = np.isfinite(data.labels) & trained
    np.testing.assert_array_equal(sample.known.numpy(), expected)
    for values in (sample.labels, sample.label_error):
        assert torch.isfinite(values).all()
    assert sample.stars["rvs.flux"].shape == (len(data), 0)
