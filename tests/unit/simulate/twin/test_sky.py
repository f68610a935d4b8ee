"""Two archives of one sky: the older as ever, the later with the same stars."""

from __future__ import annotations

import hashlib
import json

import polars as pl
import pytest
from astropy.table import Table

from catalog_builder.archive.files import make_file
from catalog_builder.archive.marks import is_marked, is_marked_archive
from catalog_builder.ground.errors import ConfigError
from catalog_builder.simulate.sky import simulate
from catalog_builder.simulate.twin.columns import FOLDERS, TABLES
from catalog_builder.simulate.twin.sky import Recipe, plan_twins, simulate_two
from tests.unit.simulate.twin.reading import read, truth


def _digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_older_archive_is_that_of_the_same_sky_alone(twins, tmp_path):
    simulate("dr3", 240, 7, tmp_path / "alone")
    assert _digests(twins.older_archive) == _digests(tmp_path / "alone")


def test_both_layouts_have_the_same_rows(twins, regions):
    assert twins.rows == regions.rows
    for table in TABLES:
        one, other = (read(sky.later_archive, table) for sky in (twins, regions))
        assert one.columns == other.columns
        assert one["source_id"].equals(other["source_id"]), table
    one, other = (read(sky.later_archive, "gaia_source") for sky in (twins, regions))
    assert one["designation"].equals(other["designation"])
    for column in (c.name for c in TABLES["gaia_source"]):
        assert one[column].is_null().equals(other[column].is_null()), column
        assert one[column].equals(other[column]), column


def test_every_star_is_in_both_by_an_id_that_the_truth_has(twins):
    old, new = truth(twins.older_archive), truth(twins.later_archive)
    ids = truth(twins.later_archive, "ids")
    assert ids["dr3_source_id"].equals(old["source_id"])
    there = ids.filter(pl.col("fate") != "taken_in")
    assert new["source_id"].equals(there["source_id"])
    assert new["dr3_source_id"].equals(there["dr3_source_id"])
    both = new.join(old, left_on="dr3_source_id", right_on="source_id", suffix="_old")
    for label in ("teff", "logg", "distance", "vsini"):
        assert both[label].equals(both[f"{label}_old"])
    sources = read(twins.later_archive, "gaia_source")
    second = ids.filter(pl.col("fate") == "split")["second_source_id"]
    assert len(second)
    expected = pl.concat([new["source_id"], second]).sort()
    assert sources["source_id"].equals(expected)


def test_the_neighbourhood_says_what_became_of_each(twins):
    ids = truth(twins.later_archive, "ids")
    near = read(twins.later_archive, "dr3_neighbourhood")
    probable = near.filter("probable_match")
    pairs = set(probable.select("dr3_source_id", "source_id").iter_rows())
    expected = set(ids.select("dr3_source_id", "source_id").iter_rows())
    split = ids.filter(pl.col("fate") == "split")
    expected |= set(split.select("dr3_source_id", "second_source_id").iter_rows())
    assert pairs == expected
    # The nearest of the probable ones is the star; who was taken in is far from who took it.
    nearest = probable.sort("angular_distance").group_by("dr3_source_id").first()
    found = ids.join(nearest, on="dr3_source_id")
    right = found.filter(pl.col("fate") != "taken_in")
    assert right["source_id"].equals(right["source_id_right"])
    assert found.filter(pl.col("fate") == "taken_in")["angular_distance"].min() > 100
    assert right["angular_distance"].max() < 30
    assert right["magnitude_difference"].abs().max() < 0.05
    others = near.filter(~pl.col("probable_match"))
    assert len(others)
    assert others["angular_distance"].min() > 300


def test_what_the_later_release_does_not_have_is_not_there(twins):
    later = twins.later_archive
    spectra = read(later, "rvs_mean_spectrum")
    assert not {"ra", "dec"} & set(spectra.columns)
    source = read(later, "gaia_source")
    gone = ("excess_factor", "params_solved", "has_", "bp_g", "g_rp")
    assert not [name for name in source.columns if any(word in name for word in gone)]
    assert not list(later.rglob("*xp_sampled*"))
    assert source["designation"].str.starts_with("Gaia DR4 ").all()
    assert (source["ref_epoch"] == 2017.5).all()
    cell = spectra["flux"][0].strip("[]").split(",")
    assert len(cell) == 961
    coefficients = read(later, "xp_continuous_mean_spectrum").drop_nulls()
    for band, count in (("bp", 51), ("rp", 55)):
        for name, length in (("coefficients", count), ("coefficient_errors", count)):
            assert coefficients[f"{band}_{name}"][0].count(",") + 1 == length
        pairs = coefficients[f"{band}_coefficient_correlations"][0].count(",") + 1
        assert pairs == count * (count - 1) // 2


