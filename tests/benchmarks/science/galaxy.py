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

_HALO = ((-2.45, -2.0), (-2.0, -1.5), (-1.5, -1.0))
RADII = ((4.0, 7.0), (7.0, 9.0), (9.0, 12.0))
HEIGHTS = ((0.0, 0.5), (0.5, 1.0), (1.0, 3.0))
#: Where the simulation has two sequences in [alpha/M].
_TWO = (-0.7, 0.1)
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
        "sequences": _sequences(faint, both["15 to 25"]),
        "maps": _maps(faint),
    }


def _halo(faint: pl.DataFrame, both: pl.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for low, high in _HALO:
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


def _sequences(faint: pl.DataFrame, both: pl.DataFrame) -> list[dict[str, Any]]:
    two = (pl.col("true.m_h") > _TWO[0]) & (pl.col("true.m_h") < _TWO[1])
    places = [("all", pl.lit(value=True))]
    r, z = pl.col("true.galactocentric_radius"), pl.col("true.height").abs()
    for low, high in HEIGHTS:
        for inner, outer in RADII:
            inside = (r >= inner) & (r < outer) & (z >= low) & (z < high)
            places.append((f"R {inner:g} to {outer:g}, z {low:g} to {high:g} kpc", inside))
    rows = []
    for name, inside in places:
        many, few = faint.filter(two & inside), both.filter(two & inside)
        true = _high(many["true.m_h"].to_numpy(), many["true.alpha_m"].to_numpy())
        row: dict[str, Any] = {"place": name, "n": len(many), "high": int(true.sum())}
        for key, wrong in (
            ("network", _wrong(many, "all")),
            ("network_same", _wrong(few, "all")),
            ("posterior", _wrong(few, "limit")),
        ):
            row[f"{key}_n"] = len(wrong)
            if len(wrong):
                row[key] = float(wrong.mean())
                row[f"{key}_low"], row[f"{key}_high"] = wilson(int(wrong.sum()), len(wrong))
        rows.append(row)
    return rows


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
    for low, high in HEIGHTS:
        for inner, outer in RADII:
            inside = (radius >= inner) & (radius < outer) & (height >= low) & (height < high)
            counts = {
                name: np.histogram2d(x[inside], y[inside], (_EDGES_M_H, _EDGES_ALPHA))[0].tolist()
                for name, (x, y) in planes.items()
            }
            panels.append({"radius": [inner, outer], "height": [low, high], "counts": counts})
    return {"m_h": _EDGES_M_H.tolist(), "alpha_m": _EDGES_ALPHA.tolist(), "panels": panels}
