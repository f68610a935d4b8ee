"""A table beside a catalogue: columns of somebody else's values for its stars, and whose they are.

A release declares the tables of its archive whose values a catalogue repeats (``beside``); the
labels that a survey gave to the stars which taught are another one.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from catalog_builder.contract.columns import Column
from catalog_builder.contract.description import Description
from catalog_builder.contract.labels import refuse_twice

SideName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
_VERSION: Final = "1.0"

#: The table of words that 64-bit keys stand for, and that of the stars which taught.
IDENTIFIERS: Final = "identifiers"
TRAINING_LABELS: Final = "training_labels"
#: Names that these and other files and folders of a catalogue have.
TAKEN: Final = frozenset({"catalog", "hats", "selection", IDENTIFIERS, TRAINING_LABELS})

SOURCE_ID: Final = Column(
    name="source_id",
    dtype="int64",
    ucd="meta.id;meta.main",
    description="Gaia source identifier. That of the catalogue beside which the table lies.",
)


class SideTable(Description):
    """The declaration of a table beside a catalogue.

    Attributes
    ----------
    name : str
        What its files are called, without an ending.
    title : str
        What it holds, in a sentence without its full stop.
    all_columns : tuple of Column
        ``source_id``, and those of its values; in files, ``columns``.
    version : str
        Of the declarations.
    """

    name: SideName
    title: str
    all_columns: tuple[Column, ...] = Field(alias="columns")
    version: str = Field(_VERSION, pattern=r"^[0-9]+\.[0-9]+$")

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        names = [column.name for column in self.all_columns]
        refuse_twice(names)
        if names[:1] != ["source_id"] or len(names) == 1:
            raise ValueError("source_id must be the first column, and not the only one")
        return self

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every column: none is computed on export."""
        return self.all_columns

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.all_columns)

    @property
    def of_words(self) -> bool:
        """Whether it has nothing but keys and text: no array of a store would help with it."""
        return not any(column.nullable for column in self.all_columns)

    @property
    def digest(self) -> str:
        """SHA-256 of all declarations."""
        content = self.model_dump(mode="json", by_alias=True)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
