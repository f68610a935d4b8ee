"""Part `coverage`: precision, bias and coverage against truth, with and without each input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from catalog_builder.labels.agreed import default_contract
from catalog_builder.simulate.score import default_warning_bits
from tests.benchmarks.science.measures import arrays, bins_of, compare
from tests.benchmarks.science.views import VIEWS

LABELS = default_contract().labels.names

#: Views whose coverage is measured bin by bin: one input hidden.
_ONE_HIDDEN = tuple(name for name, hidden in VIEWS.items() if len(hidden) == 1)


def measure(frame: pl.DataFrame) -> dict[str, Any]:
    """Measure predictions of the test sky.

    Returns
    -------
    dict
        ``bins``: a row per population, kind of bin, bin and label, all inputs as observed;
        ``views``: a row per view and label of stars that have all four inputs; ``view_bins``: the
        same by bin, where one input is hidden; ``sigma_bins``: of stars like the training ones,
        by the rank of their own sigma.
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
    sigma_bins = [
        {"kind": "sigma", "bin": name, "label": label} | compare(*(each[rows] for each in values))
        for label in LABELS
        for values in [arrays(populations["like the training stars"], "all", label)]
        for name, rows in _by_sigma(values[1])
    ]
    return {"bins": bins, "views": views, "view_bins": view_bins, "sigma_bins": sigma_bins}


def _by_sigma(sigma: NDArray[np.float64]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the stars that are the surest of a label, and ever less sure ones."""
    shares, names = (0.0, 0.5, 0.9, 0.99, 1.0), ("least half", "to 90 %", "to 99 %", "largest 1 %")
    edges = np.nanquantile(sigma, shares)
    edges[-1] = np.inf
    for name, low, high in zip(names, edges[:-1], edges[1:], strict=True):
        yield name, (sigma >= low) & (sigma < high)
