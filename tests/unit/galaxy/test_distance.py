"""Distances: quantiles beside a quadrature, coverage on stars of another Galaxy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gamma

from catalog_builder.galaxy import distance as dist
from catalog_builder.galaxy.distance import distances, exponential, prior_towards
from catalog_builder.galaxy.frames import Sightlines


def to(l, b):  # noqa: E741
    lon, lat = np.deg2rad(l), np.deg2rad(b)
    return Sightlines(np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))


def by_quadrature(parallax, error, prior, level):
    """Return a quantile of the posterior from two million points in r, around where it is."""
    near, far, share, _ = prior
    r = np.geomspace(1e-4, 100.0 * far, 2_000_000)
    both = (1 - share) * np.exp(-r / near) / near**3 + share * np.exp(-r / far) / far**3
    density = 3 * np.log(r) + np.log(both + 1e-300) - 0.5 * ((parallax - 1 / r) / error) ** 2
    shares = np.cumsum(np.exp(density - density.max()))
    return np.interp(level, shares / shares[-1], r)


DISC_AND_HALO = np.array([[0.6, 4.4, 0.5, 9.0]])


@pytest.mark.parametrize("prior", [exponential(np.array([1.35])), DISC_AND_HALO])
@pytest.mark.parametrize(
    ("parallax", "error"),
    [(10.0, 0.02), (1.0, 0.1), (0.5, 0.2), (0.2, 0.2), (0.0, 0.3), (-0.5, 0.2), (0.05, 0.02)],
)
def test_quantiles_are_those_of_a_quadrature(parallax, error, prior, monkeypatch):
    monkeypatch.setattr(dist, "WIDEST", 9.0)
    found = distances(np.array([parallax]), np.array([error]), prior)
    for ours, level in ((found.lower, dist.LOWER), (found.median, 0.5), (found.upper, 0.841345)):
        truth = by_quadrature(parallax, error, prior[0], level)
        width = by_quadrature(parallax, error, prior[0], 0.84) - by_quadrature(
            parallax, error, prior[0], 0.16
        )
        assert abs(ours[0] - truth) < 0.005 * width


def test_two_modes_are_both_seen(monkeypatch):
    # A long scale far behind a fair parallax: the star's mode and the prior's.
    monkeypatch.setattr(dist, "WIDEST", 99.0)
    prior = exponential(np.array([8.0]))
    found = distances(np.array([0.9]), np.array([0.25]), prior)
    for ours, level in ((found.lower, dist.LOWER), (found.upper, 0.841345)):
        assert ours[0] == pytest.approx(by_quadrature(0.9, 0.25, prior[0], level), rel=0.01)


def test_the_priors_own_quantiles():
    expected = gamma(3).ppf([dist.LOWER, 0.5, 1 - dist.LOWER])
    ours = [dist.LOWER_IN_SCALES, dist.MEDIAN_IN_SCALES, dist.UPPER_IN_SCALES]
    np.testing.assert_allclose(ours, expected, atol=1e-4)


@given(
    st.floats(-5, 200),
    st.floats(1e-3, 10),
    st.floats(0.1, 10),
)
def test_the_interval_is_in_order_and_no_wider_than_allowed(parallax, error, scale):
    found = distances(np.array([parallax]), np.array([error]), exponential(np.array([scale])))
    lower, median, upper = found.lower[0], found.median[0], found.upper[0]
    if np.isnan(median):
        assert np.isnan([lower, upper]).all()
        assert np.isnan(found.points).all()
    else:
        assert 0 < lower < median < upper
        assert (np.diff(found.points[:, 0]) > 0).all()
        assert upper - lower <= 0.8 * (4.6379 - 1.3673) * scale


@pytest.mark.parametrize(
    ("parallax", "error", "scale"),
    [(np.nan, 0.1, 1.0), (1.0, np.nan, 1.0), (1.0, 0.0, 1.0), (1.0, -1.0, 1.0), (1.0, 0.1, np.nan),
     (np.inf, 0.1, 1.0), (1.0, np.inf, 1.0)],
)  # fmt: skip
def test_what_is_not_known_is_null(parallax, error, scale):
    prior = exponential(np.array([scale, 1.0]))
    found = distances(np.array([parallax, 5.0]), np.array([error, 0.1]), prior)
    assert np.isnan(found.median[0])
    assert found.median[1] == pytest.approx(0.2, rel=0.01)


def test_a_parallax_without_information_gives_no_distance():
    found = distances(np.array([0.3]), np.array([3.0]), exponential(np.array([1.35])))
    assert np.isnan(found.median[0])


def test_the_length_scale_is_smooth_and_the_same_on_both_sides():
    b = np.linspace(-89.0, 89.0, 400)
    along = prior_towards(to(np.full_like(b, 40.0), b))
    assert (np.abs(np.diff(np.log(along[:, [0, 3]]), axis=0)) < 0.25).all()  # the plane's dust
    np.testing.assert_allclose(prior_towards(to(np.full_like(b, 320.0), b)), along, rtol=1e-12)
    centre = prior_towards(to(np.array([0.0, 180.0]), np.zeros(2)))
    assert (centre > 0).all()
    assert (centre[:, 0] <= centre[:, 1]).all()


def test_the_shipped_table_is_that_of_its_script(monkeypatch):
    from catalog_builder.builds import length_scale

    longitude, latitude, table = dist._table()
    some = [(0, 3), (18, 19), (30, 36)]
    found = length_scale.priors(
        np.array([longitude[i] for i, _ in some]), np.array([latitude[j] for _, j in some])
    )
    np.testing.assert_allclose(found, [table[i, j] for i, j in some], rtol=1e-5)


def stars_of_the_model(rng, n):
    """Draw directions above 20 degrees, distances and magnitudes from the prior's own Galaxy."""
    from catalog_builder.builds import length_scale as model

    l, b = rng.uniform(0, 180, 40), rng.choice([-1, 1], 40) * rng.uniform(20, 90, 40)  # noqa: E741
    counts = np.cumsum(model.counts_along(l, b), axis=1)
    dim = model.dimming(np.deg2rad(l), np.deg2rad(b), model._DISTANCES)
    which = rng.integers(0, 40, n)
    place = (counts[which] < rng.random(n)[:, None]).sum(axis=1)
    distance = model._DISTANCES[place] * np.exp(0.0235 * (rng.random(n) - 0.5))
    modulus, l, b = 5 * np.log10(100 * distance) + dim[which, place], l[which], b[which]  # noqa: E741
    grid = np.linspace(-6, 16, 400)
    top = model.brighter_than(20 - modulus)
    absolute = np.interp(rng.random(n) * top, model.brighter_than(grid), grid)
    return to(l, b), distance, absolute + modulus


