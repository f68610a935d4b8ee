"""Measures of predictions against truth, with their intervals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from catalog_builder.labels.agreed import default_contract

LABELS = default_contract().labels.names


Array = NDArray[np.float64]
Bool = NDArray[np.bool_]

SN_BINS = ((15.0, 25.0), (25.0, 50.0), (50.0, 100.0), (100.0, np.inf))
TEFF_BINS = ((0.0, 4600.0), (4600.0, 5400.0), (5400.0, np.inf))
M_H_BINS = ((-np.inf, -0.6), (-0.6, -0.2), (-0.2, np.inf))
#: Aims of the coverage: share and how far from it is still met.
AIMS = {"cover_68": (0.68, 0.03), "cover_95": (0.95, 0.02)}
#: 1.4826 x the median absolute deviation is the standard deviation of a Gaussian.
MAD_TO_SIGMA = 1.482602218505602
#: Half-width of a 95 % interval of a Gaussian, in sigmas.
_Z95 = 1.959964


def compare(predicted: Array, sigma: Array, half95: Array, true: Array) -> dict[str, Any]:
    """Return bias, scatter and coverage of one label; stars without a value are left out.

    Returns
    -------
    dict
        ``n``, ``bias`` (median), ``scatter`` (1.4826 MAD), ``rmse``, ``sigma`` (median),
        ``cover_68`` (share within sigma), ``cover_95`` (within the catalogue's 95 % interval) and
        ``cover_196`` (within 1.96 sigma), each with the 95 % interval of Wilson in ``..._low``
        and ``..._high``; ``missed``, the names of those that are farther from `AIMS` than allowed,
        and ``surely_missed``, of those whose whole interval is.
    """
    known = np.isfinite(predicted) & np.isfinite(sigma) & np.isfinite(true)
    d, s, half = (predicted - true)[known], sigma[known], half95[known]
    n = int(known.sum())
    if n == 0:
        return {"n": 0}
    bias = float(np.median(d))
    result: dict[str, Any] = {
        "n": n,
        "bias": bias,
        "scatter": float(MAD_TO_SIGMA * np.median(np.abs(d - bias))),
        "rmse": float(np.sqrt(np.mean(d**2))),
        "sigma": float(np.median(s)),
    }
    for name, limit in (("cover_68", s), ("cover_95", half), ("cover_196", 1.96 * s)):
        hits = int(np.sum(np.abs(d) <= limit))
        low, high = wilson(hits, n)
        result |= {name: hits / n, f"{name}_low": low, f"{name}_high": high}
    return result | judge(result)


def judge(row: dict[str, Any]) -> dict[str, list[str]]:
    """Return which aims of the coverage a row misses, and which it surely misses."""
    missed, surely = [], []
    for name, (aim, width) in AIMS.items():
        low, high = aim - width, aim + width
        if not low <= row[name] <= high:
            missed.append(name)
        if row[f"{name}_high"] < low or row[f"{name}_low"] > high:
            surely.append(name)
    return {"missed": missed, "surely_missed": surely}


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, JASA 22, 209)."""
    share, z2 = hits / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))


def without_nan(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as JSON knows them: None in place of NaN."""
    return [
        {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def bins_of(frame: pl.DataFrame, view: str = "all") -> Iterator[tuple[str, str, Bool]]:
    """Yield (kind, name, rows): all, by S/N, by predicted Teff and by predicted [M/H]."""
    yield "all", "all", np.ones(len(frame), dtype=bool)
    columns = {
        "S/N": (SN_BINS, frame["rvs_spec_sig_to_noise"].to_numpy()),
        "Teff": (TEFF_BINS, frame[f"{view}.teff"].to_numpy()),
        "[M/H]": (M_H_BINS, frame[f"{view}.m_h"].to_numpy()),
    }
    has_rvs = frame["has_rvs"].to_numpy()
    for kind, (bins, values) in columns.items():
        for low, high in bins:
            inside = (values >= low) & (values < high)
            yield kind, bin_name(low, high), inside & has_rvs if kind == "S/N" else inside


def bin_name(low: float, high: float) -> str:
    """Words for a bin."""
    if not np.isfinite(high):
        return f">= {low:g}"
    if not np.isfinite(low) or low == 0.0:
        return f"< {high:g}"
    return f"{low:g} to {high:g}"


def arrays(frame: pl.DataFrame, view: str, label: str) -> tuple[Array, Array, Array, Array]:
    """Return prediction, sigma, half 95 % interval and truth of a label in a view."""
    return (
        frame[f"{view}.{label}"].to_numpy().astype(np.float64),
        frame[f"{view}.e_{label}"].to_numpy().astype(np.float64),
        frame[f"{view}.e95_{label}"].to_numpy().astype(np.float64),
        frame[f"true.{label}"].to_numpy().astype(np.float64),
    )


def true_labels(frame: pl.DataFrame) -> Array:
    """Truth (n, 5)."""
    return np.column_stack([frame[f"true.{label}"].to_numpy() for label in LABELS])


def bootstrap(
    values: NDArray[Any], statistic: Any, seed: int, draws: int = 1000
) -> tuple[float, float]:
    """95 % interval of a statistic of rows, by drawing rows with replacement."""
    rng = np.random.default_rng(seed)
    n = len(values)
    found = [statistic(values[rng.integers(0, n, n)]) for _ in range(draws)]
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))
