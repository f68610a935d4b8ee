"""Pictures that most papers begin with, of a catalogue or of any part of one.

They take what `open_catalog` or `open_table` returns, also a selection of it, draw the stars of the
tiers gold and silver, and return matplotlib's own objects, to be changed as needed. A picture of
simulated stars says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.given import given_columns
from catalog_builder.ground.errors import CatalogueError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Gold and silver.
TRUSTED: Final = (1, 2)
#: Edges of the panels, kpc, after Hayden et al. 2015 (ApJ 808, 132), figure 4.
RADII: Final = (3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0)
HEIGHTS: Final = (0.0, 0.5, 1.0, 2.0)
#: Fewer stars than this are drawn as points, more as a density.
_MANY: Final = 5_000
_BINS: Final = 100
_MARGIN: Final = 0.002
#: Below this part of the colours, letters are white.
_LIGHT: Final = 0.6


def plot_kiel(stars: Any, ax: Axes | None = None, tiers: Sequence[int] = TRUSTED) -> Axes:
    """Draw Teff against log g.

    Parameters
    ----------
    stars : xarray.Dataset or astropy.table.QTable
        With `teff`, `logg` and, unless `tiers` is empty, `quality_tier`.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    tiers : sequence of int
        Which tiers of quality; empty for all stars.

    Raises
    ------
    CatalogueError
        If a column is missing, or there is no star to draw.
    """
    ax = _axes(ax)
    rows = _rows(stars, ("teff", "logg"), tiers)
    _alone(ax, rows["teff"], rows["logg"], stars)
    ax.set(xlabel="$T_\\mathrm{eff}$ [K]", ylabel="log $g$")
    ax.xaxis.set_inverted(True)
    ax.yaxis.set_inverted(True)
    return ax


def plot_abundances(stars: Any, ax: Axes | None = None, tiers: Sequence[int] = TRUSTED) -> Axes:
    """Draw [alpha/M] against [M/H]; arguments as those of `plot_kiel`."""
    ax = _axes(ax)
    rows = _rows(stars, ("m_h", "alpha_m"), tiers)
    _alone(ax, rows["m_h"], rows["alpha_m"], stars)
    ax.set(xlabel="[M/H]", ylabel="[$\\alpha$/M]")
    return ax


def plot_abundances_by_place(
    stars: Any,
    radii: Sequence[float] = RADII,
    heights: Sequence[float] = HEIGHTS,
    tiers: Sequence[int] = TRUSTED,
) -> Figure:
    """Draw [alpha/M] against [M/H] in bins of Galactocentric radius and height.

    Parameters
    ----------
    stars : xarray.Dataset or astropy.table.QTable
        With `m_h`, `alpha_m`, `galactocentric_radius`, `galactocentric_height` and, unless
        `tiers` is empty, `quality_tier`. Stars without a distance are left out.
    radii, heights : sequence of float
        Rising edges of R and of abs(z), kpc.
    tiers : sequence of int
        Which tiers of quality; empty for all stars.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each bin, the largest height on top, with its number of stars. All panels show
        points, or all a density in the same colours.

    Raises
    ------
    CatalogueError
        If a column is missing, or there is no star to draw.
    """
    from matplotlib import pyplot as plt

    place = ("galactocentric_radius", "galactocentric_height")
    rows = _rows(stars, ("m_h", "alpha_m", *place), tiers)
    radius, height = rows[place[0]], np.abs(rows[place[1]])
    across, down = list(pairwise(radii)), list(pairwise(heights))[::-1]
    figure, panels = plt.subplots(
        len(down), len(across), sharex=True, sharey=True, squeeze=False, layout="constrained",
        figsize=(1.0 + 1.7 * len(across), 0.8 + 1.5 * len(down)),
    )  # fmt: skip
    parts = []
    for panel, (layer, ring) in zip(panels.flat, product(down, across), strict=True):
        here = _between(height, layer) & _between(radius, ring)
        parts.append((rows["m_h"][here], rows["alpha_m"][here]))
        panel.text(
            0.96, 0.94, f"{here.sum()}", transform=panel.transAxes, ha="right", va="top", size=8
        )
    _draw(list(panels.flat), parts, (_limits(rows["m_h"]), _limits(rows["alpha_m"])))
    for panel, (near, far) in zip(panels[0], across, strict=True):
        panel.set_title(f"{near:g} < $R$ < {far:g} kpc", size=9)
    for panel, (low, high) in zip(panels[:, -1], down, strict=True):
        panel.yaxis.set_label_position("right")
        panel.set_ylabel(f"{low:g} < |$z$| < {high:g} kpc", size=9)
    if mark := _mark(stars):
        figure.suptitle(mark, size=9)
    figure.supxlabel("[M/H]")
    figure.supylabel("[$\\alpha$/M]")
    return figure


def plot_shares(
    shares: xr.Dataset, ax: Axes | None = None, limits: tuple[float, float] = (0.0, 1.0)
) -> Axes:
    """Draw shares over Galactocentric radius and height, with their errors in figures.

    Parameters
    ----------
    shares : xarray.Dataset
        Of `HighAlpha.shares`.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    limits : (float, float)
        Shares that the first and the last colour stand for.
    """
    ax = _axes(ax)
    edges = shares.attrs["radii"], shares.attrs["heights"]
    shown = ax.pcolormesh(*edges, shares.share, vmin=limits[0], vmax=limits[1], rasterized=True)
    half = (shares.upper - shares.lower) / 2
    for (line, column), share in np.ndenumerate(shares.share):
        if np.isfinite(share):
            middle = shares.radius[column], shares.height[line]
            text = f"{share:.2f}$\\pm${half.values[line, column]:.2f}"
            dark = share < limits[0] + _LIGHT * (limits[1] - limits[0])
            ax.text(*middle, text, ha="center", va="center", size=7, color="w" if dark else "k")
    ax.set(xlabel="$R$ [kpc]", ylabel="|$z$| [kpc]")
    _tell(ax, shares)
    ax.figure.colorbar(shown, ax=ax, label="share of high [$\\alpha$/M]")
    return ax


def _rows(stars: Any, names: Sequence[str], tiers: Sequence[int]) -> Mapping[str, NDArray[Any]]:
    """Return the columns of the stars of some tiers that have all of them."""
    needed = (*names, "quality_tier") if tiers else tuple(names)
    values = given_columns(stars, needed, "What is to be drawn")
    kept = np.isin(values["quality_tier"], tiers) if tiers else np.ones(len(values[names[0]]), bool)
    for name in names:
        kept &= np.isfinite(values[name])
    if not kept.any():
        of = f" of the tiers {', '.join(map(str, tiers))}" if tiers else ""
        raise CatalogueError(
            f"No star{of} has {' and '.join(names)}: there is nothing to draw.",
            "Give tiers=() to draw stars of every tier.",
        )
    return {name: values[name][kept] for name in names}


def _alone(ax: Axes, x: NDArray[Any], y: NDArray[Any], stars: Any) -> None:
    _draw([ax], [(x, y)])
    _tell(ax, stars)


def _draw(
    axes: Sequence[Axes],
    parts: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    limits: tuple[Any, Any] | None = None,
) -> None:
    """Draw stars in each of some axes: as points, or all as a density where some hold many."""
    if max(len(x) for x, _ in parts) < _MANY:
        for ax, (x, y) in zip(axes, parts, strict=True):
            ax.plot(x, y, ".", markersize=2.5, color="#0072B2", alpha=0.6, markeredgewidth=0)
    else:
        _draw_density(axes, parts, limits or tuple(_limits(each) for each in parts[0]))
    if limits:
        for ax in axes:
            ax.set(xlim=limits[0], ylim=limits[1])


def _draw_density(
    axes: Sequence[Axes],
    parts: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    extent: tuple[Any, ...],
) -> None:
    from matplotlib.colors import LogNorm

    found = [np.histogram2d(x, y, bins=_BINS, range=extent) for x, y in parts]
    colours = LogNorm(1.0, max(2.0, *(counts.max() for counts, _, _ in found)))
    for ax, (counts, right, top) in zip(axes, found, strict=True):
        shown = np.where(counts > 0, counts, np.nan).T
        mesh = ax.pcolormesh(right, top, shown, norm=colours, rasterized=True)
    if len(axes[0].figure.axes) == len(axes):  # neither there yet, nor taking room from other axes
        axes[0].figure.colorbar(mesh, ax=axes, label="stars in a cell")


def _between(values: NDArray[Any], edges: tuple[float, float]) -> NDArray[np.bool_]:
    return (edges[0] <= values) & (values < edges[1])


def _tell(ax: Axes, stars: Any) -> None:
    """Write over axes that stars are simulated, if they are."""
    if mark := _mark(stars):
        ax.set_title(mark, size=9)


def _mark(stars: Any) -> str:
    """Return what is simulated, of what `open_catalog` and `open_table` say of it in words."""
    facts = getattr(stars, "attrs", None) or getattr(stars, "meta", {})
    words = str(facts.get("simulated") or "")
    if not words:
        return ""
    kinds = {"Every": "SIMULATED STARS", "Some": "PARTLY SIMULATED STARS"}
    return kinds.get(words.partition(" ")[0], "SIMULATED TRAINING STARS")


def _limits(values: NDArray[Any]) -> tuple[float, float]:
    """Return limits that leave a few stray stars out."""
    if not len(values):
        return 0.0, 1.0
    low, high = np.quantile(values, [_MARGIN, 1.0 - _MARGIN])
    room = 0.05 * (high - low) or 0.1
    return float(low - room), float(high + room)


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(layout="constrained")[1]