def test_flags_and_spectra_agree(twins):
    later = twins.later_archive
    flags = read(later, "all_source_flags")
    for table, said in (
        ("rvs_mean_spectrum", pl.col("has_rvs") == 1),
        ("xp_continuous_mean_spectrum", pl.col("has_xp")),
    ):
        assert flags.filter(said)["source_id"].equals(read(later, table)["source_id"])


def test_pixels_are_those_of_the_ids(twins):
    source = read(twins.later_archive, "gaia_source")
    inside = (source["source_id"].to_numpy() >> 35) == (source["healpix29"].to_numpy() >> 34)
    assert inside.mean() > 0.99
    bases = (source["healpix29"] // (1 << 58)).to_list()
    assert [word[0] for word in source["healpix_id"]] == [f"{base:x}" for base in bases]
    last = (source["healpix29"] // (1 << 34) % 4).to_list()
    assert [word[-1] for word in source["healpix_id"]] == [str(digit) for digit in last]


def test_spectra_go_deeper(twins):
    old, new = (truth(one) for one in (twins.older_archive, twins.later_archive))
    assert new["has_rvs"].sum() > old["has_rvs"].sum()
    assert 3.0 <= new["rvs_spec_sig_to_noise"].fill_nan(None).min() < 15.0


def test_everything_is_marked(twins, regions):
    for sky in (twins, regions):
        assert is_marked_archive(str(sky.later_archive))
        for table in TABLES:
            folder = sky.later_archive / FOLDERS[table]
            files = [path for path in folder.rglob("*") if path.suffix in {".gz", ".parquet"}]
            assert files
            for path in files:
                assert is_marked(make_file(str(path), {"size": path.stat().st_size}), was_read=True)
        for path in sky.later_archive.glob("truth/*.parquet"):
            assert is_marked(make_file(str(path), {"size": path.stat().st_size}), was_read=True)
        about = json.loads((sky.later_archive / "SIMULATED.json").read_text())
        assert about["simulated"] is True
        assert about["twin_of"] == "dr3"


def test_a_clean_sky_is_read_by_others(tmp_path):
    made = simulate_two("dr4", "dr3", 120, 3, tmp_path / "sky", Recipe(layout="ranges"), clean=True)
    alone = simulate("dr3", 120, 3, tmp_path / "alone", clean=True)
    assert alone.rows == made.older.rows
    assert _digests(made.older_archive) == _digests(tmp_path / "alone")
    for path in sorted(made.later_archive.rglob("*.csv.gz")):
        Table.read(path, format="ascii.ecsv")
    assert set(truth(made.later_archive)["has_xp_continuous"]) == {True}


def test_labels_with_older_ids_lie_in_both(twins):
    name = "apogee/allStar-dr17-synspec_rev1.fits"
    one, other = (sky / name for sky in (twins.older_archive, twins.later_archive))
    assert one.read_bytes() == other.read_bytes()


def test_the_same_seed_gives_the_same_bytes(regions, tmp_path):
    recipe = Recipe(layout="regions", changed=0.1, split=0.05, merged=0.05)
    again = simulate_two("dr4", "dr3", 240, 7, tmp_path / "sky", recipe)
    assert _digests(again.later_archive) == _digests(regions.later_archive)


@pytest.mark.parametrize(
    ("release", "older", "recipe", "word"),
    [
        ("dr5", "dr3", Recipe(), "dr5"),
        ("dr4", "dr3", Recipe(traps=("nonsense",)), "nonsense"),
        ("dr4", "dr3", Recipe(changed=1.5), "changed"),
        ("dr4", "dr3", Recipe(changed=0.5, split=0.4), "0.8"),
        ("dr4", "dr3", Recipe(layout="hats"), "hats"),
        ("dr4", "dr4", Recipe(), "--twin-of dr4"),
    ],
)
def test_what_makes_no_sense_is_refused(release, older, recipe, word, tmp_path):
    with pytest.raises(ConfigError) as refused:
        plan_twins(release, older, 240, 1, tmp_path / "sky", recipe)
    assert word in str(refused.value)
    assert not (tmp_path / "sky").exists()
