"""Part `anomalies`: how well strange stars are told from ordinary ones.

ROC per class, false flags, tiers, errors of what is left when the strangest stars are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.flags import FlagSchema
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.simulate.population.truth import ANOMALIES, OUTSIDE_LABELS
from catalog_builder.training.split import uniform_hash
from tests.benchmarks.science import misfit
from tests.benchmarks.science.context import Context
from tests.benchmarks.science.measures import MAD_TO_SIGMA, SN_BINS, without_nan

LABELS = default_contract().labels.names
DISTANCES = distances_of(default_contract().inputs)

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Share of ordinary stars that may be flagged when the share of strange ones caught is told.
FALSE_FLAGS = 0.03
#: Chi-square against the best clean spectrum, less its mean for clean stars, above which a star
#: must be found; and stars per class, and ordinary ones, whose chi-square is made.
LEAST_EXCESS, FITTED = 50.0, 150
_SAMPLE_SEED = 31
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


def measure(context: Context) -> dict[str, Any]:
    """Measure the distances and tiers of the test sky; nothing of it was trained on.

    Returns
    -------
    dict
        ``stars``, ``with_rvs``: how many; ``classes``, ``strong``, ``single_tests``, ``tiers``,
        ``rejection``: rows of what the functions of these names return; ``ordinary_excess``: share
        of ordinary stars whose excess is beyond `LEAST_EXCESS` by the noise of their errors.
    """
    frame = context.predictions
    names = ("source_id", "quality_tier", "flags", "has_rvs", "rvs_spec_sig_to_noise")
    columns = {name: frame[name].to_numpy() for name in (*names, "phot_g_mean_mag", *DISTANCES)}
    columns |= {label: frame[f"all.{label}"].to_numpy() for label in LABELS}
    truth = context.sky.truth()
    stars = Stars.of(columns, truth)
    fitted = misfit.excess(context.sky, _sample(frame, truth))
    ids = frame.select("source_id")
    joined = ids.join(fitted, on="source_id", how="left", maintain_order="left")
    excess = joined["excess"].to_numpy()
    return {
        "stars": len(stars.flags),
        "with_rvs": int(np.count_nonzero(stars.has_rvs)),
        "classes": without_nan(classes(stars)),
        "strong": without_nan(strong(stars, excess)),
        "ordinary_excess": _share(excess[(stars.anomaly == "") & ~np.isnan(excess)] > LEAST_EXCESS),
        "single_tests": without_nan(single_tests(stars)),
        "tiers": without_nan(tiers(stars, default_schema().flags)),
        "rejection": without_nan(rejection(stars)),
    }


def _sample(frame: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Truth of at most `FITTED` stars with an RVS spectrum of each injected class, and of none."""
    seen = frame.filter(pl.col("has_rvs")).select("source_id")
    stars = truth.join(seen, on="source_id").filter(pl.col("anomaly") != OUTSIDE_LABELS)
    order = uniform_hash(stars["source_id"].to_numpy(), _SAMPLE_SEED)
    stars = stars.with_columns(pl.Series("order", order)).sort("order")
    return stars.group_by("anomaly", maintain_order=True).head(FITTED).sort("source_id")


def strong(stars: Stars, excess: Array) -> list[dict[str, Any]]:
    """Return, of the stars of each class that no clean spectrum explains, what `classes` does.

    Parameters
    ----------
    excess : ndarray
        (n,), of `misfit.excess`; NaN where it was not made.
    """
    value = stars.strangeness()
    plain = value[(stars.anomaly == "") & stars.has_rvs & np.isfinite(value)]
    limit = np.quantile(plain, 1.0 - FALSE_FLAGS)
    found = []
    for name in ANOMALIES:
        fitted = (stars.anomaly == name) & stars.has_rvs & np.isfinite(value) & ~np.isnan(excess)
        odd = value[fitted & (excess > LEAST_EXCESS)]
        found.append(
            {
                "class": name,
                "fitted": int(fitted.sum()),
                "n": len(odd),
                "roc_area": roc_area(plain, odd),
                "caught": _share(odd > limit),
                "flagged": _share(odd > 1.0),
            }
        )
    return found


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


def _share(chosen: Bool) -> float:
    return float(np.mean(chosen)) if len(chosen) else float("nan")
