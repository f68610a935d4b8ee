"""Traps: what each changes, and that it changes nothing else."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import yaml

from catalog_builder.archive.release import load_release
from catalog_builder.simulate.population.streams import streams
from catalog_builder.simulate.sky import make_folders, simulate_partition
from catalog_builder.simulate.twin import neighbourhood, tables
from catalog_builder.simulate.twin.again import RvsMade, observe_again
from catalog_builder.simulate.twin.describe import GRID
from catalog_builder.simulate.twin.ids import renumber
from catalog_builder.simulate.twin.recipe import Recipe
from catalog_builder.simulate.twin.sky import plan_twins, simulate_two
from catalog_builder.simulate.twin.traps import TRAPS, made_with, sprung
from tests.unit.simulate.twin.reading import read

OF_TABLES = {
    "bias-renamed": {"gaia_source"},
    "bias-flipped": {"gaia_source"},
    "photometry-elsewhere": {"gaia_source"},
    "noise-elsewhere": {"gaia_source"},
    "rvs-missing": {"rvs_mean_spectrum"},
    "flags-elsewhere": {"all_source_flags", "all_source_photometry"},
    "has-rvs-3": {"all_source_flags"},
    "xp-swapped": {"xp_continuous_mean_spectrum"},
    "photometry-swapped": {"gaia_source"},
    "ids-of-older": {"rvs_mean_spectrum", "xp_continuous_mean_spectrum"},
}
OF_SPECTRA = {"grid-half-sample", "grid-0.2nm", "all-by-median", "faint", "air"}


class _Kept:
    """Takes the tables of the first block instead of writing them."""

    def begin(self, star):
        recipe = Recipe(changed=0.2, split=0.1, merged=0.1)
        self.ids = renumber(np.random.default_rng(1), star.source_id, recipe, 400)

    def look(self, looked):
        draws, ids = streams(7, 0, 0), self.ids.rows(slice(0, len(looked.star)))
        release = load_release("dr3")
        made = RvsMade(GRID, release.spectra["rvs"].grid)
        again = observe_again(draws, looked.star, looked.seen, made)
        star = looked.star.rows(slice(None))
        star.source_id = np.where(ids.stays, ids.new, ids.old)
        g = looked.seen.magnitudes[:, 0], again.seen.magnitudes[:, 0]
        seconds = neighbourhood.seconds(draws("seconds"), star, ids, g[1])
        self.sheets = tables.make(draws, star, again, ids, release, seconds)
        mas = neighbourhood.distances(draws("places"), len(ids.old))
        near = neighbourhood.neighbourhood(draws("neighbours"), ids, mas, g, seconds)
        self.sheets["dr3_neighbourhood"] = near


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The tables of 60 stars, and their ids."""
    out = tmp_path_factory.mktemp("kept")
    plan = plan_twins("dr4", "dr3", 360, 7, out, Recipe())[0].older
    make_folders(load_release("dr3"), plan)
    found = _Kept()
    simulate_partition(plan, found)
    return found


def _same(one, other):
    """Whether two sheets have the same columns and cells."""
    if one.columns != other.columns:
        return False
    for name, values in one.values.items():
        theirs = other.values[name]
        if not np.array_equal(np.ma.getmaskarray(values), np.ma.getmaskarray(theirs)):
            return False
        data, there = np.ma.getdata(values), np.ma.getdata(theirs)
        if not np.array_equal(data, there, equal_nan=data.dtype.kind == "f"):
            return False
    return True


def test_every_trap_is_tried():
    assert set(TRAPS) == set(OF_TABLES) | OF_SPECTRA


@pytest.mark.parametrize("trap", OF_TABLES)
def test_a_trap_changes_its_tables_alone_and_not_in_place(trap, kept):
    before = {name: table.rows(np.ones(len(table), bool)) for name, table in kept.sheets.items()}
    after = sprung(kept.sheets, 1, [trap])
    changed = {
        name for name, table in before.items() if name not in after or not _same(table, after[name])
    }
    assert changed == OF_TABLES[trap]
    assert all(_same(table, kept.sheets[name]) for name, table in before.items())


def test_what_the_traps_of_tables_do(kept):
    def after(trap, index=1):
        return sprung(kept.sheets, index, [trap])

    source = kept.sheets["gaia_source"].values
    bias = "tentative_parallax_bias"
    renamed = after("bias-renamed")["gaia_source"]
    assert bias not in renamed.values
    np.testing.assert_array_equal(renamed.values["parallax_bias"], source[bias])
    np.testing.assert_array_equal(after("bias-flipped")["gaia_source"].values[bias], -source[bias])
    swapped = after("photometry-swapped")["gaia_source"].values
    np.testing.assert_array_equal(swapped["phot_bp_mean_mag"], source["phot_rp_mean_mag"])
    elsewhere = after("flags-elsewhere")
    assert not {"has_rvs", "has_xp"} & set(elsewhere["all_source_flags"].values)
    assert {"has_rvs", "has_xp"} <= set(elsewhere["all_source_photometry"].values)
    graded = after("has-rvs-3")["all_source_flags"].values["has_rvs"]
    assert set(np.unique(graded)) == {0, 3}
    assert "rvs_mean_spectrum" in after("rvs-missing", index=0)
    coefficients = after("xp-swapped")["xp_continuous_mean_spectrum"].values
    assert coefficients["bp_coefficients"].shape[1] == 55
    assert coefficients["rp_coefficients"].shape[1] == 51


def test_older_ids_are_those_of_the_same_stars(kept):
    ids = dict(zip(kept.ids.new[kept.ids.stays], kept.ids.old[kept.ids.stays], strict=True))
    for table in OF_TABLES["ids-of-older"]:
        now = kept.sheets[table].values["source_id"]
        then = sprung(kept.sheets, 0, ["ids-of-older"])[table].values["source_id"]
        assert [ids[one] for one in now] == then.tolist()
        assert (now != then).any()


def test_traps_of_spectra_change_how_they_are_made():
    made = RvsMade(GRID, GRID)
    assert made_with(made, ["grid-half-sample"]).grid.start == 846.0125
    assert made_with(made, ["grid-0.2nm"]).grid.start == 846.2
    assert made_with(made, ["air"]).medium == "air"
    assert made_with(made, ["all-by-median"]).all_by_median
    assert made_with(made, ["faint"]).most == 4.0
    assert made == RvsMade(GRID, GRID)
    assert made_with(made, OF_TABLES) == made


@pytest.mark.parametrize("layout", ["ranges", "regions"])
def test_the_description_does_not_say_it(layout, twins, regions, tmp_path):
    recipe = Recipe(
        layout=layout, changed=0.1, split=0.05, merged=0.05, traps=("bias-renamed", "rvs-missing")
    )
    made = simulate_two("dr4", "dr3", 240, 7, tmp_path / "sky", recipe)
    clean = twins if layout == "ranges" else regions
    assert made.description.read_text() == clean.description.read_text()
    said = yaml.safe_load(made.description.read_text())
    assert "tentative_parallax_bias" in said["tables"]["gaia_source"]["columns"]
    fewer = read(made.later_archive, "rvs_mean_spectrum")["source_id"]
    assert 0 < len(fewer) < clean.rows["rvs_mean_spectrum"]
    if layout == "regions":
        bias = read(made.later_archive, "gaia_source")["parallax_bias"]
        assert bias.equals(
            read(clean.later_archive, "gaia_source")["tentative_parallax_bias"].alias("other")
        )
    flags = read(made.later_archive, "all_source_flags")
    assert flags.filter(pl.col("has_rvs") == 1).height == clean.rows["rvs_mean_spectrum"]
