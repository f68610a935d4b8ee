"""Files as the archive really writes them; each test is skipped where they are absent."""

import csv

import numpy as np
import pytest
from astropy.table import Table

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.readers import read_blocks

XP = "xp_continuous_mean_spectrum"


def read_all(path, table, release, **options):
    blocks = list(read_blocks(FileRef(str(path), 0), table, release, **options))
    assert not any(block.rejects or block.cell_nulls for block in blocks)
    return {name: np.concatenate([b.columns[name] for b in blocks]) for name in blocks[0].columns}


def test_xp_coefficients_are_the_same_from_csv_ecsv_and_fits(shared_data, dr3):
    folder = shared_data / "fixtures/xp-continuous-gaiaxpy"
    for stem in ("XP_CONTINUOUS_RAW", "XP_CONTINUOUS_RAW_with_missing_BP"):
        tables = [read_all(folder / f"{stem}.{end}", XP, dr3) for end in ("csv", "ecsv", "fits")]
        for other in tables[1:]:
            for name, values in tables[0].items():
                np.testing.assert_array_equal(other[name], values, err_msg=name)


def test_a_source_without_bp(shared_data, dr3):
    path = shared_data / "fixtures/xp-continuous-gaiaxpy/XP_CONTINUOUS_RAW_with_missing_BP.ecsv"
    columns = read_all(path, XP, dr3)
    row = columns["source_id"].tolist().index(5405570973190252288)
    assert np.isnan(columns["bp_coefficients"][row]).all()
    assert np.isfinite(columns["rp_coefficients"][row]).all()
    assert columns["rp_coefficient_correlations"].shape == (3, 1485)


def test_the_same_numbers_as_astropy_reads(shared_data, dr3):
    folder = shared_data / "real-dr3/gdr3/gaia_source"
    path = folder / "GaiaSource_058514-117140.csv.gz"
    columns = read_all(path, "gaia_source", dr3)
    expected = Table.read(path, format="ascii.ecsv", fill_values=[("null", "0")])
    assert columns["source_id"].tolist() == expected["source_id"].tolist()
    for name in ("ra", "dec", "phot_g_mean_mag", "phot_bp_mean_mag", "parallax"):
        theirs = np.ma.filled(np.ma.asarray(expected[name], dtype=columns[name].dtype), np.nan)
        np.testing.assert_array_equal(columns[name], theirs, err_msg=name)


def test_real_rvs_spectra(shared_data, dr3):
    spectra = {}
    for part in list_partitions(str(shared_data / "real-dr3"), dr3):
        if "rvs_mean_spectrum" in part.files:
            columns = read_all(part.files["rvs_mean_spectrum"][0].url, "rvs_mean_spectrum", dr3)
            spectra |= dict(zip(columns["source_id"].tolist(), columns["flux"], strict=True))
    raw = shared_data / "fixtures/rvs-raw"
    for name in ("HD176650", "GaiaDR3-1535964555128078720", "Kepler-409"):
        with (raw / f"{name}.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        flux = np.array([float(row["flux"] or "nan") for row in rows], np.float32)
        known = np.isfinite(flux)
        assert known.sum() > 2300
        np.testing.assert_array_equal(spectra[int(rows[0]["source_id"])][known], flux[known])


@pytest.mark.parametrize("block_rows", [500, 2048])
def test_real_xp_partition(shared_data, dr3, block_rows):
    part = list_partitions(str(shared_data / "real-dr3"), dr3, ["000000-023055"])[0]
    file = part.files["xp_sampled_mean_spectrum"][0]
    blocks = list(read_blocks(file, "xp_sampled_mean_spectrum", dr3, block_rows=block_rows))
    assert sum(block.n_rows for block in blocks) == 1750
    flux = np.concatenate([block.columns["flux"] for block in blocks])
    assert np.isfinite(flux).all()
    assert 1e-19 < np.median(flux) < 1e-13
    pixel = np.concatenate([b.columns["source_id"] for b in blocks]) >> 43
    assert part.start <= pixel.min()
    assert pixel.max() <= part.stop
