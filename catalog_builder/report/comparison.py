"""The section on stars with labels: figures, each with its numbers as a table."""

from __future__ import annotations

from typing import Final

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report import accuracy as figures
from catalog_builder.report.diagrams import figure
from catalog_builder.report.html import Cell, Html, number, paragraph, table
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.pooling import LEAST

_NOMINAL: Final = (0.5, 0.6827, 0.8, 0.9, 0.95)


def accuracy(labelled: Labelled, schema: CatalogSchema, *, saw_teachers: bool = False) -> str:
    """Return how far the answers of stars with labels are off, and whether sigma says so."""
    taught = (
        "have answers of networks that saw them, for it has no folds: what follows flatters it."
        if saw_teachers
        else "were answered by models that were trained without them."
    )
    words = paragraph(
        f"Every published star with a label of the survey. Those that taught the model {taught}"
        " Differences are answer minus label and hold the"
        " errors of both; ",
        Html("<em>scatter</em>"),
        " is 0.741 times the distance of the quartiles, ",
        Html("<em>bias</em>"),
        " the median. Stars are within 1 σ if their difference is below √(σ² + σ²",
        Html("<sub>label</sub>"),
        "); an arrow marks shares that chance makes of honest uncertainties in fewer than 5 of 100"
        f" cases: ▾ σ is too small, ▴ too large. Regimes and bins have {LEAST} stars at least.",
    )
    absent = "No label has enough stars to draw."
    parts = [words, figures.regimes_table(labelled, schema)]
    parts.append(
        figure(
            figures.planes(labelled, schema),
            "Answer against label, stars per cell on a logarithmic scale from dark to bright; the"
            " line is where both are equal.",
            absent,
            figures.along_table(labelled, schema, "own"),
        )
    )
    tables = "\n".join(
        figures.along_table(labelled, schema, name)
        for name in ("temperature", "snr", "magnitude")
        if name in labelled.divisions
    )
    parts.append(
        figure(
            figures.residuals(labelled, schema, pulls=False),
            "Answer minus label along the label itself, temperature, S/N and magnitude, all as"
            " answered or observed: median, and 16 to 84 per cent. Rows share their axis.",
            absent,
            tables,
        )
    )
    parts.append(
        figure(
            figures.residuals(labelled, schema, pulls=True),
            "The same, over √(σ² + σ² of the label): where σ is honest, the band reaches from −1 to"
            " 1 (dashed).",
            absent,
            figures.regimes_table(labelled, schema),
        )
    )
    parts.append(
        figure(
            figures.calibration(labelled),
            "Which share of stars is within the interval that should hold so many, minus that"
            " share. Above 0 σ is too large, below too small; shaded is what chance makes of honest"
            " ones, for the label with the fewest stars.",
            absent,
            _calibration_table(labelled),
        )
    )
    parts.append(
        figure(
            figures.honesty(labelled, schema),
            "Scatter of the differences over what σ says, against σ: 1 where it is right. Shaded:"
            " the error of the scatter.",
            absent,
            figures.along_table(labelled, schema, "sigma"),
        )
    )
    return "\n".join(parts)


def _calibration_table(labelled: Labelled) -> str:
    import numpy as np

    rows: list[tuple[Cell, ...]] = []
    for quantity in figures.given(labelled):
        found = labelled.measured(quantity.name, labelled.cell("all"))
        shares = figures.observed(found, np.array(_NOMINAL))
        rows.append(
            (Html(quantity.html), number(found.stars), *(f"{100 * one:.1f} %" for one in shares))
        )
    head = ("Label", "Stars", *(f"{100 * one:.4g} % nominal" for one in _NOMINAL))
    return table("Observed shares", head, rows)
