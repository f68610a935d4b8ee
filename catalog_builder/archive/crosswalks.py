"""How identifiers of an older release become those of this one: a table of neighbours, as data."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from catalog_builder.archive.tables import ColumnName, TableName
from catalog_builder.contract.description import Description

#: What the columns of a crosswalk are.
CROSSWALK_TYPES = {
    "old": "int64",
    "new": "int64",
    "distance": "float",
    "magnitude_difference": "float",
    "probable": "bool",
}


class CrosswalkRule(Description):
    """A table with a row for each pair of an old source and a new one that may be the same star.

    Parameters
    ----------
    table : str
        The table, cut in ranges of the new identifiers as all tables are.
    old, new : str
        Its columns of identifiers.
    distance, magnitude_difference, probable : str, optional
        Its columns of angular distance, of the difference in magnitude, and of whether the archive
        itself takes the pair for the same star.
    largest_distance, largest_magnitude_difference : float
        In the units of these columns: beyond them a pair that is not probable is not believed.
    """

    table: TableName
    old: ColumnName
    new: ColumnName = "source_id"
    distance: ColumnName | None = None
    magnitude_difference: ColumnName | None = None
    probable: ColumnName | None = None
    largest_distance: Annotated[float, Field(gt=0)] = 200.0
    largest_magnitude_difference: Annotated[float, Field(gt=0)] = 0.5

    @property
    def columns(self) -> dict[str, ColumnName]:
        """Columns that are read, by what they are."""
        known = {
            "old": self.old,
            "new": self.new,
            "distance": self.distance,
            "magnitude_difference": self.magnitude_difference,
            "probable": self.probable,
        }
        return {what: column for what, column in known.items() if column is not None}
