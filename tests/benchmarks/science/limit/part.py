"""Part `limit`: the network's errors beside those of the exact posterior, star by star."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import kstest

from catalog_builder.ground.digests import digest_json
from catalog_builder.labels.agreed import default_contract
from catalog_builder.training.split import uniform_hash
from tests.benchmarks.science.context import Context
from tests.benchmarks.science.limit import forward, posterior
from tests.benchmarks.science.limit.forward import Data
from tests.benchmarks.science.limit.stars import measured
from tests.benchmarks.science.measures import bootstrap

LABELS = default_contract().labels.names

Float = NDArray[np.float64]

#: Raised when results change: the posteriors kept in the output folder are then made anew.
VERSION = 1
#: Groups that are chosen by S/N alone: those of which the information limit is told.
RANDOM = ("15 to 25", ">= 50")
#: Effective draws below which a posterior is counted as poor.
FEW_DRAWS = 30
_CHUNK = 25
_ORDER_SEED = 17
#: Random displacement of the fit's start from the truth, as in `forward.PARAMETERS`.
_DISPLACED = np.array([0.03, 0.3, 0.2, 0.08, 0.05, 0.2, 0.0, 0.0, 0.0])
#: G_RVS decides on the normalisation, and is published with an error of 0.01 mag: nearer to the
#: threshold the published class may be the wrong one, which the posterior does not know.
_CLASS_EDGE, _CLASS_DOUBT = 12.0, 0.04
#: Bins of true [M/H] of the halo.
HALO = ((-2.45, -2.0), (-2.0, -1.5), (-1.5, -1.0))
#: [M/H] at which the simulation has two sequences in [alpha/M].
TWO_SEQUENCES = (-0.7, 0.1)
RADII = ((4.0, 7.0), (7.0, 9.0), (9.0, 12.0))
HEIGHTS = ((0.0, 0.5), (0.5, 1.0), (1.0, 3.0))
#: Places in the Galaxy by R and |z| in kpc: name -> which stars.
PLACES = {
    f"R {inner:g} to {outer:g}, z {low:g} to {high:g} kpc": (
        (pl.col("true.galactocentric_radius") >= inner)
        & (pl.col("true.galactocentric_radius") < outer)
        & (pl.col("true.height").abs() >= low)
        & (pl.col("true.height").abs() < high)
    )
    for low, high in HEIGHTS
    for inner, outer in RADII
}
_TRUTH = (
    "rvs_spec_sig_to_noise", "grvs_mag", *LABELS, "a_0", "distance", "mass", "vsini",
    "macroturbulence",
)  # fmt: skip


def complete(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the test stars that the posterior describes: like the training ones, all inputs."""
    return frame.filter(
        pl.col("true.like_training")
        & pl.all_horizontal("has_rvs", "has_xp", "has_photometry", "has_parallax")
        & ((pl.col("true.grvs_mag") - _CLASS_EDGE).abs() > _CLASS_DOUBT)
    )


