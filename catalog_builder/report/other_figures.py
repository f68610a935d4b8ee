"""The section on a catalogue beside other labels of its stars that its archive has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report import accuracy as figures
from catalog_builder.report.diagrams import figure
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
from catalog_builder.report.others import BOTH, OURS, THEIRS, Other
from catalog_builder.report.pooling import LEAST
from catalog_builder.report.quantities import difference_unit


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
        "What the archive itself says of the same stars, without those that taught the model. ",
        Html("<em>Difference</em>"),
        " is ours less theirs, the median; ",
        Html("<em>scatter</em>"),
        " is 0.741 times the distance of the quartiles; ",
        Html("<em>in expected</em>"),
        " is that of differences over √(σ² + σ²",
        Html("<sub>theirs</sub>"),
        "): 1 where both errors are right and independent. A scatter is that of both, and neither"
        " is the truth. catalog-builder compare has more, with outliers and their flags.",
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
        yield paragraph(" ".join(one.notes))
    yield _by_regime(one, schema)
    sums = one.sums.sums
    yield figure(
        figures.residuals(sums, schema, pulls=False, what=f"Answer minus {one.title}"),
        f"Ours less {one.title} along our own value, temperature, S/N and magnitude: median, and"
        " 16 to 84 per cent. Rows share their axis.",
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
    regimes = sums.divisions["regime"].cells
    for name in one.sums.labels:
        quantity = sums.shown[name]
        counted = one.sums.counted[list(sums.shown).index(name)]
        places: list[tuple[str, list[int]]] = [("all", list(range(len(regimes))))]
        places += [(title, [at]) for at, title in enumerate(regimes)]
        for title, some in places:
            ours, theirs, both = (int(counted[some, at].sum()) for at in (OURS, THEIRS, BOTH))
            if not ours + theirs:
                continue
            found = sums.measured(name, [sums.cell("regime", at) for at in some])
            enough = found.stars >= LEAST
            decimals = quantity.decimals
            cells: tuple[Cell, ...] = (
                Html(f"{quantity.html} [{text(difference_unit(schema, name))}]"),
                title.replace("<=", "≤").replace(">=", "≥"),
                number(ours),
                number(theirs),
                percent(both, ours),
                measure(found.bias, decimals, signed=True) if enough else NOTHING,
                measure(found.scatter, decimals) if enough else NOTHING,
                measure(found.pull_scatter, 2) if enough else NOTHING,
            )
            rows.append(cells)
    head = (
        *("Label", "Regime", "With ours", "With theirs", "Of ours also theirs"),
        *("Difference", "Scatter", "In expected"),
    )
    return table(f"Beside {one.title}, by regime", head, rows, words=2)
