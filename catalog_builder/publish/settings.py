"""Settings of the publication."""

from __future__ import annotations

from pydantic import Field, field_validator

from catalog_builder.catalog.exports import known_formats
from catalog_builder.ground.settings import Section


class PublishSettings(Section):
    """How the catalogue is written."""

    chunk_rows: int = Field(
        65_536, ge=1, description="Rows per chunk of the catalogue's zarr store."
    )
    formats: tuple[str, ...] = Field(
        ("fits",),
        description="What is exported beside the zarr store: names of modules in"
        " `catalog_builder/catalog/exports`, or of entry points `catalog_builder.exports`.",
    )
    report: bool = Field(
        True, description="Draw `report.html`: about 4 s at the end of the run, however many rows."
    )

    selection: bool = Field(
        True,
        description="Count all sources of the archive, those asked for, those published and those"
        " of each tier by position, magnitude and colour: `selection/`, from which"
        " `catalog_builder.selection` gives probabilities.",
    )
    beside: bool = Field(
        True,
        description="Repeat values of the archive in tables beside the catalogue, where the archive"
        " given has the tables that the release names under `beside`.",
    )
    creators: tuple[str, ...] = Field(
        (),
        description="Who makes the catalogue, for its citation: `Family, Given` each, or the name"
        " of a collaboration.",
    )
    year: int | None = Field(
        None, ge=1990, le=2999, description="Year of the citation; it has none without it."
    )
    license: str | None = Field(
        "CC-BY-4.0",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]*$",
        description="Licence of the catalogue's data: an SPDX identifier, or null to state none.",
    )
    drift_from: str | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="An older catalogue, as `drift` takes it: `drift.html` and `drift.json` are"
        " sealed with the new one.",
    )
    drift_crosswalk: str | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="The file that says which star of that catalogue is which of the new one; by"
        " the same ids if not given.",
    )

    @field_validator("creators")
    @classmethod
    def _creators_have_names(cls, creators: tuple[str, ...]) -> tuple[str, ...]:
        for name in creators:
            if not name.strip() or not name.isprintable() or set(name) & set("{}\\"):
                raise ValueError(f"{name!r} is no name: it must not be empty, nor have {{}} or \\")
        return creators

    @field_validator("formats")
    @classmethod
    def _formats_are_known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        known = known_formats()
        for name in formats:
            if name not in known:
                raise ValueError(f"{name!r} is no export format; known are {', '.join(known)}")
        if len(set(formats)) < len(formats):
            raise ValueError("a format is named twice")
        return formats
