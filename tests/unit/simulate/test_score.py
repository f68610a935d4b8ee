"""Truth against catalogue."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import xarray as xr

from catalog_builder.ground.errors import InputError
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.simulate.score import default_warning_bits, score, score_in_words

WARNING = 1 << 20
LABEL_NAMES = default_contract().labels.names


def _truth(tmp_path, n=4000):
    source_id = np.arange(n) * 10 + 1
    anomaly = np.where(np.arange(n) % 10 == 0, "hot_star", "")
    labels = {name: np.linspace(0.0, 1.0, n) for name in LABEL_NAMES}
    frame = pl.DataFrame({"source_id": source_id, "anomaly": anomaly.tolist(), **labels})
    # Two files, in the wrong order.
    frame[n // 2 :].write_parquet(tmp_path / "truth_a.parquet")
    frame[: n // 2].write_parquet(tmp_path / "truth_b.parquet")
    return frame


def _catalogue(frame, sigma=0.1, inflate=1.0, bias=0.0):
    rng = np.random.default_rng(0)
    n = len(frame)
    hot = (frame["anomaly"] == "hot_star").to_numpy()
    columns = {"source_id": frame["source_id"].to_numpy(), "flags": np.where(hot, WARNING, 0)}
    for name in LABEL_NAMES:
        noise = sigma * rng.standard_normal(n)
        columns[name] = frame[name].to_numpy() + bias + np.where(hot, 5.0, noise)
        columns[f"e_{name}"] = np.full(n, sigma * inflate)
        columns[f"e95_{name}"] = 1.96 * columns[f"e_{name}"]
    return xr.Dataset({name: ("row", values) for name, values in columns.items()})


def test_honest_errors_cover_as_often_as_they_say(tmp_path):
    found = score(_catalogue(_truth(tmp_path), bias=0.03), tmp_path, WARNING)
    assert [one.name for one in found.labels] == list(LABEL_NAMES)
    for one in found.labels:
        assert one.stars == 3600
        assert one.bias == pytest.approx(0.03, abs=0.01)
        assert one.scatter == pytest.approx(0.1, rel=0.05)
        assert 0.60 <= one.coverage_68 <= 0.76
        assert 0.90 <= one.coverage_95 <= 0.98
    assert found.coverage_within(0.60, 0.76)


def test_too_small_errors_are_found_out(tmp_path):
    found = score(_catalogue(_truth(tmp_path), inflate=0.5), tmp_path, WARNING)
    assert not found.coverage_within(0.60, 0.76)


def test_share_of_each_class_flagged(tmp_path):
    frame = _truth(tmp_path)
    found = score(_catalogue(frame), tmp_path, WARNING)
    assert {one.name: one.flagged for one in found.anomalies} == {"": 0.0, "hot_star": 1.0}
    found = score(_catalogue(frame), tmp_path, 1 << 21)
    assert {one.name: one.flagged for one in found.anomalies} == {"": 0.0, "hot_star": 0.0}


def test_a_row_without_labels_counts_as_flagged(tmp_path):
    frame = _truth(tmp_path)
    catalogue = _catalogue(frame)
    for name in LABEL_NAMES:
        catalogue[name][1] = np.nan
    found = score(catalogue, tmp_path, WARNING)
    assert found.anomalies[0].flagged == pytest.approx(1 / 3600)
    assert found.labels[0].stars == 3599


def test_rows_that_are_not_in_the_truth_are_counted(tmp_path):
    frame = _truth(tmp_path)
    catalogue = _catalogue(frame)
    catalogue["source_id"] = catalogue["source_id"] + (np.arange(len(frame)) == 5)
    found = score(catalogue, tmp_path, WARNING)
    assert found.unknown == 1
    assert "1 rows are not in the truth" in score_in_words(found)


def test_part_of_the_rows_can_be_scored(tmp_path):
    frame = _truth(tmp_path)
    where = np.arange(len(frame)) < 100
    assert score(_catalogue(frame), tmp_path, WARNING, where=where).stars == 100


def test_words_name_labels_and_classes(tmp_path):
    words = score_in_words(score(_catalogue(_truth(tmp_path)), tmp_path, WARNING))
    assert all(name in words for name in (*LABEL_NAMES, "hot_star", "(none)"))


def test_tiers_are_scored_where_there_are_any(tmp_path):
    frame = _truth(tmp_path)
    catalogue = _catalogue(frame)
    assert score(catalogue, tmp_path, WARNING).tiers == ()
    hot = (frame["anomaly"] == "hot_star").to_numpy()
    catalogue["quality_tier"] = ("row", np.where(hot, 3, 1).astype(np.uint8))
    found = score(catalogue, tmp_path, WARNING)
    assert [(one.name, one.stars) for one in found.tiers] == [
        ("gold", 3600),
        ("silver", 0),
        ("use_with_care", 400),
    ]
    assert (found.tiers[0].anomalous, found.tiers[2].anomalous) == (0.0, 1.0)
    assert "use_with_care" in score_in_words(found)


def test_default_bits_are_warnings_and_not_what_was_used():
    bits = default_warning_bits()
    schema = default_schema().flags
    assert bits & schema["not_predicted"].mask
    assert not bits & schema["rvs_used"].mask
    assert not bits & schema["rvs_low_snr"].mask
    assert bits & schema["rvs_unlike_any_star"].mask
    assert bits & schema["teff_outside_range"].mask


def test_truth_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="truth_"):
        score(_catalogue(_truth(tmp_path)), tmp_path / "none", WARNING)
