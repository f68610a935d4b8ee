"""What readers ask first, answered on top of the page."""

import numpy as np
import pytest

from catalog_builder.report import brief, reasons
from catalog_builder.report.known import Known
from catalog_builder.report.labelled import Edges, Labelled
from catalog_builder.report.summary import Summary
from tests.unit.report.test_page import Page

STARS = 3000
EDGES = Edges((15.0, 25.0, 50.0, 100.0), (11.0, 13.0, 14.0))


@pytest.fixture(scope="module")
def rows(make_rows):
    columns = make_rows(STARS)
    columns["training_split"] = np.zeros(STARS, dtype="u1")
    columns["distance"] = np.where(np.arange(STARS) % 2, 400.0, 4000.0).astype("f4")
    columns["prior_share"] = np.where(np.arange(STARS) % 4, 0.1, 0.9).astype("f4")
    return columns


@pytest.fixture(scope="module")
def labelled(schema, rows):
    """Return sums: of gold stars sigma is right, of others by half too small; [Fe/H] says least."""
    rng, sums = np.random.default_rng(3), Labelled(schema, EDGES)
    names = schema.contract.labels.names
    mean, sigma = (np.stack([rows[p + n] for n in names], axis=1) for p in ("", "e_"))
    wrong = np.where(rows["quality_tier"] == 1, 1.0, 1.5)[:, None]
    noise = wrong * sigma * rng.standard_normal(mean.shape)
    noise[:, names.index("fe_h")] *= 3
    sums.add(rows, mean - noise, np.zeros(mean.shape))
    return sums


def summed(schema, rows):
    summary = Summary(schema)
    summary.add(rows)
    return summary


def answers(*given):
    return {row[0]: row[1] for row in Page(brief.section(*given)).rows if len(row) == 2}


def test_the_label_that_says_least_and_the_tiers_near_the_sun_are_told(
    schema, rows, labelled, make_record
):
    told = answers(summed(schema, rows), make_record(STARS), schema, Known(labelled))
    assert told["Which label is least to be trusted?"].startswith("[Fe/H], off by 0.")
    assert "With RVS, 15 ≤ S/N < 25: [Fe/H]" in told["Which label is least to be trusted?"]
    gold = told["May I use gold stars, and those near the Sun?"]
    assert "Gold: σ is too small for [Fe/H]; the worst is [Fe/H]" in gold
    assert "Gold, within 1 kpc of the Sun:" in gold
    assert "σ is too small for" in told["Do the uncertainties hold?"]
    left_out = told["Which stars are to be left out?"]
    assert "Keep quality_tier 1 and 2: that leaves out 1\u202f000 stars" in left_out
    assert "prior_share > 0.5, too: 750 stars" in left_out


def test_stars_near_the_sun_are_those_within_a_kiloparsec(rows, labelled):
    place = labelled.cell("near"), labelled.cell("tier")
    near, all_ = (labelled.measured("teff", one).stars for one in place)
    gold = (rows["quality_tier"] == 1) & np.isfinite(rows["teff"])
    assert (near, all_) == ((gold & (rows["distance"] < 1000)).sum(), gold.sum())


def test_without_stars_with_labels_the_model_s_test_stars_say_it(schema, rows, make_record):
    told = answers(summed(schema, rows), make_record(STARS), schema, Known())
    assert "of the model's test stars" in told["Do the uncertainties hold?"].lower()
    unmeasured = {**make_record(STARS), "metrics": {}}
    told = answers(summed(schema, rows), unmeasured, schema, Known())
    assert "How much is extrapolated?" in told
    assert "Which label is least to be trusted?" not in told


def test_where_no_star_is_gold_it_says_why(schema, rows, make_record):
    poor = dict(rows, quality_tier=np.full(STARS, 2, "u1"), e_m_h=np.full(STARS, 0.19, "f4"))
    poor["e_m_h"][:300] = 0.05
    summary = summed(schema, poor)
    told = answers(summary, make_record(STARS), schema, Known())["May I use gold stars?"]
    assert told.startswith("No star is gold.")
    assert "σ([M/H]) above 0.1 dex: 90.0\u202f% of stars" in told
    page = Page(reasons.kept_out(summary, schema))
    assert ["σ([M/H]) above 0.1 dex", "2\u202f700", "90.0\u202f%"] in page.rows


def test_stars_that_networks_have_seen_say_nothing(schema, rows, labelled, make_record):
    split = np.where(np.arange(STARS) % 3, 1, 0).astype("u1")  # two of three taught
    mixed, names = Labelled(schema, EDGES), schema.contract.labels.names
    mean = np.stack([rows[name] for name in names], axis=1)
    taught = dict(rows, training_split=split)
    mixed.add(taught, mean + np.where(split, 0.0, 9.0)[:, None], np.zeros(mean.shape))
    given = summed(schema, rows), make_record(STARS), schema
    told = answers(*given, Known(mixed, saw_teachers=True))["Do the uncertainties hold?"]
    assert "without those that taught, 0\u202f% to 0\u202f% are within 1 σ" in told.replace(
        "0.0", "0"
    )
    told = answers(*given, Known(mixed))["Do the uncertainties hold?"]
    assert "Of stars with labels 6" in told
