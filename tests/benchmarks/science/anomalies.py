"""How well strange stars are told from ordinary ones: ROC per class, false flags, tiers.

``python -m tests.benchmarks.science.anomalies CATALOGUE TRUTH`` compares a sealed catalogue of a
simulated sky with its folder ``truth`` and prints the tables of ``docs/flags.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from catalog_builder.catalog.open import open_catalog
from catalog_builder.model.selection import DISTANCES
from catalog_builder.schema import LABELS, FlagSchema
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.truth import ANOMALIES, OUTSIDE_LABELS
from tests.benchmarks.science.measures import MAD_TO_SIGMA, SN_BINS

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Share of ordinary stars that may be flagged when the share of strange ones caught is told.
FALSE_FLAGS = 0.03
#: Shares of all stars, the strangest first, that are left out in the curve of the errors.
REJECTED = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
#: Classes that show in the RVS spectrum only: a star without one is like any other.
_IN_RVS = frozenset(ANOMALIES) - {"hot_star"}
_BRIGHT = ((0.0, 10.0), (10.0, 12.0), (12.0, 14.3), (14.3, 16.0), (16.0, 20.0))


@dataclass(frozen=True)
class Stars:
    """Stars of a catalogue with their truth; arrays of length n.

    Attributes
    ----------
    anomaly : ndarray of str
        Class, empty for an ordinary star.
    distances : dict of str to ndarray
        In units of their limits, NaN where not tested.
    error : ndarray
        (n, 5), catalogue minus truth.
    """

    anomaly: NDArray[np.str_]
    distances: dict[str, Array]
    error: Array
    tier: NDArray[np.uint8]
    flags: NDArray[np.int64]
    signal_to_noise: Array
    magnitude: Array
    has_rvs: Bool

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]], truth: pl.DataFrame) -> Stars:
        """Match catalogue columns with the truth by source_id."""
        ids = truth["source_id"].to_numpy()
        true = truth[np.searchsorted(ids, columns["source_id"])]
        errors = [columns[name].astype(np.float64) - true[name].to_numpy() for name in LABELS]
        return cls(
            anomaly=true["anomaly"].to_numpy().astype(np.str_),
            distances={name: columns[name].astype(np.float64) for name in DISTANCES},
            error=np.stack(errors, axis=1),
            tier=columns["quality_tier"],
            flags=columns["flags"],
            signal_to_noise=columns["rvs_spec_sig_to_noise"].astype(np.float64),
            magnitude=columns["phot_g_mean_mag"].astype(np.float64),
            has_rvs=columns["has_rvs"],
        )

    def strangeness(self) -> Array:
        """Return the largest distance of each star, (n,); NaN where nothing was tested."""
        return np.fmax.reduce(list(self.distances.values()))

    def can_show(self, name: str) -> Bool:
        """Tell which stars of a class can show it: they have the spectrum in which it is."""
        shown: Bool = self.anomaly == name
        return shown & self.has_rvs if name in _IN_RVS else shown


def roc_area(ordinary: Array, strange: Array) -> float:
    """Return the chance that a strange star has a larger value than an ordinary one."""
    n = len(strange)
    if not n or not len(ordinary):
        return float("nan")
    ranks = rankdata(np.concatenate([strange, ordinary]))[:n]
    return float((ranks.sum() - n * (n + 1) / 2) / (n * len(ordinary)))


def classes(stars: Stars) -> list[dict[str, Any]]:
    """Return per class: stars, ROC area, share caught at 3 % false flags and by the flags."""
    found = []
    value = stars.strangeness()
    for name in (*ANOMALIES, OUTSIDE_LABELS):
        shown = stars.can_show(name) & np.isfinite(value)
        # Against ordinary stars with the same inputs.
        for with_rvs in (True, False):
            odd = shown & (stars.has_rvs == with_rvs)
            plain = (stars.anomaly == "") & (stars.has_rvs == with_rvs) & np.isfinite(value)
            if not odd.any():
                continue
            limit = np.quantile(value[plain], 1.0 - FALSE_FLAGS)
            found.append(
                {
                    "class": name,
                    "with_rvs": with_rvs,
                    "n": int(odd.sum()),
                    "roc_area": roc_area(value[plain], value[odd]),
                    "caught": float(np.mean(value[odd] > limit)),
                    "flagged": float(np.mean(value[odd] > 1.0)),
                }
            )
    return found


def single_tests(stars: Stars) -> list[dict[str, Any]]:
    """Return per distance: share of ordinary stars beyond it, ROC area per class with RVS."""
    found = []
    for name, value in stars.distances.items():
        tested = np.isfinite(value)
        plain = tested & (stars.anomaly == "")
        row: dict[str, Any] = {"test": name, "false": float(np.mean(value[plain] > 1.0))}
        for low, high in SN_BINS:
            part = plain & (stars.signal_to_noise >= low) & (stars.signal_to_noise < high)
            row[f"S/N {low:g}-{high:g}"] = _share(value[part] > 1.0)
        for low, high in _BRIGHT:
            part = plain & (stars.magnitude >= low) & (stars.magnitude < high)
            row[f"G {low:g}-{high:g}"] = _share(value[part] > 1.0)
        for kind in ANOMALIES:
            odd = tested & stars.can_show(kind) & stars.has_rvs
            row[kind] = roc_area(value[plain & stars.has_rvs], value[odd])
        found.append(row)
    return found


def tiers(stars: Stars, schema: FlagSchema) -> list[dict[str, Any]]:
    """Return per tier: its share, the strange stars in it, and the errors of the labels."""
    found = []
    spoilt = np.isin(stars.anomaly, list(ANOMALIES))
    spoilt &= stars.has_rvs | (stars.anomaly == "hot_star")
    for tier in schema.tiers:
        within = stars.tier == tier.tier
        row: dict[str, Any] = {
            "tier": f"{tier.tier} {tier.name}",
            "share": float(np.mean(within)),
            "spoilt": _share(spoilt[within]),
            "outside labels": _share(stars.anomaly[within] == OUTSIDE_LABELS),
        }
        for column, label in enumerate(LABELS):
            error = stars.error[within, column]
            error = error[np.isfinite(error)]
            row[label] = float(MAD_TO_SIGMA * np.median(np.abs(error))) if len(error) else np.nan
            row[f"{label} rmse"] = float(np.sqrt(np.mean(error**2))) if len(error) else np.nan
        found.append(row)
    return found


def rejection(stars: Stars) -> list[dict[str, Any]]:
    """Return the root mean square error of what is left when the strangest stars are left out."""
    value = stars.strangeness()
    tested = np.isfinite(value)
    value, errors = value[tested], stars.error[tested]
    found = []
    for share in REJECTED:
        kept = value <= np.quantile(value, 1.0 - share)
        row: dict[str, Any] = {"rejected": share}
        for column, label in enumerate(LABELS):
            row[label] = float(np.sqrt(np.nanmean(errors[kept, column] ** 2)))
        found.append(row)
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("catalogue", type=Path, help="folder of a sealed catalogue")
    parser.add_argument("truth", type=Path, help="folder `truth` of the simulated sky")
    parser.add_argument("--without", type=Path, help="training store whose fit stars to leave out")
    asked = parser.parse_args(arguments)
    catalogue = open_catalog(asked.catalogue)
    names = ["source_id", *LABELS, *DISTANCES, "quality_tier", "flags", "has_rvs"]
    names += ["rvs_spec_sig_to_noise", "phot_g_mean_mag"]
    columns = {name: catalogue[name].values for name in names}
    if asked.without is not None:
        kept = ~np.isin(columns["source_id"], _fit_stars(asked.without))
        columns = {name: values[kept] for name, values in columns.items()}
    stars = Stars.of(columns, read_truth(asked.truth))
    print(f"{len(stars.flags)} stars, {np.count_nonzero(stars.has_rvs)} with RVS\n")
    parts = (classes(stars), single_tests(stars), tiers(stars, FlagSchema.load()), rejection(stars))
    for rows in parts:
        print(table(rows) + "\n")


def _fit_stars(store: Path) -> NDArray[np.int64]:
    from catalog_builder.model.inputs import Split
    from catalog_builder.training.store import open_training

    training = open_training(store)
    fit = training["split"].values == Split.FIT
    return np.asarray(training["source_id"].values[fit])


def _share(chosen: Bool) -> float:
    return float(np.mean(chosen)) if len(chosen) else float("nan")


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return "-" if np.isnan(value) else f"{value:.0f}" if value >= 10 else f"{value:.3f}"


if __name__ == "__main__":
    main()
