"""What readers ask first, answered on top of the page."""

import re

import numpy as np
import pytest

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.labels import Label, Labels
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.card import Card
from catalog_builder.report import brief, comparison, model_card, reasons, sections
from catalog_builder.report.html import Html, table
from catalog_builder.report.known import Known
from catalog_builder.report.labelled import Edges, Labelled
from catalog_builder.report.measured import along
from catalog_builder.report.standing import groups
from catalog_builder.report.summary import Summary
from catalog_builder.report.too_small import bins_of
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
    assert "It is clearly too small for" in told["Do the uncertainties hold?"]
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
    assert "How much is extrapolated: faint, hot, rare stars?" in told
    assert "Which label is least to be trusted?" not in told


@pytest.mark.parametrize(
    ("range_", "signs"),
    [
        ((4500.0, 8000.0), ["≥"]),
        ((5200.0, 8000.0), ["≥"]),
        ((3000.0, 6500.0), ["<"]),
        ((5200.0, 6200.0), []),
    ],
)
def test_labels_of_a_survey_without_cool_or_hot_stars_are_told(rows, make_record, range_, signs):
    """An empty list of bins was a list of floats, and the seal ended with an IndexError."""
    before = default_contract()
    changed = [
        Label.model_validate(label.model_dump() | {"range": range_})
        if label.name == "teff" else label
        for label in before.labels
    ]  # fmt: skip
    schema = CatalogSchema.of(Contract(labels=Labels(changed), inputs=before.inputs))
    columns = dict(rows, teff=np.linspace(*range_, STARS, dtype="f4"))
    names, sums = schema.contract.labels.names, Labelled(schema, EDGES)
    sums.add(columns, np.stack([columns[n] for n in names], axis=1), np.zeros((STARS, len(names))))
    found = groups(summed(schema, columns), sums, {})
    told = [one.title.split()[1] for one in found if one.division == "temperature"]
    assert told == signs
    assert sums.measured("teff", []).stars == 0
    brief.section(summed(schema, columns), make_record(STARS), schema, Known(sums))


def test_where_no_star_is_gold_it_says_why(schema, rows, make_record):
    poor = dict(rows, quality_tier=np.full(STARS, 2, "u1"), e_m_h=np.full(STARS, 0.19, "f4"))
    poor["e_m_h"][:300] = 0.05
    summary = summed(schema, poor)
    told = answers(summary, make_record(STARS), schema, Known())["May I use gold stars?"]
    assert told.startswith("No star is gold.")
    assert "σ([M/H]) above 0.1 dex: 90.0\u202f% of stars" in told
    page = Page(reasons.kept_out(summary, schema))
    assert ["σ([M/H]) above 0.1 dex", "2\u202f700", "90.0\u202f%"] in page.rows


@pytest.fixture(scope="module")
def spoilt_in_part(schema, rows):
    """Return sums in which sigma is right on average, and too small for gravities of 2.5 to 3.2."""
    rng, sums = np.random.default_rng(4), Labelled(schema, EDGES)
    names = schema.contract.labels.names
    mean, sigma = (np.stack([rows[p + n] for n in names], axis=1) for p in ("", "e_"))
    noise = sigma * rng.standard_normal(mean.shape)
    noise[:, 1] *= np.where((mean[:, 1] > 2.5) & (mean[:, 1] < 3.2), 3.0, 0.3)
    sums.add(rows, mean - noise, np.zeros(mean.shape))
    return sums


def test_outside_are_stars_with_a_one_and_not_those_with_nothing_to_test(schema, rows, make_record):
    """A share of 12.7 % stood over a table in which at most 11.2 % were outside."""
    flags = rows["flags"].copy()
    flags[:240] |= schema.flags["teff_outside_range"].mask
    flags[200:300] |= schema.flags["g_outside_range"].mask
    summary = summed(schema, dict(rows, flags=flags))
    told = answers(summary, make_record(STARS), schema, Known())
    words = told["How much is extrapolated: faint, hot, rare stars?"]
    assert words.startswith("300 stars, 10.0\u202f%, lie outside a limit")
    assert "Teff (240); G (100)." in words
    untested = STARS - 300 - summary.wholly_inside
    assert untested
    assert f"{100 * untested / STARS:.1f}\u202f% more have nothing to test" in words
    assert 'Outside a training limit</dt><dd><data value="300">' in sections.headline(
        summary, make_record(STARS)
    )


