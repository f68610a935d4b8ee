"""Every wart of a simulated sky is in RELEASE.json, with the reason that the truth gives."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest

from catalog_builder import open_catalog
from catalog_builder.features.ledger import REASONS
from catalog_builder.features.store import FeatureStore
from catalog_builder.simulate.score import read_truth
from tests.integration.conftest import sealed

RVS = "rvs_mean_spectrum"
XP = "xp_continuous_mean_spectrum"
SAMPLED = "xp_sampled_mean_spectrum"
CORRUPT_RVS = f"corrupt_{RVS}_flux"
CORRUPT_XP = f"corrupt_{XP}_bp_basis_function_id"
MISSING_FILE = f"missing_file_{SAMPLED}"
WARTS = {
    *("rvs_only", "xp_only", "no_spectrum", "missing_bp", "no_colour", "no_parallax"),
    *("negative_parallax", CORRUPT_RVS, CORRUPT_XP, MISSING_FILE, "apogee_no_result"),
    *("apogee_star_bad", "apogee_low_snr", "apogee_bad_spectrum", "apogee_commissioning"),
    *("apogee_multiple_suspect", "apogee_duplicate", "apogee_alpha_m_missing"),
    *("apogee_fe_h_missing", "apogee_fe_h_bad", "apogee_teff_bad"),
}
#: Cuts of the survey in their order, and the defects that they are made for.
CUTS = {
    "aspcap_failed": ("apogee_no_result", "apogee_star_bad"),
    "multiple_suspect": ("apogee_multiple_suspect",),
    "bad_spectrum": ("apogee_bad_spectrum",),
    "not_a_science_target": ("apogee_commissioning",),
    "low_snr": ("apogee_low_snr",),
}


class Truth:
    """The truth of a sky: sets of source ids."""

    def __init__(self, folder):
        self.frame = read_truth(folder)
        self.warts = self.frame["wart"].str.split("+")

    def where(self, column):
        return set(self.frame.filter(pl.col(column))["source_id"])

    def wart(self, *names):
        ids = set()
        for name in names:
            ids |= set(self.frame.filter(self.warts.list.contains(name))["source_id"])
        return ids


@pytest.fixture(scope="module")
def truth(archive):
    return Truth(archive / "truth")


@pytest.fixture(scope="module")
def record(finished):
    (folder,) = sealed(finished)
    return json.loads((folder / "RELEASE.json").read_text())


@pytest.fixture(scope="module")
def catalogue(finished):
    (folder,) = sealed(finished)
    return open_catalog(folder).load()


@pytest.fixture(scope="module")
def losses(truth):
    """Sources whose RVS, and whose XP spectrum cannot be used, by the truth."""
    return truth.wart(CORRUPT_RVS), truth.wart("missing_bp") & truth.where("has_xp_continuous")


@pytest.fixture(scope="module")
def usable(truth, losses):
    """Sources with a usable RVS, and with a usable XP spectrum, by the truth."""
    without_rvs, without_xp = losses
    return truth.where("has_rvs") - without_rvs, truth.where("has_xp_continuous") - without_xp


def rejected_rows(workdir):
    """Return all rejected rows of the feature stores: (reason, source_id)."""
    rows = set()
    for receipt in (workdir / "receipts" / "ingest").glob("[!.]*.json"):
        store = FeatureStore(workdir / json.loads(receipt.read_text())["output"])
        numbers, ids = store.column("rejected_reason"), store.column("rejected_source_id")
        rows |= {(REASONS[n].value, i) for n, i in zip(numbers, ids.tolist(), strict=True)}
    return rows


def test_the_sky_has_every_kind_of_wart(truth):
    assert set(truth.warts.explode().unique()) - {""} == WARTS


def test_every_rejected_source_has_the_reason_of_its_wart(truth, record, catalogue, losses, usable):
    requested = truth.where("has_rvs") | truth.where("has_xp_continuous")
    assert not requested & truth.wart("no_spectrum")
    assert record["accounting"]["requested"] == len(requested)
    assert set(catalogue.source_id.values.tolist()) == usable[0] | usable[1]

    lost = requested - usable[0] - usable[1]
    expected = {"wrong_array_length": len(lost & losses[0])}
    expected["xp_band_missing"] = len(lost & losses[1] - losses[0])
    assert expected["xp_band_missing"] > 0
    assert record["accounting"]["rejected"] == {k: n for k, n in expected.items() if n}


def test_every_incident_has_the_grain_and_the_reason_of_its_wart(truth, record, finished, losses):
    incidents = record["incidents"]
    assert incidents["partitions"] == incidents["files"] == {}
    assert incidents["rows"] == {
        RVS: {"wrong_array_length": len(losses[0])},
        XP: {"xp_band_missing": len(losses[1])},
    }
    assert incidents["cells"] == {f"{XP}.bp_basis_function_id": len(truth.wart(CORRUPT_XP))}
    assert incidents["absent"] == {SAMPLED: len(truth.wart(MISSING_FILE))}
    expected = {("wrong_array_length", star) for star in losses[0]}
    expected |= {("xp_band_missing", star) for star in losses[1]}
    assert rejected_rows(finished) == expected


def test_each_star_says_what_it_lacks(truth, catalogue, usable):
    ids = catalogue.source_id.values

    def stars(where):
        return set(ids[where].tolist())

    published = stars(np.ones(ids.size, dtype=bool))
    has_rvs, has_xp = catalogue.has_rvs.values, catalogue.has_xp.values
    assert (stars(has_rvs), stars(has_xp)) == usable
    assert truth.wart("rvs_only") == stars(has_rvs & ~has_xp) - truth.wart("missing_bp")
    assert truth.wart("xp_only") & published == stars(has_xp & ~has_rvs) - truth.wart(CORRUPT_RVS)
    assert truth.wart("no_colour") & published == stars(np.isnan(catalogue.bp_rp.values))
    parallax = catalogue.parallax.values
    assert truth.wart("no_parallax") & published == stars(np.isnan(parallax))
    assert truth.wart("negative_parallax") & published == stars(parallax < 0)
    # A bad cell costs its cell, a missing table nothing where there is another one.
    assert truth.wart(CORRUPT_XP, MISSING_FILE) - truth.wart("missing_bp") <= stars(has_xp)


def test_every_label_left_out_has_the_reason_of_its_defect(truth, record, usable, archive):
    books = record["incidents"]["labels"]
    stars, again = truth.where("in_apogee"), truth.wart("apogee_duplicate")
    assert books["survey"] == "apogee-dr17"
    assert books["rows"] == len(stars) + len(again)

    rejected, left = Counter(), set(stars)
    for cut, defects in CUTS.items():
        bad = truth.wart(*defects) & left
        rejected[cut] = len(bad) + len(bad & again)
        left -= bad
    rejected["duplicate_observation"] = len(left & again)
    assert books["rejected"] == +rejected
    assert books["nulls"] == {
        "alpha_m_missing": len(truth.wart("apogee_alpha_m_missing") & left),
        "fe_h_bad": len(truth.wart("apogee_fe_h_bad") & left),
        "fe_h_missing": len(truth.wart("apogee_fe_h_missing") & left),
        "teff_bad": len(truth.wart("apogee_teff_bad") & left),
    }
    assert books["without_spectrum"] == len(left - usable[0] - usable[1]) > 0
