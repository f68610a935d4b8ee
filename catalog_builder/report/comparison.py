"""The section on stars with labels: figures, each with its numbers as a table."""

from __future__ import annotations

from typing import Final

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report import accuracy as figures
from catalog_builder.report.diagrams import figure
from catalog_builder.report.html import Cell, Html, number, paragraph, table
from catalog_builder.report.labelled import KEPT_BACK, TAUGHT, Labelled
from catalog_builder.report.pooling import LEAST
from catalog_builder.report.words import spelled

_NOMINAL: Final = (0.5, 0.6827, 0.8, 0.9, 0.95)


def accuracy(labelled: Labelled, schema: CatalogSchema, *, folds: bool = True) -> str:
    """Return how far the answers of stars with labels are off, and whether sigma says so."""
    how = (
        "Stars that taught the model were answered by models trained without them."
        if folds
        else "Stars that taught the model were answered by networks that saw them, and look better"
        " than others do."
    )
    words = paragraph(
        f"{how} Differences are answer minus label and hold the errors of both; ",
        Html("<em>scatter</em>"),
        " is 0.741 times the distance of the quartiles, ",
        Html("<em>bias</em>"),
        " the median. Stars are within 1 σ if their difference is below √(σ² + σ²",
        Html("<sub>label</sub>"),
        "); an arrow marks shares that chance makes of honest uncertainties in fewer than 5 of 100"
        f" cases: ▾ σ is too small, ▴ too large. Regimes and bins have {LEAST} stars at least.",
    )
    absent = "No label has enough stars to draw."
    parts = [paragraph(_counted(labelled)), words]
    parts.append(
        figure(
            figures.planes(labelled, schema),
            "Answer against label, stars per cell on a logarithmic scale from dark to bright; the"
            " line is where both are equal.",
            absent,
            figures.regimes_table(labelled, schema),
        )
    )
    parts.append(
        figure(
            figures.residuals(labelled, schema, pulls=False),
            "Answer minus label along temperature, S/N and magnitude, and along the label itself,"
            " all as answered or observed: median, and 16 to 84 per cent. Panels of a label share"
            " their axis.",
            absent,
            _along_tables(labelled, schema, pulls=False),
            "accuracy-along",
        )
    )
    parts.append(
        figure(
            figures.residuals(labelled, schema, pulls=True),
            "The same, over √(σ² + σ² of the label): where σ is honest, the band reaches from −1 to"
            " 1 (dashed).",
            absent,
            _along_tables(labelled, schema, pulls=True),
        )
    )
    parts.append(
        figure(
            figures.calibration(labelled),
            "The share of stars within an interval, minus the share that it should hold. Above 0 σ"
            " is too large, below it too small; shaded is what chance does, for the label with"
            " the fewest stars.",
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


def _counted(labelled: Labelled) -> str:
    """Say how many stars have survey labels, and what they were to the model."""
    kept, taught = labelled.stars_of(KEPT_BACK), labelled.stars_of(TAUGHT)
    return (
        f"{spelled(labelled.stars)} published stars have labels of the survey:"
        f" {spelled(taught)} that taught the model, and {spelled(kept)} that did"
        " not. (Of one label a few have none.)"
    )


def _along_tables(labelled: Labelled, schema: CatalogSchema, *, pulls: bool) -> str:
    return "\n".join(
        figures.along_table(labelled, schema, name, pulls=pulls)
        for name in ("temperature", "snr", "magnitude", "own")
        if name in labelled.divisions
    )


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
