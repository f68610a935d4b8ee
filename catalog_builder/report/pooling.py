"""Few stars say little: regimes and bins taken together until they have enough."""

from __future__ import annotations

from typing import Final

from catalog_builder.report.labelled import Labelled
from catalog_builder.report.measured import Measured

#: Stars of a regime or bin that is shown by itself.
LEAST: Final = 20
#: What all regimes with fewer are called together.
POOLED: Final = "all smaller regimes together"


def regime_cells(labelled: Labelled, label: str, least: int) -> list[tuple[str, list[int]]]:
    """Return all stars, each regime with enough stars, and all others pooled, with their cells."""
    found, small = [("", [labelled.cell("all")])], []
    for place, name in enumerate(labelled.divisions["regime"].cells):
        cell = labelled.cell("regime", place)
        if labelled.measured(label, cell).stars >= least:
            found.append((name, [cell]))
        else:
            small.append(cell)
    return [*found, (POOLED, small)] if small else found


def pooled(
    labelled: Labelled, label: str, name: str, least: int = LEAST, group: int | None = None
) -> list[tuple[int, int, Measured]]:
    """Return bins along something, neighbours taken together: first cell, end, what was measured.

    Parameters
    ----------
    labelled : Labelled
        The sums.
    label, name : str
        Which label, and which division.
    least : int
        Stars of a bin, at least; what is left at the end has fewer and is not there.
    group : int, optional
        Of which stars; of all if not given.
    """
    found, first = [], 0
    for place in range(len(labelled.divisions[name].cells)):
        cells = [labelled.cell(name, at) for at in range(first, place + 1)]
        measured = labelled.measured(label, cells, group)
        if not measured.stars:
            first = place + 1
        elif measured.stars >= least:
            found.append((first, place + 1, measured))
            first = place + 1
    return found
