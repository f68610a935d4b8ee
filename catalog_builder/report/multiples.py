"""Small multiples as SVG: panels in rows and columns that share their axes.

Written as text, not by a library: a grid of twenty panels takes milliseconds, which the seal has.
"""

from __future__ import annotations

import base64
import math
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.report.pictures import GREY, INK, Picture

#: Of a panel, of the margins around all, and between panels; in units of a CSS pixel.
_LEFT, _BOTTOM, _TOP, _RIGHT, _GAP = 74.0, 46.0, 42.0, 12.0, 10.0
_PIXELS_PER_INCH: Final = 96.0
_MOST_TICKS: Final = 6
_SUB: Final = re.compile(r"<(sub|sup)>(.*?)</\1>")
_ITALIC: Final = re.compile(r"<(?:i|b)>(.*?)</(?:i|b)>")


@dataclass(frozen=True)
class Scale:
    """An axis: its limits, and its title as markup of `Label.html` or as text."""

    low: float
    high: float
    title: str = ""
    log: bool = False

    def share(self, values: Any) -> NDArray[np.float64]:
        """Return how far along the axis values are, 0 to 1 within its limits."""
        numbers = np.asarray(values, dtype=np.float64)
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(np.log(numbers / self.low) / math.log(self.high / self.low))
        return np.asarray((numbers - self.low) / (self.high - self.low))

    def ticks(self) -> list[tuple[float, str]]:
        """Return at most six round numbers, and how they are written."""
        if self.log:
            for digits in ((1, 2, 5), (1, 3), (1,)):
                found = [digit * 10.0**power for power in range(-9, 10) for digit in digits]
                if sum(self.low <= one <= self.high for one in found) <= _MOST_TICKS:
                    break
        else:
            low, high = sorted((self.low, self.high))
            step = 10.0 ** math.floor(math.log10((high - low) / 2))
            step *= next(by for by in (0.5, 1, 2, 5, 10) if (high - low) / (by * step) <= 5)
            found = [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
        inside = [one for one in found if -1e-9 <= float(self.share(one)) <= 1 + 1e-9]
        return [(one, f"{one + 0.0:.6g}".replace("-", "−")) for one in inside]


@dataclass
class Multiples:
    """A grid of panels.

    Attributes
    ----------
    x : sequence of Scale
        Of each column.
    y : sequence of Scale
        Of each row.
    size : (float, float)
        Of a panel, in CSS pixels.
    titles : sequence of str
        Of columns; a legend stands over them, and needs one that may be empty.
    """

    x: Sequence[Scale]
    y: Sequence[Scale]
    size: tuple[float, float] = (200.0, 130.0)
    titles: Sequence[str] = ()
    _parts: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str]] = field(default_factory=list)

    def _corner(self, row: int, column: int) -> tuple[float, float]:
        return (
            _LEFT + column * (self.size[0] + _GAP),
            self._top + row * (self.size[1] + _GAP),
        )

    @property
    def _top(self) -> float:
        """Return the room for titles and a legend."""
        return _TOP if self.titles else _GAP

    def _points(self, row: int, column: int, x: Any, y: Any) -> list[tuple[float, float]]:
        left, top = self._corner(row, column)
        across = left + self.size[0] * np.clip(self.x[column].share(x), -0.5, 1.5)
        down = top + self.size[1] * (1 - np.clip(self.y[row].share(y), -0.5, 1.5))
        return list(zip(np.atleast_1d(across).tolist(), np.atleast_1d(down).tolist(), strict=True))

    def line(
        self, row: int, column: int, x: Any, y: Any, colour: str, *, width: float = 1.6,
        dashes: str = "",
    ) -> None:  # fmt: skip
        """Draw a line through the points that are known; a gap where one is not."""
        known = np.isfinite(np.asarray(x, dtype=float)) & np.isfinite(np.asarray(y, dtype=float))
        points = self._points(row, column, x, y)
        path, pen = "", "M"
        for (across, down), one in zip(points, known, strict=True):
            path, pen = (f"{path}{pen}{across:.1f} {down:.1f}", "L") if one else (path, "M")
        if path:
            style = f' stroke-dasharray="{dashes}"' if dashes else ""
            self._in(
                row, column,
                f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{style}/>',
            )  # fmt: skip

    def dots(self, row: int, column: int, x: Any, y: Any, colour: str, size: float = 2.0) -> None:
        """Draw a dot at each point that is known."""
        for across, down in self._points(row, column, x, y):
            if math.isfinite(across) and math.isfinite(down):
                dot = f'<circle cx="{across:.1f}" cy="{down:.1f}" r="{size}" fill="{colour}"/>'
                self._in(row, column, dot)

    def band(
        self, row: int, column: int, x: Any, low: Any, high: Any, colour: str,
        opacity: float = 0.22,
    ) -> None:  # fmt: skip
        """Shade between two lines."""
        known = np.isfinite(low) & np.isfinite(high)
        if not known.any():
            return
        x, low, high = (np.asarray(values, dtype=float)[known] for values in (x, low, high))
        there = self._points(row, column, x, low)
        back = self._points(row, column, x[::-1], high[::-1])
        points = " ".join(f"{across:.1f},{down:.1f}" for across, down in (*there, *back))
        shade = f'<polygon points="{points}" fill="{colour}" fill-opacity="{opacity}"/>'
        self._in(row, column, shade)

    def cells(self, row: int, column: int, colours: NDArray[np.uint8], extent: Any) -> None:
        """Draw cells, (x, y, 4) of red, green, blue and opacity, between low and high of either."""
        corner_x, corner_y = self._corner(row, column)
        left, right = (
            corner_x + self.size[0] * float(at) for at in self.x[column].share(extent[0])
        )
        bottom, top = (
            corner_y + self.size[1] * (1 - float(at)) for at in self.y[row].share(extent[1])
        )
        # Rows of a picture go down; axes may go either way.
        image = colours.transpose(1, 0, 2)[::-1]
        if right < left:
            left, right, image = right, left, image[:, ::-1]
        if top > bottom:
            top, bottom, image = bottom, top, image[::-1]
        data = base64.b64encode(png_of(image)).decode("ascii")
        self._in(
            row, column,
            f'<image x="{left:.2f}" y="{top:.2f}" width="{right - left:.2f}"'
            f' height="{bottom - top:.2f}" preserveAspectRatio="none"'
            f' style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>',
        )  # fmt: skip

    def note(self, row: int, column: int, words: str) -> None:
        """Write into the upper left corner of a panel."""
        left, top = self._corner(row, column)
        self._parts.append(
            f'<text x="{left + 6:.1f}" y="{top + 14:.1f}" class="s h">{symbol(words)}</text>'
        )

    def legend(self, colour: str, words: str) -> None:
        """Add an entry on top."""
        self._legend.append((colour, words))

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height of all of it, in CSS pixels."""
        return (
            _LEFT + len(self.x) * (self.size[0] + _GAP) - _GAP + _RIGHT,
            self._top + len(self.y) * (self.size[1] + _GAP) - _GAP + _BOTTOM,
        )

    def picture(self, alt: str) -> Picture:
        """Return all of it."""
        width, height = self.extent
        frame = "".join(self._frames())
        content = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
            f' width="{width:.0f}" height="{height:.0f}">'
            "<style>text{font:12px sans-serif;fill:#222}.s{font-size:11px}"
            ".h{paint-order:stroke;stroke:#fff;stroke-width:3px}</style>"
            f'<rect width="100%" height="100%" fill="#fff"/>{self._clips()}'
            f"{''.join(self._parts)}{frame}{self._legend_text(width)}</svg>"
        )
        return Picture(content.encode(), "image/svg+xml", alt, width / _PIXELS_PER_INCH)

    def _in(self, row: int, column: int, part: str) -> None:
        self._parts.append(f'<g clip-path="url(#c{row}-{column})">{part}</g>')

    def _clips(self) -> str:
        clips = []
        for row in range(len(self.y)):
            for column in range(len(self.x)):
                left, top = self._corner(row, column)
                clips.append(
                    f'<clipPath id="c{row}-{column}"><rect x="{left}" y="{top}"'
                    f' width="{self.size[0]}" height="{self.size[1]}"/></clipPath>'
                )
        return f"<defs>{''.join(clips)}</defs>"

    def _frames(self) -> list[str]:
        found = []
        wide, tall = self.size
        for row, scale in enumerate(self.y):
            left, top = self._corner(row, 0)
            middle = top + tall / 2
            found.append(
                f'<text text-anchor="middle" transform="translate(16 {middle:.1f}) rotate(-90)">'
                f"{symbol(scale.title)}</text>"
            )
            for value, words in scale.ticks():
                down = top + tall * (1 - float(scale.share(value)))
                found.append(
                    f'<text class="s" text-anchor="end" x="{left - 6}" y="{down + 4:.1f}">{words}'
                    "</text>"
                )
        for column, scale in enumerate(self.x):
            left, top = self._corner(len(self.y) - 1, column)
            bottom = top + tall
            found.append(
                f'<text text-anchor="middle" x="{left + wide / 2:.1f}" y="{bottom + 36:.1f}">'
                f"{symbol(scale.title)}</text>"
            )
            for value, words in scale.ticks():
                across = left + wide * float(scale.share(value))
                found.append(
                    f'<text class="s" text-anchor="middle" x="{across:.1f}" y="{bottom + 15:.1f}">'
                    f"{words}</text>"
                )
        for row, y in enumerate(self.y):
            for column, x in enumerate(self.x):
                found.append(self._frame(row, column, x, y))
        for column, words in enumerate(self.titles):
            left, top = self._corner(0, column)
            found.append(
                f'<text text-anchor="middle" x="{left + wide / 2:.1f}" y="{top - 8:.1f}">'
                f"{symbol(words)}</text>"
            )
        return found

    def _frame(self, row: int, column: int, x: Scale, y: Scale) -> str:
        left, top = self._corner(row, column)
        wide, tall = self.size
        marks = ""
        for value, _ in x.ticks():
            across = left + wide * float(x.share(value))
            marks += f"M{across:.1f} {top + tall:.1f}v-4"
        for value, _ in y.ticks():
            down = top + tall * (1 - float(y.share(value)))
            marks += f"M{left:.1f} {down:.1f}h4"
        return (
            f'<rect x="{left}" y="{top}" width="{wide}" height="{tall}" fill="none"'
            f' stroke="{INK}"/><path d="{marks}" stroke="{GREY}"/>'
        )

    def _legend_text(self, width: float) -> str:
        found, across = [], width - _RIGHT
        for colour, words in reversed(self._legend):
            across -= 7.0 * len(re.sub(r"<.*?>", "", words)) + 26
            found.append(
                f'<path d="M{across:.0f} 10h16" stroke="{colour}" stroke-width="3"/>'
                f'<text class="s" x="{across + 20:.0f}" y="14">{symbol(words)}</text>'
            )
        return "".join(found)


def coloured(values: NDArray[np.float64], low: float, high: float, name: str) -> NDArray[np.uint8]:
    """Return colours of a map for values, see-through where they are not finite, (..., 4)."""
    import matplotlib as mpl

    share = (values - low) / max(high - low, 1e-300)
    known = np.isfinite(share)
    colours = mpl.colormaps[name](np.clip(np.where(known, share, 0.0), 0, 1), bytes=True)
    colours = np.asarray(colours, dtype=np.uint8)
    colours[~known] = 0
    return colours


def symbol(markup: str) -> str:
    """Return markup of a label's symbol, or of text, as the content of an SVG's text."""
    found = _ITALIC.sub(r'<tspan font-style="italic">\1</tspan>', markup)

    def shifted(match: re.Match[str]) -> str:
        by = 3 if match[1] == "sub" else -4
        return (
            f'<tspan dy="{by}" font-size="75%">{match[2]}</tspan><tspan dy="{-by}">&#8203;</tspan>'
        )

    return _SUB.sub(shifted, found)


def png_of(image: NDArray[np.uint8]) -> bytes:
    """Return a picture, (rows, columns, 4), as a PNG."""
    rows, columns = image.shape[:2]
    lines = np.zeros((rows, 1 + 4 * columns), dtype=np.uint8)
    lines[:, 1:] = image.reshape(rows, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 6)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
