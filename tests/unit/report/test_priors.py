"""The share of the training population in the answers: sums, figure and table."""

import numpy as np
import pytest

from catalog_builder.report import prior_figures
from catalog_builder.report.priors import Priors, of_share
from catalog_builder.report.summary import Summary

ROWS = 600


@pytest.fixture(scope="module")
def columns(make_rows):
    """Stars whose share is 0.2 with RVS and 0.7 without, and is not known of every tenth."""
    columns = make_rows(ROWS)
    share = np.where(columns["has_rvs"], 0.205, 0.705).astype("f4")
    share[9::10] = np.nan
    columns["prior_share"] = share
    return columns


def test_shares_are_counted_by_inputs_and_along_what_matters_then(schema, columns):
    priors = Priors(schema)
    for part in (slice(0, 100), slice(100, None)):
        priors.add({name: values[part] for name, values in columns.items()})
    known = np.isfinite(columns["prior_share"])
    found = dict(priors.subsets())
    assert list(found) == [("xp", "photometry"), ("rvs", "xp", "photometry")]
    assert found["rvs", "xp", "photometry"].sum() == (known & columns["has_rvs"]).sum()
    assert of_share(found["xp", "photometry"]) == pytest.approx((0.705,) * 3, abs=0.006)
    assert priors.by_ratio.counts.sum() == (known & columns["has_rvs"]).sum()
    assert priors.by_magnitude.counts.sum() == (known & ~columns["has_rvs"]).sum()


def test_the_section_has_a_row_for_each_set_of_inputs(schema, columns):
    summary = Summary(schema)
    assert prior_figures.section(summary) == ""
    summary.add(columns)
    page = prior_figures.section(summary)
    assert '<td class="n">0.70</td>' in page or '<td class="n">0.71</td>' in page
    assert "RVS, XP" in page
    assert "<svg" not in page
    assert page.count("<figure") == 1
