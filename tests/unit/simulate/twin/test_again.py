"""The same stars once more: less noise, and part of it the older release's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.features.low_resolution import sample_coefficients
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments.observed import observe
from catalog_builder.simulate.instruments.rvs import resampled
from catalog_builder.simulate.population.streams import streams
from catalog_builder.simulate.population.truth import draw_stars, make_hot
from catalog_builder.simulate.twin.again import RvsMade, averaged, observe_again
from catalog_builder.simulate.twin.basis import bases
from catalog_builder.simulate.twin.describe import GRID


@pytest.fixture(scope="module")
def both():
    """Observe 400 stars in both releases; return stars, older, later and the recipe."""
    release = load_release("dr3")
    rng = np.random.default_rng(5)
    star = draw_stars(rng, release, 0, 786431, 400)
    make_hot(rng, star)
    seen = observe(rng, star, release)
    made = RvsMade(GRID, release.spectra["rvs"].grid)
    return star, seen, observe_again(streams(5, 0, 0), star, seen, made), made


def _width(values):
    return 1.4826 * np.nanmedian(np.abs(values))


def _without_noise(star, seen, made):
    """Observe once more with the same random numbers, but a S/N of 1e5."""
    silent = replace(seen.rvs_making, noise=np.zeros_like(seen.rvs_making.noise))
    deep = replace(seen, reached=seen.reached * 1e4, rvs_making=silent)
    return observe_again(streams(5, 0, 0), star, deep, made)


def test_averages_are_those_of_all_transits():
    rng = np.random.default_rng(1)
    n, share = 200_000, np.full(200_000, 0.4)
    old = 3.0 * rng.standard_normal(n)
    both = averaged(rng.standard_normal(n), old, 3.0, share)
    assert both.std() == pytest.approx(3.0 * np.sqrt(0.4), rel=0.01)
    assert np.corrcoef(both, old)[0, 1] == pytest.approx(np.sqrt(0.4), abs=0.01)


def test_half_of_the_transits_are_old(both):
    _, _, again, _ = both
    assert np.median(again.share) == pytest.approx(34 / 66, abs=0.02)


def test_magnitudes_and_parallaxes_have_less_noise_that_is_partly_shared(both):
    star, seen, again, _ = both
    later = again.seen
    old = (seen.magnitudes - seen.exact_magnitudes)[:, 1]
    new = (later.magnitudes - later.exact_magnitudes)[:, 1]
    assert _width(new) / _width(old) == pytest.approx(0.72, abs=0.1)
    good = np.isfinite(old)
    assert np.corrcoef(old[good], new[good])[0, 1] == pytest.approx(0.72, abs=0.08)
    one, other = seen.astrometry, later.astrometry
    exact = 1.0 / star.distance
    for each in (one, other):
        pulls = (each.parallax - exact - each.offset) / each.parallax_error
        assert _width(pulls) == pytest.approx(1.0, abs=0.15)
    # The bias is to be subtracted, and negative as DR3's is.
    given = np.isfinite(again.bias)
    assert 0.9 < given.mean() < 0.99
    np.testing.assert_array_equal(again.bias[given], other.offset[given])
    assert np.median(again.bias[given]) < -0.01


def test_spectra_have_the_noise_that_they_say(both):
    star, seen, again, made = both
    later = again.seen
    ordinary = star.anomaly[later.rvs_rows] == ""
    flux, error = later.rvs_flux[ordinary], later.rvs_error[ordinary]
    said = later.sig_to_noise[later.rvs_rows][ordinary]
    np.testing.assert_allclose(np.nanmedian(flux / error, axis=1), said, rtol=1e-3)
    quiet = _without_noise(star, seen, made)
    exact = quiet.seen.rvs_flux[np.isin(quiet.seen.rvs_rows, later.rvs_rows)][ordinary]
    # Continua and velocities are drawn in the same way; the velocity differs by its own error.
    pulls = (flux - exact) / error
    assert _width(pulls) == pytest.approx(1.0, abs=0.08)


def test_noise_of_spectra_is_shared_with_those_of_the_older_release(both):
    star, seen, again, made = both
    later = again.seen
    place = np.searchsorted(later.rvs_rows, seen.rvs_rows)
    np.testing.assert_array_equal(later.rvs_rows[place], seen.rvs_rows)
    quiet = _without_noise(star, seen, made)
    at = np.searchsorted(quiet.seen.rvs_rows, seen.rvs_rows)
    new = later.rvs_flux[place] - quiet.seen.rvs_flux[at]
    samples, older = made.grid.nanometres(), made.older.nanometres()
    old = resampled(seen.rvs_making.noise.astype(np.float64), older, samples)
    inner = slice(100, 860)
    ordinary = (star.anomaly[seen.rvs_rows] == "") & (seen.sig_to_noise[seen.rvs_rows] < 60)
    found = [
        np.corrcoef(new[k, inner], old[k, inner])[0, 1]
        for k in np.flatnonzero(ordinary)
        if np.isfinite(new[k, inner]).all()
    ]
    assert np.median(found) == pytest.approx(np.sqrt(34 / 66), abs=0.06)


def test_anomalies_stay(both):
    star, _, again, _ = both
    later = again.seen
    for name in ("wrong_frame", "calcium_emission", "wrong_normalisation", "cosmic_spikes"):
        mine = np.flatnonzero(star.anomaly == name)
        assert np.isin(mine, later.rvs_rows).all()
    # A continuum that is tilted by 8 % and more shows.
    tilted = np.isin(later.rvs_rows, np.flatnonzero(star.anomaly == "wrong_normalisation"))
    ends = (
        np.nanmedian(later.rvs_flux[:, 80:180], axis=1),
        np.nanmedian(later.rvs_flux[:, -180:-80], axis=1),
    )
    slope = np.abs(ends[1] / ends[0] - 1.0)
    assert np.median(slope[tilted]) > 2 * np.median(slope[~tilted])


def test_coefficients_give_the_spectrum_with_the_errors_that_they_say(both):
    _, seen, again, _ = both
    for band in ("bp", "rp"):
        coefficients = getattr(again.seen, band)
        found = bases()[band]
        exact = (seen.flux @ getattr(instrument.load(), band).inverse) @ found.turn
        pulls = (coefficients.values - exact) / coefficients.errors
        assert _width(pulls) == pytest.approx(1.0, abs=0.04)
        old = getattr(seen, band)
        assert np.median(coefficients.n_measurements / old.n_measurements) > 1.7
        # The whole covariance: errors of samples, which depend on all correlations.
        size = coefficients.values.shape[1]
        matrix = np.zeros((size, size))
        matrix[np.tril_indices(size, -1)] = coefficients.correlations[0]
        matrix += matrix.T + np.eye(size)
        assert np.linalg.eigvalsh(matrix).min() > 0
        sigma = coefficients.errors[0].astype(np.float64)
        covariance = matrix * sigma[:, None] * sigma
        reached = found.matrix.any(axis=0)
        errors = np.sqrt(np.einsum("ks,kl,ls->s", found.matrix, covariance, found.matrix))
        before = sample_coefficients(
            {band: (old.values[:1], old.errors[:1], old.correlations[:1])}, "xp_dr3"
        ).flux_error[0]
        ratio = errors[reached] / before[reached]
        assert np.median(ratio) == pytest.approx(np.sqrt(again.share[0]), rel=0.15)


def test_faint_spectra_are_faint(both):
    star, seen, _, made = both
    faint = observe_again(streams(5, 0, 0), star, seen, replace(made, most=4.0))
    assert np.nanmax(faint.seen.sig_to_noise) == 4.0
    assert np.median(np.nanmedian(faint.seen.rvs_flux / faint.seen.rvs_error, axis=1)) < 4.01
