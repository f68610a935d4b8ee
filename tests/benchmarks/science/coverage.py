"""Part `coverage`: precision, bias and coverage against truth, with and without each input."""

from __future__ import annotations

from typing import Any

import polars as pl

from catalog_builder.model.inputs import LABELS
from catalog_builder.simulate.score import default_warning_bits
from tests.benchmarks.science.measures import arrays, bins_of, compare
from tests.benchmarks.science.views import VIEWS

#: Views whose coverage is measured bin by bin: one input hidden.
_ONE_HIDDEN = tuple(name for name, hidden in VIEWS.items() if len(hidden) == 1)


def measure(frame: pl.DataFrame) -> dict[str, Any]:
    """Measure predictions of the test sky.

    Returns
    -------
    dict
        ``bins``: a row per population, kind of bin, bin and label, all inputs as observed;
        ``views``: a row per view and label of stars that have all four inputs; ``view_bins``: the
        same by bin, where one input is hidden.
    """
    unflagged = (pl.col("flags") & default_warning_bits()) == 0
    populations = {
        "like the training stars": frame.filter(pl.col("true.like_training")),
        "all without a warning flag": frame.filter(unflagged & pl.col("true.m_h").is_finite()),
    }
    bins = [
        {"population": name, "kind": kind, "bin": bin_, "label": label}
        | compare(*(values[rows] for values in arrays(stars, "all", label)))
        for name, stars in populations.items()
        for kind, bin_, rows in bins_of(stars)
        for label in LABELS
    ]
    complete = populations["like the training stars"].filter(
        pl.all_horizontal("has_rvs", "has_xp", "has_photometry", "has_parallax")
    )
    views = [
        {"view": view, "label": label} | compare(*arrays(complete, view, label))
        for view in VIEWS
        for label in LABELS
    ]
    view_bins = [
        {"view": view, "kind": kind, "bin": bin_, "label": label}
        | compare(*(values[rows] for values in arrays(complete, view, label)))
        for view in _ONE_HIDDEN
        for kind, bin_, rows in bins_of(complete, view)
        for label in LABELS
    ]
    return {"bins": bins, "views": views, "view_bins": view_bins}
