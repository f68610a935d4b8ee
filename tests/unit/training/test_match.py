"""Labels joined to features: by id, within the partition's range, nothing lost unnoticed."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_builder.features.store import FeatureWriter
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.agreed import default_contract
from catalog_builder.training.assemble import Matched, assemble_training
from catalog_builder.training.match import match_partition, write_arrays
from catalog_builder.training.settings import TrainingSettings


def write_features(path, ids):
    rows = np.full(len(ids), -1, np.int32)
    sources = {"source_id": np.array(ids, np.int64), "rvs_row": rows, "xp_row": rows}
    FeatureWriter(path, 8, default_contract().inputs).finish(
        sources, {"source_id": np.empty(0, np.int64)}
    )
    return path


def test_a_label_is_of_every_row_of_its_star(tmp_path):
    ids, stars = np.arange(10, 20), np.array([7, 9, 7, 8, 7, 9, 6, 6, 5, 8])
    rows = np.full(10, -1, np.int32)
    sources = {"source_id": ids, "star_id": stars, "rvs_row": rows, "xp_row": rows}
    FeatureWriter(tmp_path / "features", 8, default_contract().inputs).finish(
        sources, {"source_id": np.empty(0, np.int64)}
    )
    labels = write_labels(tmp_path / "labels", [1, 7, 9, 10])
    match = match_partition(tmp_path / "features", labels, 0, 100, tmp_path / "out")
    # Stars 1 and 10 have no row, 7 has three and 9 two: 10 is no spectrum's number here.
    assert (match.rows_in, match.rows_out, match.stars) == (7, 5, 2)
    group = zarr.open_group(tmp_path / "out", mode="r")
    np.testing.assert_array_equal(group["row"][:], [0, 1, 2, 4, 5])
    np.testing.assert_array_equal(group["labels"][:, 0], [7, 9, 7, 7, 9])


def write_labels(path, ids):
    ids = np.array(ids, np.int64)
    labels = np.repeat(ids[:, None], 5, axis=1).astype(np.float32)
    write_arrays(path, {"source_id": ids, "labels": labels, "label_error": labels / 10})
    return path


@settings(deadline=None, max_examples=30)
@given(
    features=st.sets(st.integers(10, 29), max_size=12),
    labels=st.sets(st.integers(0, 39), max_size=12),
)
def test_a_match_is_the_intersection_within_the_range(tmp_path_factory, features, labels):
    folder = tmp_path_factory.mktemp("match")
    stored = write_features(folder / "features", sorted(features))
    survey = write_labels(folder / "labels", sorted(labels))
    match = match_partition(stored, survey, 10, 29, folder / "out")
    both = sorted(features & labels)
    assert match.rows_in == sum(10 <= source_id <= 29 for source_id in labels)
    assert match.rows_out == len(both)
    group = zarr.open_group(folder / "out", mode="r")
    ids = np.array(sorted(features), np.int64)[group["row"][:]]
    np.testing.assert_array_equal(ids, both)
    np.testing.assert_array_equal(group["labels"][:, 0], np.array(both, np.float32))


def test_a_matchs_digest_is_that_of_its_content(tmp_path):
    stored = write_features(tmp_path / "features", range(10, 20))
    first = write_labels(tmp_path / "first", [11, 15])
    other = write_labels(tmp_path / "other", [11, 16])
    digests = [
        match_partition(stored, labels, 10, 29, tmp_path / f"out{n}").digest
        for n, labels in enumerate((first, first, other))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_training_set_without_a_star_is_refused(tmp_path):
    stored = write_features(tmp_path / "features", range(10, 20))
    match_partition(stored, write_labels(tmp_path / "labels", [1]), 10, 29, tmp_path / "out")
    nothing = Matched(stored, tmp_path / "out", 0)
    with pytest.raises(InputError, match="None of the label survey's stars") as refusal:
        assemble_training(
            [nothing], default_contract(), 0, TrainingSettings(), tmp_path / "training"
        )
    assert "--labels" in refusal.value.way_out
    assert not (tmp_path / "training").exists()
