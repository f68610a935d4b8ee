"""Measure the selection function of a simulated catalogue, and draw the figures of its page.

    python docs/figures/selection_figures.py CATALOGUE SKY TAUGHT OUT

SKY is the archive of the catalogue, made by `simulate --sources-without-spectra`; TAUGHT is the
catalogue of the run that trained the model. Prints the tables that docs/selection.md quotes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import xarray as xr

mpl.use("Agg")

import matplotlib.pyplot as plt

from catalog_builder.catalog.high_alpha import HEIGHTS, RADII, HighAlpha, high_alpha
from catalog_builder.catalog.open import open_catalog
from catalog_builder.catalog.plots import plot_shares
from catalog_builder.catalog.selection import SelectionFunction, selection
from catalog_builder.catalog.selection_cells import Coarseness

CHANCE = "chance_of_spectra"
RADIUS, Z = "galactocentric_radius", "galactocentric_height"
COLUMNS = (
    *("source_id", "ra", "dec", "phot_g_mean_mag", "bp_rp", "alpha_m", "m_h"),
    *("galactocentric_radius", "height", CHANCE),
)
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


@dataclass(frozen=True)
class Bins:
    """What stars in bins of R and |z| are, (heights, radii); NaN where there are few."""

    share: np.ndarray
    error: np.ndarray
    count: np.ndarray

    @property
    def drawable(self) -> xr.Dataset:
        """As `HighAlpha.shares` returns them."""
        names, edges = ("height", "radius"), (HEIGHTS, RADII)
        middles = {n: np.add(e[1:], e[:-1]) / 2 for n, e in zip(names, edges, strict=True)}
        ends = {"lower": self.share - self.error, "upper": self.share + self.error}
        values = {name: (names, each) for name, each in {"share": self.share, **ends}.items()}
        return xr.Dataset(values, middles, {"radii": RADII, "heights": HEIGHTS})


def counted(table: dict[str, np.ndarray], learnt: HighAlpha, limit: float) -> Bins:
    """Count stars above the line, brighter than a limit."""
    use = (table["phot_g_mean_mag"] <= limit) & (table["m_h"] > learnt.lowest_m_h)
    high = table["alpha_m"] > np.interp(table["m_h"], *learnt.line)
    radius, height = table["galactocentric_radius"], np.abs(table["height"])
    found = np.full((3, len(HEIGHTS) - 1, len(RADII) - 1), np.nan)
    for i, j in np.ndindex(*found.shape[1:]):
        mine = use & (radius >= RADII[j]) & (radius < RADII[j + 1])
        mine &= (height >= HEIGHTS[i]) & (height < HEIGHTS[i + 1])
        if mine.sum() >= FEWEST:
            w = table["weight"][mine]
            share = np.average(high[mine], weights=w)
            error = np.sqrt(share * (1 - share) * (w**2).sum()) / w.sum()
            found[:, i, j] = share, error, w.sum()
    return Bins(*found)


def maps_figure(
    catalogue: Path, chosen: SelectionFunction, sky: Path, learnt: HighAlpha, out: Path
) -> None:
    """Draw the share of high-alpha stars over R and |z|, beside the truth; print how far off."""
    stars = open_catalog(catalogue)
    wanted = ("source_id", "ra", "dec", "phot_g_mean_mag", "bp_rp", "alpha_m", "m_h", RADIUS, Z)
    rows = {name: stars[name].values for name in wanted}
    rows["height"] = rows.pop(Z)
    every = truth_of(sky, ("truth", "without_spectra"))
    every["weight"] = np.ones(len(every["m_h"]))
    spectra = truth_of(sky, ("truth",))
    place = np.searchsorted(spectra["source_id"], rows["source_id"])
    right = {name: spectra[name][place] for name in ("alpha_m", "m_h")}
    weight = 1.0 / chosen.probability(*(rows[name] for name in wanted[1:5])).mean
    drawn = {}
    print("G below | labels | rows | bins | rms of share | in errors | in one | in two | counts")
    for limit in (learnt.faintest, 15.0):
        true = counted(every, learnt, limit)
        for kind, each in (("as they are", np.ones(len(weight))), ("weighted", weight)):
            rows["weight"] = each
            by_right = counted({**rows, **right}, learnt, limit)
            by_answer = counted(rows, learnt, limit)
            found = learnt.shares(stars, weights=each, faintest=limit)
            error = ((found.upper - found.lower) / 2).values
            by_learnt = Bins(found.share.values, error, by_answer.count)
            for words, bins in (
                ("the true ones, counted", by_right),
                ("the model's, counted", by_answer),
                ("the model's, as learnt", by_learnt),
            ):
                _say(f"{limit:.1f} | {words} | {kind}", bins, true)
            if kind == "weighted":
                drawn[limit] = true, by_right, by_answer, by_learnt
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.6), constrained_layout=True)
    titles = ("truth", "true labels", "answers above the line", "as learnt")
    for ax, title, bins in zip(axes.flat, titles, drawn[learnt.faintest], strict=True):
        plot_shares(bins.drawable, ax, limits=(0, 0.9))
        ax.set_title(title)
    figure.savefig(out / "selection-map.png", dpi=110)


def _say(words: str, found: Bins, true: Bins) -> None:
    off, error = found.share - true.share, np.hypot(found.error, true.error)
    known = np.isfinite(off)
    pull = (off / error)[known]
    ratio = (found.count / true.count)[known]
    one, two = (int((np.abs(pull) < limit).sum()) for limit in (1, 2))
    print(
        f"{words} | {known.sum()} | {np.sqrt((off[known] ** 2).mean()):.3f} | "
        f"{np.sqrt((pull**2).mean()):.2f} | {one} | {two} | {ratio.min():.2f} to {ratio.max():.2f}"
        f", mean {ratio.mean():.2f}"
    )


def main() -> None:
    """Measure and draw."""
    catalogue, sky, taught, out = map(Path, sys.argv[1:5])
    chosen = selection(catalogue)
    every = truth_of(sky, ("truth", "without_spectra"))
    coverage(chosen, every)
    curve_figure(chosen, every, out)
    maps_figure(catalogue, chosen, sky, high_alpha(taught), out)


if __name__ == "__main__":
    main()
