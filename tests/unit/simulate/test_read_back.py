"""What a description adds to a simulated sky comes back out of ingest."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import FeatureStore
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.sky import simulate
from tests.unit.simulate.descriptions import save, with_third_spectrum_and_infrared


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Features of one partition, and the truth of the same stars."""
    folder = tmp_path_factory.mktemp("read-back")
    path = save(with_third_spectrum_and_infrared(), folder / "wider.yaml")
    simulate(path, 120, 5, folder / "sky", clean=True)
    release = load_release(path)
    partition = list_partitions(str(folder / "sky"), release)[0]
    ingest_partition(partition, release, IngestSettings(), folder / "features")
    block = FeatureStore(folder / "features").read(slice(None))
    truth = read_truth(folder / "sky/truth").to_dict(as_series=False)
    at = np.searchsorted(truth["source_id"], block["source_id"])
    return block, {name: np.array(values)[at] for name, values in truth.items()}


def test_who_has_what_is_read_as_it_was_written(read):
    block, truth = read
    np.testing.assert_array_equal(block["has_hr"], truth["has_hr"])
    np.testing.assert_array_equal(block["has_tmass"], np.isfinite(truth["ks_m"]))
    np.testing.assert_allclose(block["ks_m"], truth["ks_m"], rtol=1e-6)
    np.testing.assert_allclose(block["hr_snr"], truth["hr_sig_to_noise"], rtol=1e-6)
    # Codes tell a pseudo-continuum at high S/N, a constant below.
    expected = np.where(truth["hr_sig_to_noise"] >= 50, 1, np.where(truth["has_hr"], 2, 0))
    np.testing.assert_array_equal(block["hr_normalisation"], expected)


def test_lines_of_air_and_of_vacuum_come_to_the_same_place(read):
    block, truth = read
    both = block["has_hr"] & block["has_rvs"] & (truth["anomaly"] == "")
    assert both.sum() > 3
    grids = {"hr": 848.5 + 0.1 * np.arange(190), "rvs": 846.01 + 0.03 * np.arange(800)}
    centres = []
    for name, grid in grids.items():
        window = np.abs(grid - 854.444) < 0.4
        depth = np.clip(1.0 - block[f"{name}_flux"][both][:, window], 0.0, None) ** 4
        centres.append((depth * grid[window]).sum(axis=1) / depth.sum(axis=1))
    # In air they would be 0.23 nm apart.
    assert abs(np.median(centres[0] - centres[1])) < 0.01
