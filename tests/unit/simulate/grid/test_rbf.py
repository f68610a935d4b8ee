"""The interpolant reproduces its nodes and smooth functions between them."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.simulate.grid import rbf
from catalog_builder.simulate.grid.rbf import Metric

LOWER = np.array([3600.0, 0.5, -2.5, -0.1, 0.8])
UPPER = np.array([7400.0, 5.0, 0.5, 0.4, 2.5])


def _metric(kernel):
    return Metric(kernel, 0.1, 1.15, 0.05, 0.1, -12.0, (0.0,) * 15)


def _labels(n, seed=0):
    return LOWER + np.random.default_rng(seed).random((n, 5)) * (UPPER - LOWER)


def _spectra(labels):
    wavelength = np.linspace(0.0, 1.0, 40)
    theta = 5040.0 / labels[:, :1]
    return np.sin(3.0 * theta * wavelength) + 0.1 * labels[:, 1:2] * wavelength**2


@pytest.mark.parametrize("kernel", ["cubic", "quintic"])
def test_nodes_are_reproduced(kernel):
    labels = _labels(150)
    spectra = _spectra(labels)
    model = rbf.fit(_metric(kernel), labels, spectra, 20)
    np.testing.assert_allclose(model(labels), spectra, atol=2e-4)


@pytest.mark.parametrize("kernel", ["cubic", "quintic"])
def test_held_out_spectra_of_a_smooth_function_are_predicted(kernel):
    labels = _labels(300)
    spectra = _spectra(labels)
    rms = rbf.held_out_rms(_metric(kernel), labels, spectra, 20)
    assert np.median(rms) < 0.02 * np.std(spectra)


def test_held_out_error_is_larger_than_the_error_at_the_nodes():
    labels = _labels(120)
    noisy = _spectra(labels) + 0.1 * np.random.default_rng(1).standard_normal((120, 40))
    held_out = rbf.held_out_rms(_metric("cubic"), labels, noisy, 40)
    model = rbf.fit(_metric("cubic"), labels, noisy, 40)
    at_nodes = np.sqrt(np.mean((model(labels) - noisy) ** 2, axis=1))
    assert np.median(held_out) > 5.0 * np.median(at_nodes)
