"""The measures of anomalies themselves, on stars whose answer is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from catalog_builder.contract.distances import distances_of
from catalog_builder.labels.agreed import default_contract, default_schema
from tests.benchmarks.science.anomalies import (
    Stars,
    classes,
    rejection,
    roc_area,
    single_tests,
    strong,
    tiers,
)

LABELS = default_contract().labels.names
DISTANCES = distances_of(default_contract().inputs)


def invent(stars: int = 2000) -> Stars:
    """Return stars of which every tenth is spoilt: half of those seen, half without RVS."""
    rng = np.random.default_rng(0)
    star = np.arange(stars)
    spoilt, rvs = star % 10 == 0, star % 20 != 10
    columns = {name: rng.uniform(0.0, 1.0, stars) for name in DISTANCES}
    columns["rvs_misfit"] = np.where(spoilt & rvs, 3.0, columns["rvs_misfit"])
    columns |= {name: np.where(spoilt & rvs, 5.0, rng.normal(0, 1, stars)) for name in LABELS}
    columns |= {
        "source_id": star * 7 + 1,
        "quality_tier": np.where(spoilt & rvs, 3, 1).astype(np.uint8),
        "flags": np.zeros(stars, dtype=np.int64),
        "rvs_spec_sig_to_noise": np.full(stars, 30.0),
        "phot_g_mean_mag": np.full(stars, 12.0),
        "has_rvs": rvs,
    }
    anomaly = np.where(spoilt, "cosmic_spikes", "").tolist()
    truth = {
        "source_id": star * 7 + 1,
        "anomaly": anomaly,
        **dict.fromkeys(LABELS, np.zeros(stars)),
    }
    return Stars.of(columns, pl.DataFrame(truth))


def test_area_of_chance_order_and_of_perfect_order():
    values = np.arange(10.0)
    assert roc_area(values, values) == 0.5
    assert roc_area(values, values + 10.0) == 1.0
    assert roc_area(values + 10.0, values) == 0.0


def test_only_stars_that_can_show_it_count():
    (found,) = classes(invent())
    assert (found["class"], found["with_rvs"], found["n"]) == ("cosmic_spikes", True, 100)
    assert found["roc_area"] == found["caught"] == found["flagged"] == 1.0


def test_each_test_alone():
    rows = {row["test"]: row for row in single_tests(invent())}
    assert rows["rvs_misfit"]["cosmic_spikes"] == 1.0
    assert rows["xp_distance"]["cosmic_spikes"] == pytest.approx(0.5, abs=0.1)
    assert rows["rvs_misfit"]["false"] == 0.0
    assert np.isnan(rows["rvs_misfit"]["S/N 15-25"])


def test_tiers_and_rejection_follow_the_errors():
    stars = invent()
    gold, _, care = tiers(stars, default_schema().flags)
    assert (gold["spoilt"], care["spoilt"]) == (0.0, 1.0)
    assert care["teff"] > 4 * gold["teff"]
    curve = rejection(stars)
    assert curve[0]["teff"] > curve[-1]["teff"]
    assert curve[-1]["teff"] == pytest.approx(1.0, abs=0.1)


def test_only_what_no_clean_spectrum_explains_must_be_found():
    stars = invent()
    spoilt = (stars.anomaly != "") & stars.has_rvs
    excess = np.where(np.arange(2000) % 40 == 0, 400.0, -20.0)
    excess[np.arange(2000) % 80 == 20] = np.nan
    (found,) = (row for row in strong(stars, excess) if row["class"] == "cosmic_spikes")
    assert found["fitted"] == np.sum(spoilt & ~np.isnan(excess))
    assert (found["n"], found["roc_area"], found["caught"]) == (50, 1.0, 1.0)
