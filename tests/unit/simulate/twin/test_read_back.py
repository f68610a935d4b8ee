"""What two releases have of the same stars comes out of ingest as it was made."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.matrices import place_matrices
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import FeatureStore
from tests.unit.simulate.twin.reading import truth


def _ingested(archive, description, folder):
    """Return the features of all partitions."""
    release = place_matrices(load_release(description), str(archive), None)
    blocks = []
    for partition in list_partitions(str(archive), release):
        out = folder / partition.name
        ingest_partition(partition, release, IngestSettings(), out)
        blocks.append(FeatureStore(out).read(slice(None)))
    names = [name for name in blocks[0] if len(blocks[0][name]) == len(blocks[0]["source_id"])]
    return {n: np.concatenate([block[n] for block in blocks]) for n in names}


@pytest.fixture(scope="module")
def later(twins, regions, tmp_path_factory):
    """Features of the later release, of each layout."""
    return {
        layout: _ingested(sky.later_archive, sky.description, tmp_path_factory.mktemp(layout))
        for layout, sky in (("ranges", twins), ("regions", regions))
    }


@pytest.fixture(scope="module")
def both(twins, later, tmp_path_factory):
    """Features of the same stars in the older release and in the later one."""
    older = _ingested(twins.older_archive, "dr3", tmp_path_factory.mktemp("older"))
    new = truth(twins.later_archive)
    ids = dict(new.select("source_id", "dr3_source_id").iter_rows())
    block = later["ranges"]
    old_ids = np.array([ids[one] for one in block["source_id"].tolist()])
    _, at_old, at_new = np.intersect1d(older["source_id"], old_ids, return_indices=True)
    return {k: v[at_old] for k, v in older.items()}, {k: v[at_new] for k, v in block.items()}


def test_layouts_give_the_same_features(later):
    one, other = later["ranges"], later["regions"]
    for name, values in one.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(values, other[name], rtol=2e-5, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(values, other[name], name)


def test_stars_have_what_the_truth_says(twins, later):
    block, true = later["ranges"], truth(twins.later_archive)
    bright = true.filter(
        (pl.col("has_rvs") & (pl.col("rvs_spec_sig_to_noise") >= 15.0))
        | (pl.col("has_xp_continuous") & ~pl.col("wart").str.contains("missing_bp"))
    )
    assert set(bright["source_id"]) == set(block["source_id"].tolist())
    # Fainter spectra are there, and not used.
    assert true["has_rvs"].sum() > block["has_rvs"].sum()
    assert block["rvs_spec_sig_to_noise"][block["has_rvs"]].min() >= 15.0


def test_noise_of_the_same_stars_is_smaller_and_shared(both):
    older, newer = both
    for name in ("rvs", "xp"):
        has = older[f"has_{name}"] & newer[f"has_{name}"]
        one, other = (side[f"{name}_flux_error"][has] for side in both)
        seen = (one > 0) & (other > 0)
        assert np.median(other[seen] / one[seen]) == pytest.approx(0.71, abs=0.05)
        difference = (newer[f"{name}_flux"][has] - older[f"{name}_flux"][has])[seen]
        expected = np.sqrt(np.maximum(one[seen] ** 2 - other[seen] ** 2, 1e-20))
        width = 1.4826 * np.median(np.abs(difference / expected))
        # Fitted continua are drawn anew, which bright spectra show.
        assert 0.9 < width < 1.3, name


def test_parallaxes_are_corrected_by_the_bias_or_the_fallback(twins, both):
    true = truth(twins.later_archive)
    distance = dict(true.select("source_id", "distance").iter_rows())
    newer = both[1]
    given = np.isfinite(newer["parallax"])
    assert np.isfinite(newer["parallax_corrected"]).sum() == given.sum() > 100
    fallback = newer["parallax_fallback"].astype(bool)
    assert 0 < fallback.sum() < 0.2 * given.sum()
    exact = np.array([1.0 / distance[one] for one in newer["source_id"].tolist()])
    pulls = (newer["parallax_corrected"] - exact) / newer["parallax_error"]
    assert np.median(pulls[given]) == pytest.approx(0.0, abs=0.25)
    assert 1.4826 * np.median(np.abs(pulls[given])) == pytest.approx(1.0, abs=0.25)
    np.testing.assert_array_equal(fallback, given & ~np.isfinite(newer["tentative_parallax_bias"]))
