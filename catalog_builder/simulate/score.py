"""Compare a sealed catalogue with the truth of a simulated sky."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import xarray as xr
from numpy.typing import NDArray

from catalog_builder.contract.flags import FlagSchema
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.agreed import default_schema

#: Scatter above which numbers are shown without digits after the point.
_LARGE: Final = 2.0


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
    flags: FlagSchema | None = None,
) -> SkyScore:
    """Score a catalogue against the truth.

    Parameters
    ----------
    catalogue : xarray.Dataset
        With source_id, flags, and for each label its value, ``e_<label>`` and ``e95_<label>``.
    truth : Path
        The ``truth`` folder of the simulated archive.
    warning_bits : int, optional
        Bits of the column ``flags`` that say "do not trust this row"; those of `warnings` where not
        given. A row whose labels are all null counts as flagged, too.
    where : numpy.ndarray, optional
        Rows of the catalogue to look at; all by default.
    flags : FlagSchema, optional
        Declared bits and tiers of the catalogue; those of today where not given.

    Raises
    ------
    InputError
        If the truth lacks a column.
    """
    true, names = read_truth(truth), labels_in(catalogue)
    declared = default_schema().flags if flags is None else flags
    if lacking := sorted({"source_id", "anomaly", *names} - set(true.columns)):
        raise InputError(
            f"The truth lacks the columns {lacking}.",
            "Simulate the sky again, with the survey of the catalogue's labels.",
        )
    rows = np.ones(catalogue.sizes[catalogue["source_id"].dims[0]], dtype=bool)
    rows = rows if where is None else np.asarray(where)
    source_id = catalogue["source_id"].values[rows]
    known_ids = true["source_id"].to_numpy()
    at = np.minimum(np.searchsorted(known_ids, source_id), len(known_ids) - 1)
    known = known_ids[at] == source_id
    values, sigmas, widths = (
        {name: catalogue[f"{kind}{name}"].values[rows].astype(np.float64) for name in names}
        for kind in ("", "e_", "e95_")
    )
    empty = np.all([np.isnan(value) for value in values.values()], axis=0)
    if warning_bits is None:
        warned = carries(catalogue, declared, warnings(declared))[rows]
    else:
        warned = (catalogue["flags"].values[rows] & warning_bits) != 0
    flagged = warned | empty
    anomaly = true["anomaly"].to_numpy()[at]

    ordinary = known & ~flagged & (anomaly == "")
    labels = []
    for name in names:
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
        tiers=_score_tiers(catalogue, rows, anomaly != "", declared),
    )


def _score_tiers(
    catalogue: xr.Dataset, rows: NDArray[np.bool_], odd: NDArray[np.bool_], flags: FlagSchema
) -> tuple[TierScore, ...]:
    if "quality_tier" not in catalogue:
        return ()
    value = catalogue["quality_tier"].values[rows]
    found = []
    for tier in flags.tiers:
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


def labels_in(catalogue: xr.Dataset) -> tuple[str, ...]:
    """Return the labels of a catalogue, in order: the columns that have both uncertainties."""
    names = map(str, catalogue.variables)
    return tuple(n for n in names if {f"e_{n}", f"e95_{n}"} <= set(catalogue.variables))


def warnings(flags: FlagSchema) -> tuple[str, ...]:
    """Return the bits that keep a star from every tier but the last, and that of no labels.

    What was used is no warning, nor is low S/N alone or a magnitude that no training star has: the
    uncertainties say what these cost.
    """
    names = {name for tier in flags.tiers[:-1] for name in tier.without}
    return tuple(bit.name for bit in flags.bits if bit.name in {*names, "not_predicted"})


def carries(catalogue: xr.Dataset, flags: FlagSchema, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Tell which rows of a catalogue have any of these bits; the one place that reads them."""
    return np.asarray(flags.test(catalogue, *names))


def default_warning_bits() -> int:
    """Return the bits of `warnings` that today's catalogues have in the column ``flags``."""
    schema = default_schema().flags
    return sum(schema[name].mask for name in warnings(schema))


def score_in_words(found: SkyScore) -> str:
    """Return the comparison as a short table for the terminal."""
    wide = max(10, *(len(one.name) + 1 for one in found.labels)) if found.labels else 10
    lines = [
        f"Truth against catalogue, {found.stars} stars "
        "(labels: ordinary stars without a warning flag)",
        f"{'label':<{wide}}{'stars':>7}{'bias':>10}{'scatter':>10}{'within 1 s':>12}{'in 95 %':>9}",
    ]
    for one in found.labels:
        # A temperature or an age in years is not worth digits after the point.
        digits = 0 if one.scatter >= _LARGE else 3
        lines.append(
            f"{one.name:<{wide}}{one.stars:>7}{one.bias:>10.{digits}f}{one.scatter:>10.{digits}f}"
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
