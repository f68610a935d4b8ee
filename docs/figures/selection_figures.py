"""Measure the selection function of a simulated catalogue, and draw the figures of its page.

    python docs/figures/selection_figures.py CATALOGUE SKY OUT

SKY is the archive of the catalogue, made by `simulate --sources-without-spectra`. Prints the tables
that docs/selection.md quotes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl

mpl.use("Agg")

import matplotlib.pyplot as plt

from catalog_builder.catalog.open import open_catalog
from catalog_builder.catalog.selection import SelectionFunction, selection
from catalog_builder.catalog.selection_cells import Coarseness

CHANCE = "chance_of_spectra"
COLUMNS = (
    *("source_id", "ra", "dec", "phot_g_mean_mag", "bp_rp", "alpha_m", "m_h"),
    *("galactocentric_radius", "height", CHANCE),
)
RADII = np.arange(4.0, 12.1, 2.0)
HEIGHTS = np.array([0.0, 0.3, 0.6, 1.0, 1.5, 2.5, 4.0])
FAINTEST = 15.0
FEWEST = 30


def truth_of(sky: Path, kinds: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the truth of sources of some kinds, in the order of ids."""
    tables = [
        pl.read_parquet(sky / "truth" / f"{kind}_*.parquet").select(COLUMNS) for kind in kinds
    ]
    table = pl.concat(tables).sort("source_id")
    return {name: table[name].to_numpy() for name in COLUMNS}


def coverage(chosen: SelectionFunction, truth: dict[str, np.ndarray]) -> None:
    """Say how often the interval holds the true probability, by cell; each cell counts once."""
    grid = chosen._grid
    places = (
        truth["source_id"] >> grid.id_shift,
        grid.magnitudes.places(truth["phot_g_mean_mag"]),
        grid.colours.places(truth["bp_rp"]),
    )
    found = chosen._ask(*places, tier=None, minimum=20, any_colour=False)
    step = {"m": grid.magnitudes.step, "c": grid.colours.step}
    widths = [
        np.where(np.isinf(width), 0, width / one).round().astype(int)
        for width, one in ((found.magnitude_width, step["m"]), (found.colour_width, step["c"]))
    ]
    rows = []
    levels = np.stack([found.order, *widths], axis=1)
    for level in np.unique(levels, axis=0):
        cells = chosen._cells
        codes = cells.join(cells.finest, Coarseness(*level.tolist()), *places)
        where = np.unique(codes, return_inverse=True)[1]
        true = np.bincount(where, truth[CHANCE]) / np.bincount(where)
        mine = np.flatnonzero((levels == level).all(axis=1))
        one = mine[np.unique(where[mine], return_index=True)[1]]
        rows.append([true[where[one]], found.mean[one], found.lower[one], found.upper[one]])
    true, mean, lower, upper = np.concatenate(rows, axis=1)
    print("true probability | cells | interval holds | mean - true | scatter")
    for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.9), (0.9, 0.98), (0.98, 1.01), (0.02, 0.98)):
        here = (true >= low) & (true < high)
        holds = ((lower <= true) & (true <= upper))[here].mean()
        off = (mean - true)[here]
        print(
            f"{low} to {min(high, 1)} | {here.sum()} | {100 * holds:.1f} %"
            f" +- {46.6 / here.sum() ** 0.5:.1f} | {off.mean():+.4f} | {off.std():.3f}"
        )


def curve_figure(chosen: SelectionFunction, truth: dict[str, np.ndarray], out: Path) -> None:
    """Draw probability by magnitude beside the truth, and over the sky."""
    figure = plt.figure(figsize=(13, 4.6), constrained_layout=True)
    axes = figure.add_subplot(1, 2, 1)
    g = np.arange(11.125, 17.0, 0.25)
    bins = np.floor(truth["phot_g_mean_mag"] / 0.25)
    true = [truth[CHANCE][bins == np.floor(one / 0.25)].mean() for one in g]
    axes.plot(g, true, drawstyle="steps-mid", color="0.6", label="truth")
    for tier, tint in ((None, "C0"), ("silver", "C1"), ("gold", "C3")):
        # So many that all of the sky is taken together.
        found = chosen.probability(0.0, 0.0, g, tier=tier, minimum=400)
        error = [found.mean - found.lower, found.upper - found.mean]
        words = "catalogue" if tier is None else f"{tier} or better" if tier != "gold" else tier
        axes.errorbar(g, found.mean, error, fmt="o", ms=3, color=tint, label=words)
    axes.set(xlabel="G", ylabel="probability", ylim=(-0.02, 1.04))
    axes.legend()
    axes = figure.add_subplot(1, 2, 2, projection="mollweide")
    from astropy_healpix import lonlat_to_healpix

    lon, lat = np.meshgrid(np.linspace(-180, 180, 721), np.linspace(-90, 90, 361))
    whole = chosen.map(14.1, order=3, minimum=20)
    from astropy import units

    pixel = lonlat_to_healpix(lon % 360 * units.deg, lat * units.deg, 8, order="nested")
    shown = axes.pcolormesh(
        np.deg2rad(-lon), np.deg2rad(lat), whole.mean[pixel], vmin=0, vmax=0.8, rasterized=True
    )
    axes.set_title("G = 14.1, all colours (right ascension 0 at the centre, to the left)", y=1.08)
    axes.tick_params(labelbottom=False)
    figure.colorbar(shown, ax=axes, shrink=0.7, label="probability")
    figure.savefig(out / "selection.png", dpi=110)


