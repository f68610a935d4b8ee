"""Pictures of a catalogue hold the stars that they say."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from astropy.table import QTable

from catalog_builder import plot_abundances, plot_abundances_by_place, plot_kiel, plot_shares
from catalog_builder.ground.errors import CatalogueError


@pytest.fixture(autouse=True)
def without_a_window():
    from matplotlib import pyplot as plt

    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def catalogue(n):
    rng = np.random.default_rng(1)
    columns = {
        "teff": rng.normal(5000, 500, n),
        "logg": rng.normal(3, 1, n),
        "m_h": rng.normal(-0.2, 0.3, n),
        "alpha_m": rng.normal(0.1, 0.05, n),
        "galactocentric_radius": rng.uniform(3, 15, n),
        "galactocentric_height": rng.uniform(-2, 2, n),
        "quality_tier": rng.integers(0, 4, n).astype("u1"),
    }
    columns["teff"][:5] = np.nan
    return xr.Dataset({name: ("source", values) for name, values in columns.items()})


def drawn(ax):
    return sum(len(line.get_xdata()) for line in ax.lines)


def test_points_are_the_trusted_stars_with_both_labels():
    stars = catalogue(600)
    tier = stars.quality_tier.values
    good = (tier == 1) | (tier == 2)
    ax = plot_kiel(stars)
    assert drawn(ax) == (good & np.isfinite(stars.teff.values)).sum()
    assert ax.xaxis.get_inverted()
    assert ax.yaxis.get_inverted()
    assert drawn(plot_abundances(stars, tiers=())) == 600


def test_many_stars_are_a_density():
    ax = plot_abundances(catalogue(20_000))
    assert not ax.lines
    (mesh,) = ax.collections
    tier = catalogue(20_000).quality_tier.values
    shown = np.nansum(mesh.get_array())
    assert shown == pytest.approx(((tier == 1) | (tier == 2)).sum(), rel=0.02)


def test_panels_hold_the_stars_of_their_place():
    stars = catalogue(900)
    figure = plot_abundances_by_place(stars, radii=(3, 9, 15), heights=(0, 1, 2))
    numbers = [int(ax.texts[0].get_text()) for ax in figure.axes]
    tier = stars.quality_tier.values
    good = (tier == 1) | (tier == 2)
    inside = stars.galactocentric_radius.values < 9
    low = np.abs(stars.galactocentric_height.values) < 1
    expected = [(good & r & z).sum() for z in (~low, low) for r in (inside, ~inside)]
    assert numbers == expected
    assert [drawn(ax) for ax in figure.axes] == expected


def test_panels_of_many_and_of_few_stars_have_the_same_colours():
    figure = plot_abundances_by_place(catalogue(40_000), (3, 4, 15), (0, 2), tiers=())
    few, many, bar = figure.axes
    (one,), (other,) = few.collections, many.collections
    assert one.norm is other.norm
    assert bar.get_ylabel() == "stars in a cell"
    assert not few.lines


@pytest.mark.parametrize(
    ("words", "mark"),
    [
        ("Every star of this catalogue came from a simulation.", "SIMULATED STARS"),
        ("Some stars of this catalogue (1 of 2 partitions) ...", "PARTLY SIMULATED STARS"),
        ("The model that made the labels was trained on ...", "SIMULATED TRAINING STARS"),
        ("", ""),
    ],
)
def test_what_is_simulated_stands_on_the_picture(words, mark):
    stars = catalogue(300).assign_attrs({"simulated": words} if words else {})
    assert plot_kiel(stars.isel(source=slice(0, 200))).get_title() == mark
    assert plot_abundances_by_place(stars).get_suptitle() == mark
    table = QTable({name: stars[name].values for name in stars.variables}, meta=stars.attrs)
    assert plot_abundances(table).get_title() == mark
    edges = {"radii": [0, 1], "heights": [0, 1]}
    one = ("height", "radius"), [[0.5]]
    middles = {"height": [0.5], "radius": [0.5]}
    shares = xr.Dataset(dict.fromkeys(("share", "lower", "upper"), one), middles)
    assert plot_shares(shares.assign_attrs(edges | stars.attrs)).get_title() == mark


def test_a_table_of_astropy_and_a_selection_are_taken_too():
    stars = catalogue(300)
    table = QTable({name: stars[name].values for name in stars.variables})
    assert drawn(plot_kiel(table)) == drawn(plot_kiel(stars))
    assert drawn(plot_kiel(stars.isel(source=slice(0, 50)))) < 50


def test_a_missing_column_is_named():
    with pytest.raises(CatalogueError, match="no column galactocentric_radius"):
        plot_abundances_by_place(catalogue(10).drop_vars("galactocentric_radius"))
