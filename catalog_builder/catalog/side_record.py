"""What RELEASE.json says of the tables beside a catalogue."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from catalog_builder.contract.side_table import SideTable


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
    rows: int
    files: dict[str, str]
    by_rows: bool = True
