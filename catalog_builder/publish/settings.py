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