def is_high(alpha_m: np.ndarray, m_h: np.ndarray) -> np.ndarray:
    """Say which stars lie above the line between the simulation's two sequences."""
    return alpha_m > 0.17 - 0.10 * np.clip(m_h, -0.9, 0.3)


def maps_figure(catalogue: Path, chosen: SelectionFunction, sky: Path, out: Path) -> None:
    """Draw share of high-alpha stars and number of sources over R and |z|; print how far off."""
    dataset = open_catalog(catalogue)
    wanted = ("source_id", "ra", "dec", "phot_g_mean_mag", "bp_rp", "alpha_m", "m_h")
    rows = {name: dataset[name].values for name in wanted}
    rows["R"] = dataset["galactocentric_radius"].values
    rows["z"] = np.abs(dataset["galactocentric_height"].values)
    spectra = truth_of(sky, ("truth",))
    place = np.searchsorted(spectra["source_id"], rows["source_id"])
    mine = {name: values[place] for name, values in spectra.items()}
    every = truth_of(sky, ("truth", "without_spectra"))
    ask = (rows["ra"], rows["dec"], rows["phot_g_mean_mag"], rows["bp_rp"])
    weight = 1.0 / chosen.probability(*ask).mean
    use = (rows["phot_g_mean_mag"] < FAINTEST) & np.isfinite(mine["alpha_m"])
    among = (every["phot_g_mean_mag"] < FAINTEST) & np.isfinite(every["alpha_m"])
    cells = _cells(every["galactocentric_radius"], np.abs(every["height"]))
    true = _shares(cells, among, is_high(every["alpha_m"], every["m_h"]), np.ones(among.size))
    shapes = {}
    labels = {
        "true labels": is_high(mine["alpha_m"], mine["m_h"]),
        "the catalogue's labels": is_high(rows["alpha_m"], rows["m_h"]),
    }
    here = _cells(rows["R"], rows["z"])
    print(f"stars with G < {FAINTEST} | bins | rms of share | in errors | in one | in two | counts")
    for words, high in labels.items():
        for kind, weights in (("as they are", np.ones(use.size)), ("weighted", weight)):
            found = _shares(here, use, high, weights)
            shapes[words, kind] = found
            _say(f"{words}, {kind}", found, true)
    panels = {
        "Share of high-alpha sources, truth": (true[0], "share"),
        "Catalogue, weighted": (shapes["true labels", "weighted"][0], "share"),
        "Sources: rows of the catalogue / truth": (
            shapes["true labels", "as they are"][2] / true[2],
            "ratio",
        ),
        "Sources: weighted rows / truth": (shapes["true labels", "weighted"][2] / true[2], "ratio"),
    }
    figure, axes = plt.subplots(1, 4, figsize=(17, 4.2), constrained_layout=True, sharey=True)
    for ax, (title, (values, kind)) in zip(axes, panels.items(), strict=True):
        limits, tint = ((0, 0.6), "viridis") if kind == "share" else ((0.4, 1.6), "RdBu_r")
        shown = ax.pcolormesh(RADII, HEIGHTS, values.T, vmin=limits[0], vmax=limits[1], cmap=tint)
        for i, j in np.ndindex(*values.shape):
            middle = (RADII[i] + RADII[i + 1]) / 2, (HEIGHTS[j] + HEIGHTS[j + 1]) / 2
            if np.isfinite(values[i, j]):
                ax.text(*middle, f"{values[i, j]:.2f}", ha="center", va="center", fontsize=8)
        ax.set(title=title, xlabel="R / kpc")
        figure.colorbar(shown, ax=ax)
    axes[0].set_ylabel("|z| / kpc")
    figure.savefig(out / "selection-map.png", dpi=110)


def _cells(radius: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.digitize(radius, RADII) - 1, np.digitize(height, HEIGHTS) - 1


def _shares(
    cells: tuple[np.ndarray, np.ndarray], use: np.ndarray, high: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return share, its error, sum of weights, and its error; NaN where there are few stars."""
    shape = len(RADII) - 1, len(HEIGHTS) - 1
    share, error, total, spread = np.full((4, *shape), np.nan)
    for i, j in np.ndindex(*shape):
        mine = use & (cells[0] == i) & (cells[1] == j)
        if mine.sum() < FEWEST:
            continue
        w, h = weight[mine], high[mine].astype(float)
        total[i, j], share[i, j] = w.sum(), np.average(h, weights=w)
        spread[i, j] = np.sqrt((w**2).sum())
        error[i, j] = np.sqrt((w**2 * (h - share[i, j]) ** 2).sum()) / w.sum()
    return share, error, total, spread


def _say(words: str, found: tuple[np.ndarray, ...], true: tuple[np.ndarray, ...]) -> None:
    off, error = found[0] - true[0], np.hypot(found[1], true[1])
    known = np.isfinite(off)
    pull = (off / error)[known]
    ratio = (found[2] / true[2])[known]
    one, two = (int((np.abs(pull) < limit).sum()) for limit in (1, 2))
    print(
        f"{words} | {known.sum()} | {np.sqrt((off[known] ** 2).mean()):.3f} | "
        f"{np.sqrt((pull**2).mean()):.2f} | {one} | {two} | {ratio.min():.2f} to {ratio.max():.2f}"
        f", mean {ratio.mean():.2f}"
    )


def main() -> None:
    """Measure and draw."""
    catalogue, sky, out = map(Path, sys.argv[1:4])
    chosen = selection(catalogue)
    every = truth_of(sky, ("truth", "without_spectra"))
    coverage(chosen, every)
    curve_figure(chosen, every, out)
    maps_figure(catalogue, chosen, sky, out)


if __name__ == "__main__":
    main()
