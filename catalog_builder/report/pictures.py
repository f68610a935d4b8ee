"""How a figure of the report looks and becomes bytes: the same bytes for the same numbers."""

from __future__ import annotations

import base64
import gc
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import matplotlib as mpl
from cycler import cycler
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator

#: Okabe & Ito, "Color universal design" (2008): told apart with any colour vision.
COLOURS: Final = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8a8a")
INK: Final = "#222222"
GREY: Final = "#8a8a8a"
FILL: Final = "#b9cfe4"
BLUE: Final = COLOURS[1]
ORANGE: Final = COLOURS[0]

#: Perceptually uniform: density, and a quantity averaged per cell.
DENSITY_MAP: Final = "viridis"
MEAN_MAP: Final = "plasma"

_STYLE: Final[dict[str, Any]] = {
    "font.size": 9,
    "axes.labelsize": 9.5,
    "axes.titlesize": 9.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "axes.prop_cycle": cycler(color=COLOURS),
    "image.interpolation": "nearest",
    "figure.facecolor": "white",
    # Without a salt the identifiers inside an SVG are random.
    "svg.hashsalt": "catalog-builder",
}

# Pixels per inch of a page that is printed at its own size.
_PNG_DPI: Final = 180
# Of SVG, where a point is a seventy-second of an inch.
_SVG_DPI: Final = 72
# From where numbers are written in powers of ten.
_LARGE: Final = 1e4
# Objects that are made before Python looks for circles among them: by default 700.
_OBJECTS: Final = 100_000


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Attributes
    ----------
    data : bytes
        The SVG or PNG file.
    media_type : str
        Of `data`.
    alt : str
        What a reader who does not see it should know; plain text.
    width : float
        In inches, as it was drawn.
    """

    data: bytes
    media_type: str
    alt: str
    width: float

    @property
    def uri(self) -> str:
        """The picture as a ``data:`` address, so that the page needs no second file."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


@contextmanager
def report_style() -> Iterator[None]:
    """Draw as the report does, whatever the user's own matplotlib settings are."""
    drawn = style.context(["default", _STYLE], after_reset=False)
    with mpl.rc_context(), drawn, _seldom_collected():
        yield


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Have the collector look more seldom, and at nothing but what is made meanwhile.

    A figure is many objects: while it grows, all that was imported would be gone through time and
    again, a seventh of the time of drawing.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07))


def plain_logarithmic(axis: XAxis | YAxis) -> None:
    """Put plain numbers on a logarithmic axis; more of them the fewer decades it spans."""

    def major(value: float, _: int | None) -> str:
        return _plain(value, "1")

    def minor(value: float, _: int | None) -> str:
        low, high = sorted(axis.get_view_interval())
        if high >= 100 * low:
            return ""
        return _plain(value, "25" if high >= 10 * low else "2357")

    # Ticks where there may be numbers, and no more: each takes time to draw.
    axis.set_minor_locator(LogLocator(subs=(2.0, 3.0, 5.0, 7.0)))
    axis.set_major_formatter(FuncFormatter(major))
    axis.set_minor_formatter(FuncFormatter(minor))


def _plain(value: float, leading: str) -> str:
    """Return a number of one digit if it is one of these, else nothing."""
    digit, power = f"{value:.0e}".split("e")
    if digit not in leading:
        return ""
    if 1e-4 < value < 1e5:
        return f"{value:g}"
    factor = "" if digit == "1" else rf"{digit}\times"
    return rf"${factor}10^{{{int(power)}}}$"


def panels(
    count: int, *, columns: int, size: tuple[float, float], **shared: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``count`` panels of one size in inches, row by row.

    Panels in more than three rows are smaller, and one more stands in each row.
    """
    if count > 3 * columns:
        size = size[0] * columns / (columns + 1), size[1] * columns / (columns + 1)
        columns += 1
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(size[0] * columns, size[1] * rows)
    grid = figure.subplots(rows, columns, squeeze=False, **shared).ravel()
    for empty in grid[count:]:
        empty.remove()
    return figure, list(grid[:count])


def panels_apart(
    count: int, *, columns: int, size: tuple[float, float]
) -> tuple[list[Figure], list[Axes]]:
    """Return so many panels, each a figure of its own, which a page puts where it has room."""
    if count > 3 * columns:
        size = size[0] * columns / (columns + 1), size[1] * columns / (columns + 1)
    figures = [new_figure(*size) for _ in range(count)]
    return figures, [one.subplots() for one in figures]


def as_pictures(figures: Sequence[Figure], kind: Literal["svg", "png"], alt: str) -> list[Picture]:
    """Return panels as pictures; the first tells what all of them show."""
    return named([as_picture(one, kind, "") for one in figures], alt)


def named(pictures: Sequence[Picture], alt: str) -> list[Picture]:
    """Return panels of one figure with what they show: the first tells it of all."""
    others = (f"Panel {at} of {len(pictures)} of this figure." for at in range(2, 999))
    alts = [alt, *(next(others) for _ in pictures[1:])]
    return [replace(one, alt=words) for one, words in zip(pictures, alts, strict=True)]


def as_picture(figure: Figure, kind: Literal["svg", "png"], alt: str) -> Picture:
    """Return the figure as a picture; lines belong into SVG, density maps into PNG."""
    buffer, width = io.BytesIO(), float(figure.get_figwidth())
    # Not `savefig`, which draws each figure twice: its layout is made when it is drawn anyway.
    if kind == "svg":
        figure.set_dpi(_SVG_DPI)
        # The date and the program's version would change the bytes.
        svg: Any = FigureCanvasSVG(figure)  # matplotlib does not declare how it prints
        svg.print_svg(buffer, metadata={"Date": None, "Creator": None})
        return Picture(buffer.getvalue(), "image/svg+xml", alt, width)
    figure.set_dpi(_PNG_DPI)
    png: Any = FigureCanvasAgg(figure)
    png.print_png(buffer, metadata={"Software": None})
    return Picture(buffer.getvalue(), "image/png", alt, width)


def thousands(axis: XAxis | YAxis, largest: float) -> str:
    """Put numbers up to this on an axis in a power of ten, and return what its title says of it.

    Not by ``axes.formatter.use_mathtext``: every number would be parsed as a formula, a fifth of
    the time of all drawing.
    """
    power = int(math.log10(largest)) if largest >= _LARGE else 0
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10**power:g}"))
    return f", in $10^{power}$" if power else ""
