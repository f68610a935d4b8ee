"""What RELEASE.json says of the tables beside a catalogue."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog_builder.contract.side_table import SideTable

#: What may stand behind a table's name, by the kind of its file.
_ENDINGS: Final = {"zarr": (".zarr",), "fits": (".fits",), "parquet": ("", ".parquet")}


class SideFacts(BaseModel):
    """A table beside the catalogue.

    Attributes
    ----------
    declared : SideTable
        Its columns.
    rows : int
        How many it has.
    files : dict of str to str
        Its files and folders, by kind: ``zarr``, ``fits``, ``parquet``.
    by_rows : bool
        Whether its rows are those of the catalogue, one for one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    declared: SideTable
    rows: Annotated[int, Field(ge=0)]
    files: dict[Literal["zarr", "fits", "parquet"], str]
    by_rows: bool = True

    @model_validator(mode="after")
    def _files_lie_beside_the_catalogue(self) -> Self:
        for kind, file in self.files.items():
            if file not in {f"{self.declared.name}{ending}" for ending in _ENDINGS[kind]}:
                raise ValueError(f"files has {file[:100]!r}, which is no {kind} of the table")
        return self
