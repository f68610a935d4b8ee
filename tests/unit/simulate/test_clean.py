"""A clean sky: others read every file, and its stars are those of the same seed with warts."""

from __future__ import annotations

import json
import warnings

import numpy as np
import polars as pl
import pytest
from astropy.io import fits
from astropy.table import Table

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.marks import KEYWORD, MARK_FILE, is_marked
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.sky import simulate

#: What astropy calls the formats of the files.
FORMATS = {".gz": "ascii.ecsv", ".fits": "fits", ".parquet": "parquet"}


@pytest.fixture(scope="session")
def clean(tmp_path_factory):
    """Write the sky of the fixture `sky` without its warts."""
    out = tmp_path_factory.mktemp("clean") / "archive"
    return out, simulate("dr3", 480, 7, out, clean=True)


def _tables(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in FORMATS)


def test_astropy_reads_every_file(clean):
    out, summary = clean
    files = _tables(out)
    assert len(files) == 5 * 6 + 1 + 6
    rows = dict.fromkeys(FORMATS, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for file in files:
            table = Table.read(file, format=FORMATS[file.suffix])
            rows[file.suffix] += len(table)
    label_rows, truth_rows = rows[".fits"], rows[".parquet"]
    assert rows[".gz"] == sum(summary.rows.values())
    assert (label_rows, truth_rows) == (summary.label_rows, summary.stars)


def test_the_archives_own_spelling_of_nulls_may_be_asked_for(clean):
    out, _ = clean
    for file in (path for path in _tables(out) if path.suffix == ".gz"):
        assert len(Table.read(file, format="ascii.ecsv", fill_values=[("null", "0")]))


def test_nothing_is_wrong_but_what_a_measurement_brings(clean):
    out, _ = clean
    warts = set(read_truth(out / "truth")["wart"].str.split("+").explode())
    assert warts <= {"", "xp_only", "no_parallax", "negative_parallax"}
    rows = fits.getdata(next((out / "apogee").glob("*.fits")))
    for flag in ("STARFLAG", "ASPCAPFLAG", "EXTRATARG", "FE_H_FLAG"):
        assert not rows[flag].any()
    assert len(set(rows["GAIAEDR3_SOURCE_ID"])) == len(rows)
    assert all(np.isfinite(rows[name]).all() for name in ("TEFF", "LOGG", "M_H", "FE_H"))
    assert rows["SNR"].min() >= 35.0


def test_the_truth_is_that_of_the_sky_with_warts(sky, clean):
    warted, pure = read_truth(sky[0] / "truth"), read_truth(clean[0] / "truth")
    made = ["rvs_only", "no_spectrum", "missing_bp", "no_colour"]
    spoilt = warted["wart"].str.contains_any(made)
    assert 0 < spoilt.sum() < 60
    for name in set(warted.columns) - {"wart"}:
        measured = name.startswith("has_") or name in {
            "bp_rp", "parallax", "grvs_mag", "rvs_spec_sig_to_noise",
        }  # fmt: skip
        # What a wart has hidden is now seen; what is true of a star is true with and without it.
        rows = ~spoilt if measured else pl.repeat(True, len(warted), eager=True)
        assert warted[name].filter(rows).equals(pure[name].filter(rows)), name


def test_what_was_hidden_is_there(sky, clean):
    warted, pure = read_truth(sky[0] / "truth"), read_truth(clean[0] / "truth")
    gone = warted["wart"].str.contains("no_spectrum")
    assert pure["has_xp_continuous"].filter(gone).all()
    assert clean[1].rows["rvs_mean_spectrum"] == pure["has_rvs"].sum() > warted["has_rvs"].sum()
    assert clean[1].rows["xp_sampled_mean_spectrum"] == pure["has_xp_sampled"].sum()


def test_every_file_of_either_sky_is_marked(sky, clean):
    for (out, _), is_clean in ((sky, False), (clean, True)):
        assert all(is_marked(FileRef(str(path), 0)) for path in _tables(out))
        about = json.loads((out / MARK_FILE).read_text())
        assert (about["simulated"], about["clean"], about["seed"]) == (True, is_clean, 7)
        for hdu in (0, 1):
            header = fits.getheader(next((out / "apogee").glob("*.fits")), hdu)
            assert header[KEYWORD] is True
