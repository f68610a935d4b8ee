"""Pieces of an HTML page. What comes from outside enters through `text`, which escapes it."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Thin and unbreakable: between groups of three digits, and before the sign of per cent.
_GROUP = "\u202f"
NOTHING = "–"


@dataclass(frozen=True)
class Html:
    """Markup that may stand on the page as it is."""

    markup: str


Cell = Html | str


def text(value: object) -> str:
    """Return a value as text of the page; markup in it is shown, not obeyed."""
    return value.markup if isinstance(value, Html) else html.escape(str(value), quote=True)


def number(value: int) -> Html:
    """Return a count, with its digits in groups, and for machines as it is."""
    return Html(f'<data value="{value:d}">{value:_d}</data>'.replace("_", _GROUP))


def measure(value: object, decimals: int, *, signed: bool = False) -> Cell:
    """Return a measured number, or a dash if there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    # A bias of -0.0004 is printed as 0.000, not as -0.000.
    rounded = round(float(value), decimals) + 0.0
    shown = f"{rounded:+.{decimals}f}" if signed and rounded else f"{rounded:.{decimals}f}"
    return shown.replace("-", "−")


def percent(part: float, whole: float, decimals: int = 1) -> str:
    """Return a share in per cent; few of many are never shown as none, nor most as all."""
    if not whole:
        return NOTHING
    share, least = 100.0 * part / whole, 10.0**-decimals
    if 0 < share < least / 2:
        return f"<{_GROUP}{least:g}{_GROUP}%"
    if 100.0 - least / 2 < share < 100.0:
        return f">{_GROUP}{100 - least:g}{_GROUP}%"
    return f"{share:.{decimals}f}{_GROUP}%"


def share(value: object) -> Cell:
    """Return a share between 0 and 1 in per cent, or a dash if there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    return percent(value, 1.0)


def covered(share: float, stars: int, nominal: float) -> Html:
    """Return a coverage, with an arrow where chance would make it of honest sigma in 5 of 100."""
    error = math.sqrt(nominal * (1 - nominal) / max(stars, 1))
    mark = ""
    if abs(share - nominal) > 1.96 * error:
        word, arrow = ("too few", "▾") if share < nominal else ("too many", "▴")
        mark = f' <span class="off" title="{word}">{arrow}</span>'
    return Html(f"{percent(share, 1.0)}{mark}")


def paragraph(*parts: Cell) -> str:
    """Return a paragraph of these parts, put together without spaces."""
    return f"<p>{''.join(text(part) for part in parts)}</p>"


def table(
    caption: str,
    head: Sequence[Cell],
    rows: Iterable[Sequence[Cell]],
    *,
    words: int = 1,
    total: Sequence[Cell] | None = None,
) -> str:
    """Return a table.

    Parameters
    ----------
    caption : str
        What it shows.
    head : sequence
        Titles of the columns.
    rows : iterable of sequences
        Cells; the first is the row's title.
    words : int
        Number of leading columns that hold words; the others hold numbers.
    total : sequence, optional
        The last row, set apart.
    """
    titles = "".join(
        f'<th scope="col"{_numeric(i, words)}>{text(cell)}</th>' for i, cell in enumerate(head)
    )
    body = "\n".join(_row(row, words) for row in rows)
    foot = f"\n<tfoot>{_row(total, words)}</tfoot>" if total else ""
    return (
        f'<div class="table"><table><caption>{text(caption)}</caption>\n'
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody>{foot}\n</table></div>"
    )


def _row(cells: Sequence[Cell], words: int) -> str:
    first = f'<th scope="row">{text(cells[0])}</th>'
    others = "".join(
        f"<td{_numeric(i, words)}>{text(cell)}</td>" for i, cell in enumerate(cells[1:], start=1)
    )
    return f"<tr>{first}{others}</tr>"


def _numeric(column: int, words: int) -> str:
    return ' class="n"' if column >= words else ""
