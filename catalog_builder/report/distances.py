"""What users should know of the distances of a catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from catalog_builder.contract.distances import DISAGREEMENT, distances_of
from catalog_builder.contract.inputs import PARALLAX
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.words import listed
from catalog_builder.report.summary import Summary
from catalog_builder.report.words import spelled

#: That of the parallax alone, and the columns without which it is null; and that of labels, too.
_DISTANCE: Final = "distance"
_NEEDED: Final = (PARALLAX, f"{PARALLAX}_corrected")
_OF_LABELS: Final = "distance_spectrophotometric"
_TAUGHT: Final = "in_training_sample"


def rules(summary: Summary, schema: CatalogSchema) -> Iterator[str]:
    """Yield why distances are null, which is for what, and which column is none of the star."""
    if _DISTANCE in schema.names:
        yield _of_parallax(summary)
    if _OF_LABELS in schema.names:
        yield (
            f"{_OF_LABELS} rests on the parallax, labels and magnitudes: it is for stars whose"
            f" parallax is poor, and has {spelled(summary.filled[_OF_LABELS])} values, for it is"
            " null where a flag casts doubt on a label."
        )
    unlike = [
        name
        for name in distances_of(schema.inputs)
        if name.endswith("_distance") and name in schema.names
    ]
    if unlike:
        are = "is" if len(unlike) == 1 else "are"
        yield (
            f"{listed(unlike)} {are} no distance to the star, but how unlike its spectrum is to"
            " those of training stars."
        )
    taught = summary.filled[_TAUGHT]
    if taught and summary.filled[DISAGREEMENT] == summary.rows - taught:
        yield f"{DISAGREEMENT} is null for stars that taught: other networks answered for them."


def _of_parallax(summary: Summary) -> str:
    steps = [summary.rows, *(summary.filled[name] for name in (*_NEEDED, _DISTANCE))]
    whys = ("without parallax", "without its zero point", "whose parallax says hardly anything")
    lost = [
        f"{spelled(before - after)} {why}"
        for (before, after), why in zip(pairwise(steps), whys, strict=True)
        if before > after
    ]
    words = (
        f"{_DISTANCE} is of the parallax alone, and for stars near the Sun; places and velocities"
        " in the Galaxy are at this distance."
    )
    if lost:
        words += f" It is null for {spelled(steps[0] - steps[-1])} stars: {listed(lost)}."
    return words
