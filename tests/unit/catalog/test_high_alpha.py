"""Shares of the high sequence, of answers that are drawn to where the teachers are."""

import numpy as np
import pytest
import xarray as xr

from catalog_builder.catalog.high_alpha import HEIGHTS, LINE, RADII, high_alpha, learn
from catalog_builder.catalog.plots import plot_shares
from catalog_builder.ground.errors import CatalogueError, ConfigError

KNOTS = tuple(np.array(LINE).T)
G = "phot_g_mean_mag"


def drawn(rng, count, high_share, faint=13.5):
    """Return truth and answers: the fainter a star, the more it is drawn to the low sequence."""
    high = rng.random(count) < high_share
    m_h = rng.normal(np.where(high, -0.4, -0.1), 0.25).clip(-0.95, 0.3)
    alpha_m = np.where(high, 0.23, 0.04) - 0.1 * m_h + rng.normal(0, 0.02, count)
    g = rng.uniform(10, faint, count)
    share = np.exp(rng.normal(-3 + 0.6 * (g - 12), 0.2)).clip(0.01, 0.8)
    answer = alpha_m + (6 * share).clip(0, 0.7) * (0.03 - alpha_m) + rng.normal(0, 0.02, count)
    truth = {"m_h": m_h, "alpha_m": alpha_m}
    return truth, {"m_h": m_h, "alpha_m": answer, "prior_share": share, G: g}


@pytest.fixture(scope="module")
def learnt():
    truth, answers = drawn(np.random.default_rng(1), 2500, 0.2)
    return learn(answers, truth, KNOTS, -1.0, G)


@pytest.fixture(scope="module")
def sky():
    rng = np.random.default_rng(2)
    radius, height = rng.uniform(4, 12, 24_000), rng.uniform(0, 4, 24_000)
    truth, answers = drawn(rng, 24_000, 0.1 + 0.05 * height + 0.02 * (12 - radius))
    place = {"galactocentric_radius": radius, "galactocentric_height": -height}
    above = truth["alpha_m"] > np.interp(truth["m_h"], *KNOTS)
    stars = {**answers, **place, "above": above}
    return xr.Dataset({name: ("source", values) for name, values in stars.items()})


def test_shares_hold_where_counting_does_not(learnt, sky):
    found = learnt.shares(sky)
    assert found.share.shape == (len(HEIGHTS) - 1, len(RADII) - 1)
    assert 12.5 < learnt.faintest < 13.5
    use = (sky[G] <= learnt.faintest).values
    bins = [sky[n].values[use] for n in ("galactocentric_height", "galactocentric_radius")]
    bins[0] = -bins[0]
    count, *_ = np.histogram2d(*bins, bins=(HEIGHTS, RADII))
    np.testing.assert_array_equal(found.stars, count)
    answer_above = (sky.alpha_m > np.interp(sky.m_h, *KNOTS)).values
    pulls = {}
    for name, high in (("true", sky.above.values), ("counted", answer_above)):
        of, *_ = np.histogram2d(*bins, bins=(HEIGHTS, RADII), weights=high[use])
        pulls[name] = (found.share.values - of / count) / (found.upper - found.lower).values * 2
    assert np.sqrt(np.mean(pulls["true"] ** 2)) < 1.1
    assert (pulls["counted"] > 1).mean() > 0.5  # counts lose high stars
    assert ((found.lower < found.share) & (found.share < found.upper)).all()


def test_weights_count_stars_several_times(learnt, sky):
    edges = {"radii": (4, 12), "heights": (0, 4)}
    high = sky.above.values
    more = learnt.shares(sky, **edges, weights=np.where(high, 3.0, 1.0))
    plain = learnt.shares(sky, **edges)
    assert float(more.share[0, 0]) > float(plain.share[0, 0]) + 0.1
    assert (more.upper - more.lower).item() > (plain.upper - plain.lower).item()
    with pytest.raises(ConfigError, match="24000 stars"):
        learnt.shares(sky, weights=[1.0])


def test_what_is_null_halo_or_faint_has_no_part(learnt, sky):
    few = sky.isel(source=slice(0, 5)).copy(deep=True)
    few.m_h[0], few.alpha_m[1], few.prior_share[2] = -1.5, np.nan, np.nan
    assert np.isnan(learnt.probability(few)).tolist() == [True] * 3 + [False] * 2
    edges = {"radii": (0, 99), "heights": (0, 99)}
    assert learnt.shares(few, **edges, faintest=99, fewest=1).stars.item() == 2
    empty = learnt.shares(few, **edges, faintest=5, fewest=1)
    assert empty.stars.item() == 0
    assert np.isnan(empty.share.item())


def test_shares_are_drawn(learnt, sky):
    from matplotlib import pyplot as plt

    ax = plot_shares(learnt.shares(sky))
    assert len(ax.texts) == (len(HEIGHTS) - 1) * (len(RADII) - 1)
    plt.close("all")


def test_what_cannot_be_learnt_is_said(pristine, sky, learnt):
    with pytest.raises(CatalogueError, match="no table training_labels"):
        high_alpha(pristine)
    truth, answers = drawn(np.random.default_rng(3), 200, 0.02)
    with pytest.raises(CatalogueError, match="30 of each"):
        learn(answers, truth, KNOTS, -1.0, G)
    with pytest.raises(ConfigError, match="rising"):
        high_alpha(pristine, [(0.2, 0.1), (0.0, 0.2)])
    with pytest.raises(ConfigError, match="rise"):
        learnt.shares(sky, radii=(4, 4))
    with pytest.raises(CatalogueError, match="no column prior_share"):
        learnt.probability(sky.drop_vars("prior_share"))