def test_a_stretch_of_bins_has_the_share_of_its_stars_and_that_of_its_worst_bin(spoilt_in_part):
    """The share of the worst bin stood for all of 0.08 to 0.2."""
    (one,) = bins_of(spoilt_in_part).stretches
    edges = along(one.quantity).edges()
    cells = np.flatnonzero((edges[:-1] >= one.low - 1e-9) & (edges[1:] <= one.high + 1e-9))
    found = spoilt_in_part.measured("logg", [spoilt_in_part.cell("own", n) for n in cells])
    assert one.quantity.name == "logg"
    assert 2.3 < one.low < one.high < 3.4
    assert (one.stars, one.within) == (found.stars, found.within_68 / found.stars)
    assert one.worst < one.within < 0.5
    assert one.low <= one.worst_low < one.worst_high <= one.high


def test_where_sigma_is_too_small_every_answer_says_so(schema, rows, spoilt_in_part, make_record):
    """It held for every label of gold stars, a line below the parts in which it does not."""
    summary = summed(schema, rows)
    told = answers(summary, make_record(STARS), schema, Known(spoilt_in_part))
    (one,) = bins_of(spoilt_in_part).stretches
    assert (
        f"clearly too small for log g {one.where} ({one.shares})"
        in told["Do the uncertainties hold?"]
    )
    gold = told["May I use gold stars, and those near the Sun?"]
    holds = "σ holds on average for every label"
    assert f"Gold: {holds} (not in the parts of their ranges named above)" in gold
    assert gold.count(holds) == gold.count("(not in the parts")
    card = Card("d" * 64, (("stars of", "A survey"),), (), (), ("It fails.",))
    page = model_card.section(card, schema.inputs, spoilt_in_part, simulated=True)
    assert f"is too small from {one.where}: {one.shares}" in page
    assert "simulated, in the layout of A survey" in page


def test_a_fold_names_its_tables_and_none_is_there_twice(schema, spoilt_in_part):
    """Under the pulls was the table of regimes again, and the first figure had the second's."""
    page = comparison.accuracy(spoilt_in_part, schema)
    captions = re.findall("<caption>(.*?)</caption>", page)
    assert len(captions) == len(set(captions)) > 8
    folds = re.findall("<summary>(.*?)</summary>(.*?)</details>", page, re.DOTALL)
    for title, inside in folds:
        assert title.split(": ", 1)[1].startswith(re.findall("<caption>(.*?)<", inside)[0])
    assert folds[1][0].startswith("Tables: Along effective temperature")
    assert "The same as a table" not in page
    assert page.count('<figure id="accuracy-along">') == 1  # where a check leads


def test_without_models_of_folds_stars_that_taught_say_nothing(schema, rows, make_record):
    """They were answered by networks that saw them: here they are all right, and others are not."""
    split = np.where(np.arange(STARS) % 3, 1, 0).astype("u1")
    columns, rng = dict(rows, training_split=split), np.random.default_rng(5)
    names, sums = schema.contract.labels.names, Labelled(schema, EDGES)
    mean, sigma = (np.stack([columns[p + n] for n in names], axis=1) for p in ("", "e_"))
    noise = sigma * rng.standard_normal(mean.shape) * np.where(split, 0.1, 3.0)[:, None]
    sums.add(columns, mean - noise, np.zeros(mean.shape))
    summary, record = summed(schema, columns), make_record(STARS)
    told = answers(summary, record, schema, Known(sums, folds=False))
    assert "of stars with survey labels that did not teach 2" in told["Do the uncertainties hold?"]
    assert "in 2.5 of 100 cases each" in brief.section(summary, record, schema, Known(sums))
    assert "networks that saw them" in comparison.accuracy(sums, schema, folds=False)
    assert "networks that saw them" not in comparison.accuracy(sums, schema)


def test_a_table_wider_than_a_phone_becomes_a_list_of_rows_with_titles():
    narrow = table("Few", ("What", "Stars"), [("gold", "1")])
    assert "stack" not in narrow
    head = ("Stars", *(Html(f"[X{n}/<i>H</i>] [dex]") for n in range(5)))
    wide = table("Many", head, [("gold", *(["0.123 · 45 %"] * 5))])
    assert '<table class="stack">' in wide
    assert '<td class="n" data-h="[X0/H] [dex]">0.123' in wide