def stars_of_another_galaxy(rng, n):
    """Draw directions, distances and magnitudes to G = 20 from the simulator's Galaxy.

    Its densities and dust are not those behind the length scale; the luminosity function is
    a power law, cut at M = 9.
    """
    from catalog_builder.simulate.population import galaxy

    r = np.geomspace(0.02, 40.0, 300)
    l, b = rng.uniform(0, 360, n), np.rad2deg(np.arcsin(rng.uniform(-1, 1, n)))  # noqa: E741
    density = galaxy.densities(*galaxy.galactocentric(l[:, None], b[:, None], r[None])).sum(axis=0)
    knots = r[::20]
    dust = np.stack([galaxy.extinction(l, b, np.full(n, at)) for at in knots], axis=1)
    dim = np.stack([np.interp(r, knots, one) for one in dust])
    faintest = np.minimum(20.0 - 5 * np.log10(100 * r) - 0.86 * dim, 9.0)
    weight = r**3 * density * 10 ** (0.3 * faintest)
    shares = np.cumsum(weight, axis=1)
    # Directions with more stars are drawn more often.
    kept = rng.choice(n, n, p=shares[:, -1] / shares[:, -1].sum())
    place = (shares[kept] < (rng.random(n) * shares[kept, -1])[:, None]).sum(axis=1)
    distance = r[place] * (r[1] / r[0]) ** (rng.random(n) - 0.5)
    absolute = faintest[kept, place] + np.log10(rng.random(n)) / 0.3
    magnitude = absolute + 5 * np.log10(100 * distance) + 0.86 * dim[kept, place]
    return to(l[kept], b[kept]), distance, magnitude


@pytest.mark.parametrize(
    ("draw", "stars", "high"),
    [(stars_of_another_galaxy, 30_000, False), (stars_of_the_model, 6_000, True)],
)
def test_the_interval_holds_68_percent_in_every_bin(draw, stars, high, monkeypatch):
    rng = np.random.default_rng(8)
    direction, truth, magnitude = draw(rng, stars)
    # Standard errors of DR3 by G (Lindegren et al. 2021, A&A 649, A2, table 3, rounded).
    error = 10 ** np.interp(
        magnitude, [13, 15, 17, 18, 20, 21], np.log10([0.02, 0.03, 0.07, 0.12, 0.5, 1.3])
    )
    parallax = 1 / truth + error * rng.standard_normal(len(truth))
    monkeypatch.setattr(dist, "WIDEST", 99.0)  # those of no use count as well
    found = distances(parallax, error, prior_towards(direction))
    inside = (found.lower < truth) & (truth < found.upper)
    for low, stop in ((1, 2), (2, 3), (3, 5), (5, 8), (8, 20), (20, 1e9)):
        stars = (parallax / error >= low) & (parallax / error < stop)
        # Of 700 stars 68 +- 1.8 % lie within; of the few above 20 degrees, +- 2.5 %.
        assert stars.sum() >= (150 if high else 700)
        assert abs(inside[stars].mean() - 0.683) < 0.045 + 0.025 * high, (low, stop)
