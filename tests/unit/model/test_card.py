"""The card of a model."""

import json
import re

import pytest

from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.card import card_of


@pytest.fixture
def document():
    measured = {
        "stars": 400, "robust_scatter": 60.0, "bias": -4.0, "rmse": 90.0, "coverage_68": 0.67,
        "coverage_95": 0.95,
    }  # fmt: skip
    few = {**measured, "stars": 3, "coverage_68": 0.0}
    return {
        "digest": "d" * 64,
        "settings": {"members": 4, "folds": 5, "epochs": 80},
        "contract": json.loads(default_contract().model_dump_json()),
        "trained_labels": ["teff", "logg", "m_h", "alpha_m"],
        "trained_inputs": ["xp", "photometry", "parallax"],
        "label_stars": {"teff": 2000},
        "label_range": {"teff": [3500.2, 7999.6]},
        "magnitude_range": [6.0, 14.2],
        "parallax_range": None,
        "provenance": {"release": "dr3", "survey": "apogee-dr17", "stars": 4000},
        "metrics": {
            "as_observed": {
                "all": {"teff": measured, "logg": {**measured, "coverage_68": 0.55}},
                "by_regime": {"faint": {"teff": few}},
            }
        },
    }


def test_it_says_what_the_document_says(document):
    card = card_of(document)
    assert ("stars with labels", "4000") in card.facts
    assert ("teff", "2000", "3500", "8000", "K") in card.ranges
    assert [row[:3] for row in card.tests] == [
        ("all", "teff [K]", "400"),
        ("all", "logg [dex]", "400"),
    ]


def test_failures_are_what_is_never_answered_or_off_by_more_than_chance(document):
    failures = card_of(document).failures
    assert failures[0] == "fe_h is never answered: too few fit stars had it."
    assert failures[1] == "rvs is never used: no fit star had it."
    assert failures[2].startswith("sigma of logg is too small (all): it holds 55.0 % of 400")
    assert not any("faint" in failure for failure in failures)
    document["settings"]["folds"] = 0
    assert any("no folds" in failure for failure in card_of(document).failures)


def test_as_markdown_its_tables_are_whole(document):
    page = card_of(document).markdown()
    assert page.count("\n## ") == 4
    for table in re.findall(r"(?:^\|.*\n)+", page, re.M):
        assert len({line.count("|") for line in table.splitlines()}) == 1
