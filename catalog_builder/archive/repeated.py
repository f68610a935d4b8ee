"""Tables of an archive whose values a catalogue repeats beside its own: as a release declares them.

They are no inputs: nothing is learnt or predicted from them, and an archive without them is whole.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from catalog_builder.archive.tables import ColumnName, ColumnSpec, TableName
from catalog_builder.contract.columns import Column, is_in_dex
from catalog_builder.contract.description import Description
from catalog_builder.contract.side_table import SOURCE_ID, SideTable

_NO_VALUE: Final = "no value in the archive"


class RepeatedColumn(Description):
    """One column: what the catalogue says of it, and its names in the files.

    Parameters
    ----------
    dtype : {"float32", "float64"} or str
        Type in both; a null is NaN. ``strN`` is text of at most N ASCII characters, such as a
        chain of flags; a null is empty.
    unit, ucd, description, null_meaning : str
        As of a column of the catalogue (`Column`); text has no `null_meaning`.
    names : tuple of str
        Names that it may have in a file; its own where empty.
    """

    dtype: Annotated[str, Field(pattern=r"^(float32|float64|str[1-9][0-9]{0,2})$")] = "float32"
    unit: str = ""
    ucd: str
    description: str
    null_meaning: str = _NO_VALUE
    names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _text_has_no_null(self) -> Self:
        if self.characters and self.null_meaning != _NO_VALUE:
            raise ValueError(
                f"null_meaning is not published of text ({self.dtype}), which is empty where there"
                " is none: say in `description` when it is empty"
            )
        return self

    @property
    def characters(self) -> int | None:
        """Of text, the most characters that it has."""
        return int(self.dtype[3:]) if self.dtype.startswith("str") else None


class RepeatedTable(Description):
    """One table of the archive, and which of its columns are repeated.

    Parameters
    ----------
    table : str
        A table of ``tables``, which says where its files are.
    title : str
        What the table beside the catalogue is called.
    columns : dict of str to RepeatedColumn
        By name, in order.
    """

    table: TableName
    title: Annotated[str, Field(min_length=1)]
    columns: Annotated[dict[ColumnName, RepeatedColumn], Field(min_length=1)]

    @model_validator(mode="after")
    def _columns_can_be_published(self) -> Self:
        self.declared("checked")
        return self

    def declared(self, name: str) -> SideTable:
        """Return the declaration of the table that lies beside a catalogue under a name."""
        columns = [Column(name=key, **_published(one)) for key, one in self.columns.items()]
        return SideTable(name=name, title=self.title, columns=(SOURCE_ID, *columns))

    def read_as(self) -> dict[str, ColumnSpec]:
        """Return the columns, without the identifier, as they are read of the archive's files."""
        return {
            name: ColumnSpec(
                dtype="text" if one.characters else one.dtype,
                characters=one.characters,
                names=one.names,
                # Abundances have no unit in FITS and VOUnit; archives call it dex.
                unit="dex" if is_in_dex(one.unit, one.ucd) and not one.unit else one.unit,
            )
            for name, one in self.columns.items()
        }


def _published(column: RepeatedColumn) -> dict[str, Any]:
    # Of text the schema has no null: it is empty, which its description says.
    return column.model_dump(exclude={"names"} | ({"null_meaning"} if column.characters else set()))
