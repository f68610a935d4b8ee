"""Tables of blocks of any size, and of stars that have next to nothing."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.simulate.instruments.observed import observe
from catalog_builder.simulate.population.streams import streams
from catalog_builder.simulate.population.truth import draw_stars, make_hot
from catalog_builder.simulate.twin import neighbourhood, tables
from catalog_builder.simulate.twin.again import RvsMade, observe_again
from catalog_builder.simulate.twin.columns import TABLES
from catalog_builder.simulate.twin.describe import GRID
from catalog_builder.simulate.twin.ids import Ids, renumber
from catalog_builder.simulate.twin.recipe import Recipe


def _made(count, wart=None, fate=None, seed=4):
    """Return the tables of a block of so many stars, all with a wart and a fate if given."""
    release = load_release("dr3")
    rng, draws = np.random.default_rng(seed), streams(seed, 0, 0)
    star = draw_stars(rng, release, 0, 786431, count)
    if wart is not None:
        star.wart[:] = wart
    make_hot(rng, star)
    seen = observe(rng, star, release)
    old = star.source_id
    ids = renumber(rng, old, Recipe(changed=0, split=0, merged=0), 400)
    if fate == "split":
        ids = Ids(old, old + 32, np.full(count, "split"), old + 33)
    again = observe_again(draws, star, seen, RvsMade(GRID, release.spectra["rvs"].grid))
    seconds = neighbourhood.seconds(rng, star, ids, again.seen.magnitudes[:, 0])
    star.source_id = ids.new
    made = tables.make(draws, star, again, ids, release, seconds)
    g = seen.magnitudes[:, 0], again.seen.magnitudes[:, 0]
    mas = neighbourhood.distances(rng, count)
    made["dr3_neighbourhood"] = neighbourhood.neighbourhood(rng, ids, mas, g, seconds)
    return made


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("wart", [None, "no_spectrum", "rvs_only", "missing_bp", "no_colour"])
def test_a_block_of_any_size_has_all_tables(count, wart):
    made = _made(count, wart)
    assert set(made) == set(TABLES)
    assert len(made["gaia_source"]) == count
    for name, sheet in made.items():
        assert [c.name for c in sheet.columns] == [c.name for c in TABLES[name]]
        for column in sheet.columns:
            values = sheet.values[column.name]
            assert len(values) == len(sheet), f"{name}.{column.name}"
            kind = "U" if column.dtype == "string" else np.dtype(column.dtype).kind
            assert values.dtype.kind == kind, f"{name}.{column.name}"
    if wart == "no_spectrum":
        flags = made["all_source_flags"].values
        assert not flags["has_xp"].any()
        assert not flags["has_rvs"].any()
        assert len(made["rvs_mean_spectrum"]) == len(made["xp_continuous_mean_spectrum"]) == 0


def test_second_sources_are_a_place_and_a_magnitude():
    made = _made(5, fate="split")
    source = made["gaia_source"]
    assert len(source) == 10
    second = (source.values["source_id"] & 127) == 33
    assert second.sum() == 5
    for column in ("ra", "dec", "l", "b", "healpix29", "phot_g_mean_mag"):
        values = source.values[column][second]
        assert not np.ma.getmaskarray(values).any()
        assert np.isfinite(np.asarray(values, float)).all()
    for column in ("parallax", "phot_bp_mean_mag", "rvs_spec_sig_to_noise", "teff"):
        assert np.isnan(source.values[column][second]).all()
    assert (source.values["astrometric_params"][second] == 3).all()
    assert not made["all_source_flags"].values["has_rvs"][second].any()
    fainter = source.values["phot_g_mean_mag"]
    assert (fainter[second] > fainter[~second] + 1).all()
    assert not np.isin(made["rvs_mean_spectrum"].values["source_id"] & 127, 33).any()


def test_bits_of_solved_parameters_say_who_has_a_parallax():
    source = _made(400)["gaia_source"].values
    mask = np.asarray(source["astrometric_params"]).astype(np.int64)
    np.testing.assert_array_equal((mask >> 2 & 1) == 1, np.isfinite(source["parallax"]))
    six = (mask >> 6 & 1) == 1
    np.testing.assert_array_equal(six, np.isfinite(source["pseudocolour"]))
    assert (mask > 2047).any()  # orbits and accelerations, which no list of 31 and 95 has
