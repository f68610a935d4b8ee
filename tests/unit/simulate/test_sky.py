"""A whole small sky, written without a cluster."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy_healpix import lonlat_to_healpix

from catalog_builder.ground.errors import ConfigError
from catalog_builder.simulate.population.truth import ANOMALIES, LABEL_LIMITS
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.sky import plan_sky, simulate, simulate_partition
from catalog_builder.simulate.writing import label_file
from catalog_builder.simulate.writing.ecsv import md5

TABLES = {
    "gaia_source": "gdr3/gaia_source",
    "rvs_mean_spectrum": "gdr3/Spectroscopy/rvs_mean_spectrum",
    "xp_continuous_mean_spectrum": "gdr3/Spectroscopy/xp_continuous_mean_spectrum",
    "xp_sampled_mean_spectrum": "gdr3/Spectroscopy/xp_sampled_mean_spectrum",
    "astrophysical_parameters": "gdr3/Astrophysical_parameters/astrophysical_parameters",
}


def _files(out, table):
    return sorted((out / TABLES[table]).glob("*.csv.gz"))


def _ids(path):
    frame = pl.read_csv(path, comment_prefix="#", infer_schema=False, columns=["source_id"])
    return frame["source_id"].cast(pl.Int64)


def test_every_table_has_its_files_rows_and_checksums(sky):
    out, summary = sky
    assert summary.stars == 480
    assert summary.partitions == 6
    for table, folder in TABLES.items():
        files = _files(out, table)
        # One range lacks the sampled spectra.
        assert len(files) == 6 - (table == "xp_sampled_mean_spectrum")
        assert sum(len(_ids(file)) for file in files) == summary.rows[table]
        lines = (out / folder / "_MD5SUM.txt").read_text().splitlines()
        listed = dict(reversed(line.split("  ")) for line in lines)
        assert set(listed) == {"_MD5SUM.txt", *(file.name for file in files)}
        assert all(listed[file.name] == md5(file) for file in files)


def test_ids_carry_the_pixel_of_the_position_and_fit_the_file_name(sky):
    out, _ = sky
    for file in _files(out, "gaia_source"):
        table = Table.read(file, format="ascii.ecsv", fill_values=[("null", "0")])
        source_id = np.asarray(table["source_id"])
        pixel = lonlat_to_healpix(table["ra"].quantity, table["dec"].quantity, 4096, order="nested")
        np.testing.assert_array_equal(source_id >> 35, pixel)
        first, last = map(int, file.name.removesuffix(".csv.gz").split("_")[1].split("-"))
        assert np.all((source_id >> 43 >= first) & (source_id >> 43 <= last))
        assert np.all(np.diff(source_id) > 0)


def test_astropy_reads_every_undamaged_table(sky):
    out, _ = sky
    # The partitions with a damaged cell are the two after the one without sampled spectra.
    whole = 7 % 6
    for table in TABLES:
        if table == "xp_sampled_mean_spectrum":
            continue
        found = Table.read(
            _files(out, table)[whole], format="ascii.ecsv", fill_values=[("null", "0")]
        )
        assert len(found) > 0
    rvs = Table.read(
        _files(out, "rvs_mean_spectrum")[whole], format="ascii.ecsv", fill_values=[("null", "0")]
    )
    assert all(len(flux) == 2401 for flux in rvs["flux"])


def test_truth_says_what_every_star_is_and_has(sky):
    out, summary = sky
    truth = read_truth(out / "truth")
    assert len(truth) == summary.stars
    assert truth["source_id"].n_unique() == summary.stars
    assert set(truth["anomaly"].unique()) <= {"", "outside_labels", *ANOMALIES}
    assert summary.rows["rvs_mean_spectrum"] == truth["has_rvs"].sum()
    assert summary.rows["xp_continuous_mean_spectrum"] == truth["has_xp_continuous"].sum()
    gone = truth["wart"].str.contains("missing_file_xp_sampled_mean_spectrum")
    assert summary.rows["xp_sampled_mean_spectrum"] == truth["has_xp_sampled"].sum() - gone.sum()
    published = truth.filter(pl.col("has_rvs"))["rvs_spec_sig_to_noise"]
    assert published.min() >= 15.0


def test_every_kind_of_damage_is_named_once_in_the_truth(sky):
    out, _ = sky
    warts = read_truth(out / "truth")["wart"].str.split("+").explode().value_counts()
    counts = dict(warts.iter_rows())
    assert counts["corrupt_rvs_mean_spectrum_flux"] == 1
    assert counts["corrupt_xp_continuous_mean_spectrum_bp_basis_function_id"] == 1
    assert {"no_spectrum", "rvs_only", "xp_only", "apogee_duplicate"} <= set(counts)


def test_label_file_has_the_columns_and_ids_of_the_survey(sky):
    out, summary = sky
    path = out / "apogee/allStar-dr17-synspec_rev1.fits"
    with fits.open(path) as hdus:
        hdus.verify("exception")
        rows = hdus[1].data
        assert rows.dtype.names == label_file.DTYPE.names
        assert len(rows) == summary.label_rows
        source_id = rows["GAIAEDR3_SOURCE_ID"].astype(np.int64)
        teff = rows["TEFF"].astype(np.float64)
    truth = read_truth(out / "truth").filter(pl.col("in_apogee"))
    assert set(source_id) == set(truth["source_id"].to_list())
    assert len(source_id) > len(set(source_id))  # duplicates
    low, high = LABEL_LIMITS["teff"]
    assert truth["teff"].min() >= low
    assert truth["teff"].max() <= high
    true = dict(zip(truth["source_id"], truth["teff"], strict=True))
    difference = np.array([value - true[key] for key, value in zip(source_id, teff, strict=True)])
    assert 5.0 < 1.4826 * np.median(np.abs(difference[teff > 0.0])) < 40.0


def test_about_names_the_release_and_seed(sky):
    out, _ = sky
    about = json.loads((out / "truth/about.json").read_text())
    assert (about["release"], about["seed"], about["stars"]) == ("dr3", 7, 480)


def test_a_partition_alone_is_the_same_as_in_the_whole(sky, tmp_path):
    out, _ = sky
    plan = plan_sky("dr3", 480, 7, tmp_path / "archive")[3]
    for folder in ("truth", "apogee/.parts", *TABLES.values()):
        (tmp_path / "archive" / folder).mkdir(parents=True)
    receipt = simulate_partition(plan)
    assert receipt.rows["gaia_source"] == 80
    alone = list((tmp_path / "archive").rglob("*.csv.gz"))
    assert len(alone) == 5
    for path in alone:
        twin = out / path.relative_to(tmp_path / "archive")
        assert path.read_bytes() == twin.read_bytes()


def test_another_seed_gives_other_stars(sky, tmp_path):
    out, _ = sky
    simulate("dr3", 120, 8, tmp_path / "archive")
    here, there = read_truth(tmp_path / "archive/truth"), read_truth(out / "truth")
    assert not set(here["source_id"]) & set(there["source_id"])


def test_settings_that_make_no_sense_are_refused(sky, tmp_path):
    with pytest.raises(ConfigError, match="too few"):
        simulate("dr3", 10, 0, tmp_path / "a")
    with pytest.raises(ConfigError, match="negative"):
        simulate("dr3", 500, -1, tmp_path / "a")
    with pytest.raises(ConfigError, match="share"):
        simulate("dr3", 500, 1, tmp_path / "a", apogee_share=2.0)
    with pytest.raises(ConfigError, match="not an empty folder"):
        simulate("dr3", 500, 1, sky[0])


def test_what_a_star_has_agrees_with_its_warts(sky):
    out, _ = sky
    truth = read_truth(out / "truth")
    has_rvs, has_xp = truth["has_rvs"].to_numpy(), truth["has_xp_continuous"].to_numpy()
    for name, expected in (
        ("rvs_only", has_rvs & ~has_xp),
        ("xp_only", has_xp & ~has_rvs),
        ("no_spectrum", ~has_xp & ~has_rvs),
    ):
        named = truth["wart"].str.split("+").list.contains(name).to_numpy()
        np.testing.assert_array_equal(named, expected, err_msg=name)
