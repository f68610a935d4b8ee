"""A release with another layout is simulated from its description alone."""

from __future__ import annotations

import gzip

import numpy as np
import polars as pl
import pytest
import yaml

from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.sky import simulate


@pytest.fixture
def description():
    return yaml.safe_load((schemas_dir() / "releases/dr3.yaml").read_text())


def _save(description, tmp_path):
    path = tmp_path / "rehearsal.yaml"
    path.write_text(yaml.safe_dump(description))
    return str(path)


def test_grid_names_folders_and_frame_follow_the_description(description, tmp_path):
    description["name"] = "rehearsal"
    rvs = description["spectra"]["rvs"]
    rvs["grid"] = {"start": 846.0, "step": 0.025, "count": 961, "unit": "nm"}
    rvs["frame"] = "barycentric"
    table = description["tables"]["rvs_mean_spectrum"]
    table |= {"stem": "MeanRvs_", "folders": ["gdr9/rvs"]}
    for column in ("flux", "flux_error"):
        table["columns"][column]["length"] = 961
    table["columns"]["flux"]["names"] = ["flux_norm"]
    del description["tables"]["xp_continuous_mean_spectrum"]
    del description["spectra"]["xp"]["products"][0]
    description["driving_tables"].remove("xp_continuous_mean_spectrum")
    simulate(_save(description, tmp_path), 300, 0, tmp_path / "sky")

    files = sorted((tmp_path / "sky/gdr9/rvs").glob("MeanRvs_*.csv.gz"))
    assert len(files) == 6
    rows = gzip.decompress(files[0].read_bytes()).decode().splitlines()
    names = next(row for row in rows if not row.startswith("#")).split(",")
    assert "flux_norm" in names
    frame = pl.read_csv(files[0], comment_prefix="#", columns=["source_id", "flux_norm"])
    flux = np.array(
        frame["flux_norm"].str.strip_chars("[]").str.split(",").cast(pl.List(pl.Float64)).to_list()
    )
    assert flux.shape[1] == 961
    assert not (tmp_path / "sky/gdr3/Spectroscopy/xp_continuous_mean_spectrum").exists()

    # The deepest line of late-type stars, Ca II 854.4, moves with the radial velocity.
    truth = read_truth(tmp_path / "sky/truth").filter(
        (pl.col("anomaly") == "") & (pl.col("true_radial_velocity").abs() < 60.0)
    )
    known = dict(zip(truth["source_id"], truth["true_radial_velocity"], strict=True))
    wavelength = 846.0 + 0.025 * np.arange(961)
    window = np.abs(wavelength - 854.444) < 0.25
    shift, expected = [], []
    for source_id, spectrum in zip(frame["source_id"], flux, strict=True):
        if source_id in known:
            depth = np.clip(1.0 - spectrum[window], 0.0, None) ** 4
            shift.append(np.sum(depth * wavelength[window]) / np.sum(depth) - 854.444)
            expected.append(known[source_id])
    assert np.corrcoef(shift, expected)[0, 1] > 0.8


def test_other_xp_spectra_are_refused(description, tmp_path):
    description["spectra"]["xp"]["products"][0]["basis"] = "xp_dr9"
    with pytest.raises(ConfigError, match="no others can be simulated"):
        simulate(_save(description, tmp_path), 300, 0, tmp_path / "sky")


def test_a_column_for_the_parallax_bias_is_filled(description, tmp_path):
    description["parallax_zero_point"] = {"rule": "column", "inputs": {"bias": "parallax_bias"}}
    columns = description["tables"]["gaia_source"]["columns"]
    columns["parallax_bias"] = {"dtype": "float64", "unit": "mas"}
    simulate(_save(description, tmp_path), 300, 0, tmp_path / "sky")
    file = next((tmp_path / "sky/gdr3/gaia_source").glob("*.csv.gz"))
    frame = pl.read_csv(file, comment_prefix="#", null_values="null")
    assert frame["parallax_bias"].null_count() == 0
