"""Pieces of an HTML page. What comes from outside enters through `text`, which escapes it."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Thin and unbreakable: between groups of three digits, and before the sign of per cent.
_GROUP = "\u202f"
NOTHING = "–"
_TAG = re.compile("<[^>]*>")
#: Characters that a phone is wide, those of a column of words at least, of a sentence, and of a gap
#: of two columns; and rows by which a table's width is known.
_NARROW, _COLUMN, _SENTENCE, _BETWEEN, _LOOKED_AT = 46, 30, 40, 2, 60


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
    every = [tuple(row) for row in rows]
    stacked = _width([tuple(head), *every], words) > _NARROW
    heads = [_plain(cell) for cell in head] if stacked else []
    body = "\n".join(_row(row, words, heads) for row in every)
    foot = f"\n<tfoot>{_row(total, words, heads)}</tfoot>" if total else ""
    kind = ' class="stack"' if stacked else ""
    return (
        f'<div class="table"><table{kind}><caption>{text(caption)}</caption>\n'
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody>{foot}\n</table></div>"
    )


def _row(cells: Sequence[Cell], words: int, heads: Sequence[str]) -> str:
    """Return a row; where heads are given, every cell knows its own, for rows that are stacked."""
    first = f'<th scope="row">{text(cells[0])}</th>'
    others = ""
    for i, cell in enumerate(cells[1:], start=1):
        head = f' data-h="{html.escape(heads[i])}"' if heads and _labelled(cell, heads[i]) else ""
        others += f"<td{_numeric(i, words)}{head}>{text(cell)}</td>"
    return f"<tr>{first}{others}</tr>"


def _labelled(cell: Cell, head: str) -> bool:
    """Say whether a cell needs its column's title to be understood: sentences do not."""
    return bool(head) and len(_plain(cell)) <= _SENTENCE


def _width(rows: Sequence[Sequence[Cell]], words: int) -> int:
    """Return how many characters wide a table is at least: numbers do not break, words do."""
    head, *others = rows
    width = 0
    for place in range(len(head)):
        longest = _longest_word(head[place])
        for row in others[:_LOOKED_AT]:
            plain = _plain(row[place])
            if place >= words:
                longest = max(longest, len(plain))
            else:
                longest = max(longest, _longest_word(plain), min(len(plain), _COLUMN))
        width += longest + _BETWEEN
    return width


def _longest_word(cell: Cell) -> int:
    return max((len(word) for word in _plain(cell).split()), default=0)


def _plain(cell: Cell) -> str:
    return html.unescape(_TAG.sub("", cell.markup)) if isinstance(cell, Html) else str(cell)


def _numeric(column: int, words: int) -> str:
    return ' class="n"' if column >= words else ""
