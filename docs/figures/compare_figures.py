"""Draw the figure of docs/compare.md, and print the numbers that the page quotes.

    python docs/figures/compare_figures.py CATALOGUE ARCHIVE OUT

CATALOGUE was made from ARCHIVE, a sky of known truth with GSP-Spec-like values, both simulated.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")

import matplotlib.pyplot as plt

from catalog_builder import open_catalog
from catalog_builder.comparing.outside.mapping import load_mapping
from catalog_builder.comparing.outside.places import find_files
from catalog_builder.comparing.outside.stars import OtherStars

EDGES = (15.0, 20.0, 25.0, 35.0, 50.0, 75.0, 100.0, 200.0)
TITLES = {
    "teff": ("Teff", "K", 0),
    "logg": ("log g", "dex", 3),
    "m_h": ("[M/H]", "dex", 3),
    "alpha_m": ("[alpha/M]", "dex", 3),
}
Array = NDArray[np.float64]


def values_of(archive: Path, profile: str, ids: NDArray[np.int64]) -> dict[str, Array]:
    """Return the labels that a profile's table has of some stars."""
    mapping = load_mapping(profile)
    other = OtherStars(find_files(archive, mapping), mapping, tuple(TITLES))
    blocks = list(other.blocks())
    theirs = np.concatenate([block.ids for block in blocks])
    order = np.argsort(theirs)
    place = np.minimum(np.searchsorted(theirs[order], ids), len(theirs) - 1)
    hit = theirs[order][place] == ids
    found = {}
    for name in TITLES:
        value = np.concatenate([block.values[name] for block in blocks])[order][place]
        found[name] = np.where(hit, value, np.nan)
    return found


def scatter(values: Array) -> float:
    """Return 1.4826 times the median absolute deviation."""
    known = values[np.isfinite(values)]
    return float(1.4826 * np.median(np.abs(known - np.median(known)))) if len(known) else np.nan


def main(catalogue: Path, archive: Path, out: Path) -> None:
    """Draw and print."""
    stars = open_catalog(catalogue)
    stars = stars.isel(source=~stars.in_training_sample.values)
    ids = stars.source_id.values
    ours = {name: stars[name].values.astype(float) for name in TITLES}
    truth, spec, best = (
        values_of(archive, profile, ids)
        for profile in ("simulated-truth", "gsp-spec", "gsp-spec-best")
    )
    snr = stars.rvs_spec_sig_to_noise.values
    faint = (snr >= 15) & (snr < 25)
    rows = [("ours", ours), ("GSP-Spec", spec), ("GSP-Spec, thirteen flags 0", best)]
    for title, values in rows:
        print(f"{title}: {np.isfinite(values['teff'][faint]).sum()} of {faint.sum()} at S/N 15-25")
    both = faint & np.isfinite(spec["teff"]) & np.isfinite(ours["teff"])
    for name, (title, unit, digits) in TITLES.items():
        said = [f"{scatter((v[name] - truth[name])[both]):.{digits}f}" for v in (ours, spec)]
        off = [np.nanmedian((v[name] - truth[name])[both]) for v in (ours, spec)]
        between = np.nanmedian((ours[name] - spec[name])[both])
        print(
            f"{title} [{unit}] of {both.sum()}: scatter {said}, median"
            f" {[f'{one:+.{digits}f}' for one in off]}, ours less theirs {between:+.{digits}f}"
        )
    draw(snr, {"this catalogue": ours, "GSP-Spec-like": spec}, truth, out)


def draw(
    snr: Array, tables: dict[str, dict[str, Array]], truth: dict[str, Array], out: Path
) -> None:
    """Draw the scatter against the truth by S/N."""
    figure, axes = plt.subplots(1, 4, figsize=(13.5, 3.4), constrained_layout=True)
    at = np.sqrt(np.array(EDGES[:-1]) * np.array(EDGES[1:]))
    for axis, (name, (title, unit, _)) in zip(axes, TITLES.items(), strict=True):
        axis.axvspan(15, 25, color="#b9cfe4", linewidth=0)
        for (label, values), colour in zip(tables.items(), ("#D55E00", "#0072B2"), strict=True):
            wide = []
            for low, high in pairwise(EDGES):
                off = (values[name] - truth[name])[(snr >= low) & (snr < high)]
                wide.append(scatter(off) if np.isfinite(off).sum() >= 20 else np.nan)
            axis.plot(at, wide, "o-", color=colour, label=label)
        axis.set(xscale="log", yscale="log", xlabel="S/N of RVS", title=f"{title} [{unit}]")
        axis.set_xticks([15, 25, 50, 100], ["15", "25", "50", "100"])
        axis.minorticks_off()
        low, high = axis.get_ylim()
        ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 20, 50, 100, 200) if low <= t <= high]
        axis.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes[0].set_ylabel("scatter against the truth")
    axes[0].legend(frameon=False)
    figure.savefig(out / "compare-gsp-spec.png", dpi=110)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
