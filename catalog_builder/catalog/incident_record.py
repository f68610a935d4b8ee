"""What was wrong with the input, as RELEASE.json says it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog_builder.features.counts import Count


class FileIncident(BaseModel):
    """A file of the archive that was not used, or not to its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    reason: str
    detail: str


class LabelBooks(BaseModel):
    """What became of the rows of the label survey that was learnt from.

    Attributes
    ----------
    survey : str
        Name of its description.
    rows : int
        Rows of its file.
    rejected : dict of str to int
        Rows left out, by the first cut that rejects them.
    nulls : dict of str to int
        Labels of the other rows that are null: by cut, or ``<label>_missing`` in the file.
    without_spectrum : int
        Stars with labels and no usable spectrum in the archive; a lower limit where a star's
        spectra may lie in several pieces of the archive.
    crosswalk : dict of str to int, optional
        Stars whose identifiers were translated: those with ``one`` match, and the others by the
        reason for which they are left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    survey: str
    rows: int = Field(ge=0)
    rejected: dict[str, int]
    nulls: dict[str, int]
    without_spectrum: int = Field(ge=0)
    crosswalk: dict[str, int] | None = None


class Incidents(BaseModel):
    """What was wrong with the input, at its grain.

    Attributes
    ----------
    partitions : dict of str to str
        Partitions that could not be ingested at all, and why.
    files : dict of str to FileIncident
        By file name.
    rows : dict of str to dict of str to int
        Rows left out, by table and reason. A source may lose one row and keep another, so these
        are not the rejected sources of the accounting.
    cells : dict of str to int
        Bad cells that became null, by ``table.column``.
    absent : dict of str to int, optional
        Spectra that the source table announces and no file holds, by table.
    parallax_fallback : int, optional
        Stars whose parallax was corrected by the fallback of the release's zero point, for the
        release gives them none; where it has a fallback.
    labels : LabelBooks, optional
        Of the label survey; none where the model was given.
    counts : dict of str to Count, optional
        How sources were counted in partitions with rows that could not be read.
    accepted_lost : bool, optional
        True where somebody accepted that of a partition nothing could be counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    partitions: dict[str, str] = Field(default_factory=dict)
    files: dict[str, FileIncident] = Field(default_factory=dict)
    rows: dict[str, dict[str, int]] = Field(default_factory=dict)
    cells: dict[str, int] = Field(default_factory=dict)
    absent: dict[str, int] | None = None
    parallax_fallback: int | None = Field(None, ge=0)
    labels: LabelBooks | None = None
    counts: dict[str, Count] | None = None
    accepted_lost: Literal[True] | None = None
