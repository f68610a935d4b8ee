"""Chemistry and the Kiel diagram."""

from __future__ import annotations

import numpy as np

from catalog_builder.simulate.population import census, stars
from catalog_builder.simulate.population.galaxy import galactic
from catalog_builder.simulate.population.stars import Evolution

SUN = Evolution(np.array([1.0]), np.array([0.46]), np.array([0.5]))


def test_the_sun_is_where_it_is():
    teff, logg = stars.kiel(SUN, np.array([0.0]))
    assert abs(teff[0] - 5772.0) < 60.0
    assert abs(logg[0] - 4.44) < 0.04


def test_stars_rise_on_the_giant_branch_after_the_main_sequence():
    n = 50
    phase = np.linspace(0.1, stars.LIFETIME - 1e-3, n)
    star = Evolution(np.full(n, 1.1), phase, np.full(n, 0.5))
    teff, logg = stars.kiel(star, np.zeros(n))
    main = phase < 1.0
    assert np.all(np.diff(logg[main]) < 0.0)
    assert logg[main].min() > 3.9
    assert np.all(logg[phase > 1.15] < 3.7)
    assert np.all(teff[phase > 1.15] < 5300.0)


def test_metal_poor_giants_are_hotter():
    logg = np.full(4, 1.75)
    teff = stars.giant_ridge(logg, np.array([-2.0, -1.0, -0.3, 0.3]))
    assert np.all(np.diff(teff) < 0.0)


def test_high_alpha_stars_dominate_above_the_plane_and_inside():
    counts = census.census().counts.sum(axis=2)
    # Pixels at the galactic pole against pixels in the plane towards the anticentre.
    lon, b = galactic(*census.healpix_positions(np.arange(len(counts)), census.LEVEL))
    thick_share = counts[:, 1] / counts[:, :2].sum(axis=1)
    assert thick_share[np.abs(b) > 60].mean() > 1.5 * thick_share[np.abs(b) < 10].mean()
    plane = np.abs(b) < 20
    inside = plane & ((lon < 40) | (lon > 320))
    outside = plane & (lon > 140) & (lon < 220)
    assert thick_share[inside].mean() > 1.3 * thick_share[outside].mean()


def test_sequences_are_apart_at_low_metallicity_and_meet_at_high():
    rng = np.random.default_rng(0)
    m_h = np.full(2000, -0.5)
    thin = stars.alpha(rng, np.zeros(2000, dtype=int), m_h)
    thick = stars.alpha(rng, np.ones(2000, dtype=int), m_h)
    assert np.median(thick) - np.median(thin) > 0.1
    rich = np.full(2000, 0.2)
    thin = stars.alpha(rng, np.zeros(2000, dtype=int), rich)
    thick = stars.alpha(rng, np.ones(2000, dtype=int), rich)
    assert np.median(thick) - np.median(thin) < 0.125


def test_the_disc_has_a_metallicity_gradient():
    rng = np.random.default_rng(0)
    n = 4000
    population = np.zeros(n, dtype=int)
    inner = stars.metallicity(rng, population, np.full(n, 5.0), np.zeros(n))
    outer = stars.metallicity(rng, population, np.full(n, 12.0), np.zeros(n))
    assert 0.2 < np.median(inner) - np.median(outer) < 0.6


def test_iron_follows_metallicity_with_the_scatter_of_apogee():
    rng = np.random.default_rng(0)
    m_h, alpha_m = np.full(5000, -0.3), np.full(5000, 0.2)
    difference = stars.iron(rng, m_h, alpha_m) - m_h
    assert abs(np.median(difference)) < 0.01
    assert 0.01 < np.std(difference) < 0.03