def groups(frame: pl.DataFrame, stars: int) -> dict[str, pl.DataFrame]:
    """Choose test stars of the training population with all four inputs.

    Returns
    -------
    dict
        At most `stars` per bin of S/N, at random but for that; a quarter as many per bin of the
        halo's [M/H]; `stars` per place in the disc, of the [M/H] that have two sequences.
    """
    whole = complete(frame)
    order = uniform_hash(whole["source_id"].to_numpy(), _ORDER_SEED)
    shuffled = whole.with_columns(pl.Series("order", order)).sort("order")
    sn = pl.col("rvs_spec_sig_to_noise")
    faint = shuffled.filter((sn >= 15) & (sn < 25))
    chosen = {
        "15 to 25": faint.head(stars),
        ">= 50": shuffled.filter(sn >= 50).head(stars),
        "halo, 15 to 25": _first_of_each(faint, HALO, "true.m_h", stars // 4),
    }
    # Chance gives the outer places a handful: each gets its own share.
    both = faint.filter(pl.col("true.m_h").is_between(*TWO_SEQUENCES, closed="none"))
    places = [both.filter(inside).head(stars) for inside in PLACES.values()]
    return {**chosen, "disc, 15 to 25": pl.concat(places)}


def _first_of_each(
    stars: pl.DataFrame, bins: Sequence[tuple[float, float]], column: str, count: int
) -> pl.DataFrame:
    return pl.concat(
        [
            stars.filter((pl.col(column) >= low) & (pl.col(column) < high)).head(count)
            for low, high in bins
        ]
    )


def posteriors(context: Context) -> pl.DataFrame:
    """Return the posteriors of all groups' stars, a row each; what was made before is kept.

    Returns
    -------
    polars.DataFrame
        ``source_id``, and for each label ``limit.<label>`` (mean), ``limit.v_<label>`` (variance)
        and ``rank.<label>``; ``effective`` draws, ``chi_square`` per datum, ``high_alpha``: the
        probability of the high sequence; ``cpu_seconds`` that it took.
    """
    chosen = pl.concat(list(groups(context.predictions, context.stars).values()))
    chosen = chosen.unique("source_id").sort("source_id")
    truth = chosen.select("source_id", **{name: pl.col(f"true.{name}") for name in _TRUTH})
    # Posteriors belong to the sky, not to the model: another model finds them again.
    folder = context.out / f"posteriors-{digest_json([VERSION, context.identity()['sky']])[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    done = _read(folder)
    if done is not None:
        truth = truth.filter(~pl.col("source_id").is_in(done["source_id"].to_list()))
    if len(truth):
        _infer_all(context, truth, folder)
        done = _read(folder)
    return done


def _read(folder: Path) -> pl.DataFrame | None:
    files = sorted(folder.glob("*.parquet"))
    if not files:
        return None
    return pl.concat([pl.read_parquet(file) for file in files], how="diagonal")


def _infer_all(context: Context, truth: pl.DataFrame, folder: Path) -> None:
    data = dict(measured(context.sky, context.run.config["release"], truth))
    known = truth.filter(pl.col("source_id").is_in(list(data)))
    # In an order of chance: what a run that was stopped leaves is a fair sample.
    order = uniform_hash(known["source_id"].to_numpy(), _ORDER_SEED)
    known = known[np.argsort(order)]
    pieces = [known[start : start + _CHUNK] for start in range(0, len(known), _CHUNK)]
    tasks = [
        (piece, [data[source] for source in piece["source_id"].to_list()], folder)
        for piece in pieces
    ]
    if context.workers == 1:
        for task in tasks:
            infer_chunk(*task)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(context.workers, mp_context=spawn) as pool:
        list(pool.map(infer_chunk, *zip(*tasks, strict=True)))


def infer_chunk(truth: pl.DataFrame, data: Sequence[Data], folder: Path) -> None:
    """Write the posteriors of some stars into a file of their own."""
    rows = [_infer(row, one) for row, one in zip(truth.iter_rows(named=True), data, strict=True)]
    name = f"{truth['source_id'][0]}-{len(truth)}.parquet"
    partial = folder / f".{name}.partial"
    pl.DataFrame(rows).write_parquet(partial)
    partial.replace(folder / name)


def _infer(row: dict[str, Any], data: Data) -> dict[str, float]:
    started = time.process_time()
    rng = np.random.default_rng([_ORDER_SEED, row["source_id"]])
    found = posterior.infer(data, _start(row, rng), rng)
    true = np.array([row[label] for label in LABELS])
    mean, variance, ranks = found.mean, found.variance, found.ranks(true)
    result = {"source_id": row["source_id"]}
    for k, label in enumerate(LABELS):
        result |= {
            f"limit.{label}": mean[k],
            f"limit.v_{label}": variance[k],
            f"rank.{label}": ranks[k],
        }
    high = found.labels[:, 3] > alpha_boundary(found.labels[:, 2])
    return result | {
        "effective": found.effective,
        "chi_square": found.chi_square,
        "high_alpha": float(found.weights @ high),
        "cpu_seconds": time.process_time() - started,
    }


def _start(row: dict[str, Any], rng: np.random.Generator) -> Float:
    """Return the truth in the forward model's parameters, displaced where the grid allows it."""
    ln_s = (
        np.log(row["mass"]) + np.log(10.0) * (4.438 - row["logg"]) - 2.0 * np.log(row["distance"])
    )
    alpha = row["alpha_m"] + row["m_h"] - row["fe_h"]
    true = np.array(
        [5040.0 / row["teff"], row["logg"], row["fe_h"], alpha, row["a_0"], ln_s,
         np.log(row["vsini"]), row["macroturbulence"], 0.0]
    )  # fmt: skip
    start = true + _DISPLACED * rng.standard_normal(len(true))
    return start if forward.inside(start[None])[0] else true


def alpha_boundary(m_h: Float) -> Float:
    """[alpha/M] half-way between the simulation's two sequences of the disc."""
    kinds = np.zeros(len(m_h), dtype=int)
    from tests.benchmarks.science.limit.population import alpha_mean

    return 0.5 * (alpha_mean(kinds, m_h) + alpha_mean(kinds + 1, m_h))


def measure(context: Context) -> dict[str, Any]:
    """Compare the network with the posterior.

    Returns
    -------
    dict
        ``groups``: a row per group and label. ``limit`` is sqrt(mean posterior variance), ``own``
        the RMSE of the posterior mean over it, ``rank_p`` the chance of ranks as far from uniform
        (Kolmogorov-Smirnov), ``ratio`` the network's RMSE over the limit; intervals are 95 %,
        by bootstrap over stars.
    """
    known = posteriors(context)
    rows = []
    for name, stars in groups(context.predictions, context.stars).items():
        both = stars.join(known, on="source_id", how="inner")
        if len(both) and name in RANDOM:
            rows += [_row(name, label, both) for label in LABELS]
    poor = int((known["effective"] < FEW_DRAWS).sum())
    # Posteriors that were kept from before it was measured do not say.
    timed = "cpu_seconds" in known.columns
    seconds = known["cpu_seconds"].drop_nulls() if timed else pl.Series([], dtype=pl.Float64)
    return {
        "groups": rows,
        "posteriors": len(known),
        "poor": poor,
        "cpu_seconds": seconds.median(),
    }


def _row(name: str, label: str, both: pl.DataFrame) -> dict[str, Any]:
    true = both[f"true.{label}"].to_numpy()
    columns = np.column_stack(
        [
            (both[f"all.{label}"].to_numpy() - true) ** 2,
            (both[f"limit.{label}"].to_numpy() - true) ** 2,
            both[f"limit.v_{label}"].to_numpy(),
        ]
    )
    columns = columns[np.isfinite(columns).all(axis=1)]
    ratio_low, ratio_high = bootstrap(columns, lambda c: _ratio(c, 0), seed=1)
    own_low, own_high = bootstrap(columns, lambda c: _ratio(c, 1), seed=2)
    return {
        "group": name,
        "label": label,
        "n": len(columns),
        "limit": float(np.sqrt(columns[:, 2].mean())),
        "rmse": float(np.sqrt(columns[:, 0].mean())),
        "ratio": _ratio(columns, 0),
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
        "own": _ratio(columns, 1),
        "own_low": own_low,
        "own_high": own_high,
        "rank_p": float(kstest(both[f"rank.{label}"].to_numpy(), "uniform").pvalue),
    }


def _ratio(columns: Float, which: int) -> float:
    return float(np.sqrt(columns[:, which].mean() / columns[:, 2].mean()))
