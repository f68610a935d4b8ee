"""The section on a catalogue beside other labels of its stars that its archive has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report import accuracy as figures
from catalog_builder.report.diagrams import figure
from catalog_builder.report.histogram import Counts
from catalog_builder.report.html import (
    NOTHING,
    Cell,
    Html,
    measure,
    number,
    paragraph,
    percent,
    table,
    text,
)
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.others import BOTH, Other
from catalog_builder.report.pooling import LEAST
from catalog_builder.report.quantities import difference_unit
from catalog_builder.report.words import regime

#: What descriptions put between backticks.
_CODE: Final = re.compile("`([^`]*)`")


@dataclass(frozen=True)
class OtherTable:
    """Another table's labels beside the catalogue's.

    Attributes
    ----------
    name, title : str
        Of the table.
    notes : tuple of str
        What a reader should know of it.
    sums : Other
        Of the stars.
    simulated : bool
        Whether its values were drawn by this program, and are no measurements.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    sums: Other
    simulated: bool


def section(others: tuple[OtherTable, ...], schema: CatalogSchema) -> str:
    """Return a table and figures for each."""
    words = paragraph(
        "What the archive itself says of the same stars. Those that taught the model"
        " (in_training_sample) are left out here: all others are counted. ",
        Html("<em>Difference</em>"),
        " is ours less theirs, the median; ",
        Html("<em>scatter</em>"),
        " is 0.741 times the distance of the quartiles; ",
        Html("<em>pull</em>"),
        " the scatter of differences over √(σ² + σ²",
        Html("<sub>theirs</sub>"),
        "): 1 where both errors are right and independent, not given where theirs are unknown. ",
        Html("<em>Of ours</em>"),
        ": how many of the stars with our label have theirs, too. Neither side is the truth."
        " catalog-builder compare has more: outliers with their flags, and slopes.",
    )
    return "\n".join([words, *(part for one in others for part in _parts(one, schema))])


def _parts(one: OtherTable, schema: CatalogSchema) -> Iterator[str]:
    yield f"<h3>{text(one.title)}</h3>"
    if one.simulated:
        yield paragraph(
            Html("<strong>"),
            f"Simulated: these are no values of {one.title}, but drawn with errors of their size.",
            Html("</strong>"),
        )
    if one.notes:
        yield paragraph(Html(_CODE.sub(r"<code>\1</code>", text(" ".join(one.notes)))))
    yield _by_regime(one, schema)
    sums = one.sums.sums
    yield figure(
        figures.residuals(sums, schema, pulls=False, what=f"Answer minus {one.title}"),
        f"Ours less {one.title} along temperature, S/N, magnitude and our own value: median, and"
        " 16 to 84 per cent. Panels of a label share their axis.",
        f"Fewer than {LEAST} stars have a label in both.",
        "\n".join(
            figures.along_table(sums, schema, name)
            for name in ("temperature", "snr", "magnitude")
            if name in sums.divisions
        ),
    )


def _by_regime(one: OtherTable, schema: CatalogSchema) -> str:
    """Return how many have a label in either, and how far apart they are, by regime."""
    sums, rows = one.sums.sums, []
    for name in one.sums.labels:
        quantity = sums.shown[name]
        counted = one.sums.counted[list(sums.shown).index(name)]
        for title, some in _regimes(counted, sums):
            ours, theirs, both, known = counted[some].sum(axis=0).tolist()
            found = sums.measured(name, [sums.cell("regime", at) for at in some])
            enough = both >= LEAST
            decimals = quantity.decimals
            cells: tuple[Cell, ...] = (
                Html(f"{quantity.html} [{text(difference_unit(schema, name))}]"),
                title,
                number(ours),
                number(theirs),
                percent(both, ours),
                measure(found.bias, decimals, signed=True) if enough else NOTHING,
                measure(found.scatter, decimals) if enough else NOTHING,
                measure(found.pull_scatter, 2) if enough and known == both else NOTHING,
            )
            rows.append(cells)
    head = ("Label", "Regime", "Ours", "Theirs", "Of ours", "Difference", "Scatter", "Pull")
    return table(f"Beside {one.title}, by regime", head, rows, words=2)


def _regimes(counted: Counts, sums: Labelled) -> Iterator[tuple[str, list[int]]]:
    """Yield all stars, each regime in which any has both, and the others together."""
    yield "all", list(range(len(counted)))
    names = sums.divisions["regime"].cells
    few = []
    for at, name in enumerate(names):
        if counted[at, BOTH]:
            yield regime(name, sums.schema.inputs), [at]
        elif counted[at].any():
            few.append(at)
    if few:
        yield "regimes without theirs", few
