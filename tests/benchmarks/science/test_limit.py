"""The reference itself: its noise is the simulator's, its posteriors hold what made the data."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments import rvs
from tests.benchmarks.science.limit import forward, population, posterior, proposal
from tests.benchmarks.science.limit.forward import BP, MAGNITUDES, RP, RVS, Data, Noise

#: A red giant at 2 kpc behind half a magnitude of dust.
X = np.array([5040.0 / 4700.0, 2.5, -0.3, 0.12, -0.3, 0.5, np.log(2.0), np.log(3.0), 3.5, 0.2])
LN_MASS = np.log(1.1)


def _observe(rng: np.random.Generator, sig_to_noise: float) -> Data:
    phi = proposal.to_forward(X[None], LN_MASS)
    values = forward.predict(phi, constant_class=True)[0]
    samples = np.repeat(values[RVS], 3)[None]
    added, _ = rvs.noise(rng, samples, np.array([sig_to_noise]))
    values[RVS] += added.reshape(-1, 3).mean(axis=1)
    tables = instrument.load()
    xp_error = np.concatenate(
        [band.errors(values[None, where])[0] for band, where in ((tables.bp, BP), (tables.rp, RP))]
    )
    drawn = np.concatenate(
        [band.correlation @ rng.standard_normal(55) for band in (tables.bp, tables.rp)]
    )
    values[BP.start : RP.stop] += xp_error * drawn
    magnitude_error = np.array([0.002, 0.004, 0.004])
    values[MAGNITUDES] += magnitude_error * rng.standard_normal(3)
    return Data(
        values=values,
        pixels=slice(0, 800),
        sig_to_noise=sig_to_noise,
        constant_class=True,
        xp_error=xp_error,
        independent=np.zeros(2) + 1e-6,
        magnitude_error=magnitude_error,
        parallax=float(np.exp(-X[6])) + 0.02 * rng.standard_normal(),
        parallax_error=0.02,
    )


def test_the_noise_of_model_pixels_is_that_of_the_simulated_samples():
    rng = np.random.default_rng(0)
    flux = np.ones((4000, 240))
    added, _ = rvs.noise(rng, flux, np.full(4000, 20.0))
    pixels = added.reshape(4000, 80, 3).mean(axis=2) * 20.0
    bands = forward._bands(80)
    for lag in range(3):
        measured = np.mean(pixels[:, : 80 - lag] * pixels[:, lag:])
        assert measured == pytest.approx(bands[2 - lag, -1], abs=0.01)
    assert abs(np.mean(pixels[:, :-3] * pixels[:, 3:])) < 0.01


def test_the_inverse_of_the_noise_gives_residuals_a_chi_square_of_their_number():
    rng = np.random.default_rng(1)
    phi = proposal.to_forward(X[None], LN_MASS)[0]
    model = forward.predict(phi[None], constant_class=True)[0]
    found = []
    for _ in range(20):
        data = _observe(rng, 30.0)
        residual = (data.values - model)[None]
        found.append(float(np.sum(Noise(data, model).solve(residual) * residual)))
    assert np.mean(found) == pytest.approx(forward.WIDTH, rel=0.06)


def test_the_prior_is_the_simulator_s_population():
    library = population.library()
    assert set(np.unique(library.population)) == {0, 1, 2}
    theta, logg, slope_t, _ = library.at(-0.2)
    assert 3500.0 < 5040.0 / np.median(theta) < 6500.0
    # Metal-poor tracks are hotter.
    assert np.mean(slope_t > 0) > 0.95
    assert logg.min() > -0.5


def test_a_posterior_holds_the_labels_that_made_the_data():
    rng = np.random.default_rng(2)
    true = np.array([4700.0, 2.5, -0.3, 0.12, -0.3])
    ranks = []
    for _ in range(3):
        data = _observe(rng, 20.0)
        start = proposal.to_forward(X[None], LN_MASS)[0] + 0.02 * rng.standard_normal(9)
        found = posterior.infer(data, start, rng)
        assert found.effective > 20
        assert np.all(np.abs(found.mean - true) < 5.0 * np.sqrt(found.variance))
        assert np.sqrt(found.variance[0]) < 60.0
        ranks.append(found.ranks(true))
    assert np.all((np.array(ranks) >= 0.0) & (np.array(ranks) <= 1.0))
