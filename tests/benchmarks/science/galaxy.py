"""Part `galaxy`: metal-poor stars, and the two sequences of [alpha/M] across the disc."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tests.benchmarks.science.context import Context
from tests.benchmarks.science.limit import part as limit
from tests.benchmarks.science.measures import wilson

Float = NDArray[np.float64]

#: A place has both sequences where each has at least this share of its stars.
_BOTH = 0.1
_EDGES_M_H, _EDGES_ALPHA = np.linspace(-1.2, 0.5, 35), np.linspace(-0.1, 0.4, 26)


def measure(context: Context) -> dict[str, Any]:
    """Return ``halo``, ``sequences`` and ``maps`` at 15 < S/N < 25."""
    known = limit.posteriors(context)
    sn = pl.col("rvs_spec_sig_to_noise")
    faint = context.predictions.filter(
        pl.col("true.like_training") & pl.col("has_rvs") & (sn >= 15) & (sn < 25)
    )
    chosen = limit.groups(context.predictions, context.stars)
    both = {name: stars.join(known, on="source_id") for name, stars in chosen.items()}
    return {
        "halo": _halo(faint, both["halo, 15 to 25"]),
        "sequences": _sequences(limit.complete(faint), both["disc, 15 to 25"]),
        "maps": _maps(faint),
    }


def _halo(faint: pl.DataFrame, both: pl.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for low, high in limit.HALO:
        inside = (pl.col("true.m_h") >= low) & (pl.col("true.m_h") < high)
        row: dict[str, Any] = {"low": low, "high": high}
        for name, stars, column in (
            ("network", faint.filter(inside), "all"),
            ("network_same", both.filter(inside), "all"),
            ("posterior", both.filter(inside), "limit"),
        ):
            d = (stars[f"{column}.m_h"] - stars["true.m_h"]).to_numpy()
            d = d[np.isfinite(d)]
            row[f"{name}_n"] = len(d)
            if len(d) > 1:
                row[f"{name}_bias"] = float(np.mean(d))
                row[f"{name}_error"] = float(np.std(d) / np.sqrt(len(d)))
        rows.append(row)
    return rows


def _high(m_h: Float, alpha_m: Float) -> NDArray[np.bool_]:
    return np.asarray(alpha_m > limit.alpha_boundary(m_h))


def _wrong(stars: pl.DataFrame, column: str) -> NDArray[np.bool_]:
    """Whether labels put a star on the other sequence than its true ones."""
    true = _high(stars["true.m_h"].to_numpy(), stars["true.alpha_m"].to_numpy())
    found = _high(stars[f"{column}.m_h"].to_numpy(), stars[f"{column}.alpha_m"].to_numpy())
    return true != found


def _sequences(faint: pl.DataFrame, few: pl.DataFrame) -> list[dict[str, Any]]:
    """Share on the wrong sequence by place; the posterior's best guess and its own expectation.

    The last row is of the stars of all places where the truth has both sequences.
    """
    low, high = limit.TWO_SEQUENCES
    two = faint.filter((pl.col("true.m_h") > low) & (pl.col("true.m_h") < high))
    rows = [
        _place(name, two.filter(inside), few.filter(inside))
        for name, inside in limit.PLACES.items()
    ]
    both = [limit.PLACES[row["place"]] for row in rows if row["both"]]
    if not both:
        return rows
    inside = pl.any_horizontal(both)
    return [*rows, _place("all places with both", two.filter(inside), few.filter(inside))]


def _place(name: str, many: pl.DataFrame, same: pl.DataFrame) -> dict[str, Any]:
    true = _high(many["true.m_h"].to_numpy(), many["true.alpha_m"].to_numpy())
    row: dict[str, Any] = {"place": name, "n": len(many), "high": int(true.sum())}
    row["both"] = bool(len(many) and _BOTH < true.mean() < 1.0 - _BOTH)
    probability = same["high_alpha"].to_numpy()
    high_same = _high(same["true.m_h"].to_numpy(), same["true.alpha_m"].to_numpy())
    for key, wrong in (
        ("network", _wrong(many, "all")),
        ("network_same", _wrong(same, "all")),
        ("posterior", (probability > 0.5) != high_same),
    ):
        row[f"{key}_n"] = len(wrong)
        if len(wrong):
            row[key] = float(wrong.mean())
            row[f"{key}_low"], row[f"{key}_high"] = wilson(int(wrong.sum()), len(wrong))
    if len(probability):
        # Steadier than counting: each posterior says how often its best guess is wrong.
        doubt = np.clip(np.minimum(probability, 1.0 - probability), 0.0, None)
        row["expected"] = float(doubt.mean())
    return row


def _maps(faint: pl.DataFrame) -> dict[str, Any]:
    """Counts in the [M/H]-[alpha/M] plane by place: the truth's, the network's, GSP-Spec-like."""
    rng = np.random.default_rng(7)
    m_h, alpha = faint["true.m_h"].to_numpy(), faint["true.alpha_m"].to_numpy()
    # The scatter that the simulation gives to its GSP-Spec columns (`simulate.tables`).
    scale = np.clip(60.0 / np.maximum(faint["rvs_spec_sig_to_noise"].to_numpy(), 20.0), 0.3, 3.0)
    planes = {
        "truth": (m_h, alpha),
        "network": (faint["all.m_h"].to_numpy(), faint["all.alpha_m"].to_numpy()),
        "GSP-Spec-like": (
            m_h + 0.12 * scale * rng.standard_normal(len(m_h)),
            alpha + 0.08 * scale * rng.standard_normal(len(m_h)),
        ),
    }
    radius = faint["true.galactocentric_radius"].to_numpy()
    height = np.abs(faint["true.height"].to_numpy())
    panels = []
    for low, high in limit.HEIGHTS:
        for inner, outer in limit.RADII:
            inside = (radius >= inner) & (radius < outer) & (height >= low) & (height < high)
            counts = {
                name: np.histogram2d(x[inside], y[inside], (_EDGES_M_H, _EDGES_ALPHA))[0].tolist()
                for name, (x, y) in planes.items()
            }
            panels.append({"radius": [inner, outer], "height": [low, high], "counts": counts})
    return {"m_h": _EDGES_M_H.tolist(), "alpha_m": _EDGES_ALPHA.tolist(), "panels": panels}
