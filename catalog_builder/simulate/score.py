"""Compare a sealed catalogue with the truth of a simulated sky."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import xarray as xr
from numpy.typing import NDArray

from catalog_builder.errors import InputError
from catalog_builder.labels.agreed import default_contract
from catalog_builder.schema import FlagSchema


@dataclass(frozen=True)
class LabelScore:
    """How well one label is known.

    Parameters
    ----------
    name : str
        Of the label.
    stars : int
        Ordinary stars (no anomaly), not flagged, with a value and an error.
    bias, scatter : float
        Median of catalogue minus truth, and 1.4826 times the median absolute deviation from it.
    coverage_68, coverage_95 : float
        Share of stars whose truth lies within sigma and within the 95 % interval.
    """

    name: str
    stars: int
    bias: float
    scatter: float
    coverage_68: float
    coverage_95: float


@dataclass(frozen=True)
class AnomalyScore:
    """How many stars of an anomaly class the catalogue warns of; the class "" is the rest."""

    name: str
    stars: int
    flagged: float


@dataclass(frozen=True)
class TierScore:
    """How many stars a tier has, and the share of them that is of an anomaly class."""

    name: str
    stars: int
    anomalous: float


@dataclass(frozen=True)
class SkyScore:
    """The whole comparison.

    Parameters
    ----------
    stars : int
        Rows of the catalogue.
    unknown : int
        Rows whose source_id is not in the truth: anything but 0 is a defect.
    labels, anomalies, tiers : tuple
        Per label, in catalogue order, per class, and per value of `quality_tier` if it is there.
    """

    stars: int
    unknown: int
    labels: tuple[LabelScore, ...]
    anomalies: tuple[AnomalyScore, ...]
    tiers: tuple[TierScore, ...] = ()

    def coverage_within(self, low: float, high: float) -> bool:
        """Whether the 68 % coverage of every label with stars lies within the limits."""
        return all(low <= one.coverage_68 <= high for one in self.labels if one.stars > 0)


def read_truth(folder: Path) -> pl.DataFrame:
    """Read the truth of a sky, sorted by source_id.

    Parameters
    ----------
    folder : Path
        The ``truth`` folder of a simulated archive.

    Raises
    ------
    InputError
        If there is none.
    """
    files = sorted(folder.glob("truth_*.parquet"))
    if not files:
        raise InputError(
            f"{folder} has no truth_*.parquet.",
            "Name the folder `truth` of what `catalog-builder simulate` wrote.",
        )
    return pl.concat([pl.read_parquet(file) for file in files]).sort("source_id")


def score(
    catalogue: xr.Dataset,
    truth: Path,
    warning_bits: int | None = None,
    where: NDArray[np.bool_] | None = None,
) -> SkyScore:
    """Score a catalogue against the truth.

    Parameters
    ----------
    catalogue : xarray.Dataset
        With source_id, flags, and for each label its value and ``e_<label>``.
    truth : Path
        The ``truth`` folder of the simulated archive.
    warning_bits : int, optional
        Bits of `flags` that say "do not trust this row"; `default_warning_bits` where not given. A
        row whose labels are all null counts as flagged, too.
    where : numpy.ndarray, optional
        Rows of the catalogue to look at; all by default.

    Raises
    ------
    InputError
        If the truth lacks a column.
    """
    true = read_truth(truth)
    lacking = sorted(set(_COLUMNS) - set(true.columns))
    bits = default_warning_bits() if warning_bits is None else warning_bits
    if lacking:
        raise InputError(f"The truth lacks the columns {lacking}.", "Simulate the sky again.")
    rows = np.ones(catalogue.sizes[catalogue["source_id"].dims[0]], dtype=bool)
    rows = rows if where is None else np.asarray(where)
    source_id = catalogue["source_id"].values[rows]
    known_ids = true["source_id"].to_numpy()
    at = np.minimum(np.searchsorted(known_ids, source_id), len(known_ids) - 1)
    known = known_ids[at] == source_id
    values = {name: catalogue[name].values[rows].astype(np.float64) for name in LABEL_NAMES}
    sigmas = {name: catalogue[f"e_{name}"].values[rows].astype(np.float64) for name in LABEL_NAMES}
    widths = {
        name: catalogue[f"e95_{name}"].values[rows].astype(np.float64) for name in LABEL_NAMES
    }
    empty = np.all([np.isnan(value) for value in values.values()], axis=0)
    flagged = ((catalogue["flags"].values[rows] & bits) != 0) | empty
    anomaly = true["anomaly"].to_numpy()[at]

    ordinary = known & ~flagged & (anomaly == "")
    labels = []
    for name in LABEL_NAMES:
        right = true[name].to_numpy()[at].astype(np.float64)
        difference = (values[name] - right)[ordinary]
        labels.append(score_label(name, difference, sigmas[name][ordinary], widths[name][ordinary]))
    classes = sorted(set(true["anomaly"].to_list()))
    anomalies = [score_anomaly(name, flagged[known & (anomaly == name)]) for name in classes]
    return SkyScore(
        stars=int(rows.sum()),
        unknown=int(np.count_nonzero(~known)),
        labels=tuple(labels),
        anomalies=tuple(anomalies),
        tiers=_score_tiers(catalogue, rows, anomaly != ""),
    )


def _score_tiers(
    catalogue: xr.Dataset, rows: NDArray[np.bool_], odd: NDArray[np.bool_]
) -> tuple[TierScore, ...]:
    if "quality_tier" not in catalogue:
        return ()
    value = catalogue["quality_tier"].values[rows]
    found = []
    for tier in FlagSchema.load().tiers:
        within = odd[value == tier.tier]
        share = float(np.mean(within)) if len(within) else float("nan")
        found.append(TierScore(tier.name, len(within), share))
    return tuple(found)


def score_label(
    name: str,
    difference: NDArray[np.float64],
    sigma: NDArray[np.float64],
    interval95: NDArray[np.float64],
) -> LabelScore:
    """Score differences (n,) from the truth with their errors (n,); nulls are left out."""
    usable = np.isfinite(difference) & np.isfinite(sigma)
    d, s, width = difference[usable], sigma[usable], interval95[usable]
    if len(d) == 0:
        return LabelScore(name, 0, np.nan, np.nan, np.nan, np.nan)
    bias = float(np.median(d))
    return LabelScore(
        name=name,
        stars=len(d),
        bias=bias,
        scatter=float(1.4826 * np.median(np.abs(d - bias))),
        coverage_68=float(np.mean(np.abs(d) <= s)),
        coverage_95=float(np.mean(np.abs(d) <= width)),
    )


def score_anomaly(name: str, flagged: NDArray[np.bool_]) -> AnomalyScore:
    """Share of the stars of one class that carry a warning."""
    share = float(np.mean(flagged)) if len(flagged) else float("nan")
    return AnomalyScore(name=name, stars=len(flagged), flagged=share)


def default_warning_bits() -> int:
    """Bits that keep a star from every tier but the last, and the one of a star without labels.

    What was used is no warning, nor is low S/N alone or a magnitude that no training star has: the
    uncertainties say what these cost.
    """
    schema = FlagSchema.load()
    names = {name for tier in schema.tiers[:-1] for name in tier.without}
    return sum(schema[name].mask for name in (*names, "not_predicted"))


def score_in_words(found: SkyScore) -> str:
    """Return the comparison as a short table for the terminal."""
    lines = [
        f"Truth against catalogue, {found.stars} stars "
        "(labels: ordinary stars without a warning flag)",
        f"{'label':<10}{'stars':>7}{'bias':>10}{'scatter':>10}{'within 1 s':>12}{'in 95 %':>9}",
    ]
    for one in found.labels:
        digits = 0 if one.name == "teff" else 3
        lines.append(
            f"{one.name:<10}{one.stars:>7}{one.bias:>10.{digits}f}{one.scatter:>10.{digits}f}"
            f"{one.coverage_68:>12.1%}{one.coverage_95:>9.1%}"
        )
    lines += ["", f"{'anomaly':<22}{'stars':>7}{'flagged':>10}"]
    for kind in found.anomalies:
        lines.append(f"{kind.name or '(none)':<22}{kind.stars:>7}{kind.flagged:>10.1%}")
    if found.tiers:
        lines += ["", f"{'tier':<22}{'stars':>7}{'anomalous':>11}"]
    for tier in found.tiers:
        share = "-" if tier.stars == 0 else f"{tier.anomalous:.1%}"
        lines.append(f"{tier.name:<22}{tier.stars:>7}{share:>11}")
    if found.unknown:
        lines.append(f"{found.unknown} rows are not in the truth at all.")
    return "\n".join(lines)
