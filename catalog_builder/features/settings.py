"""Settings of the ingest."""

from __future__ import annotations

from pydantic import Field

from catalog_builder.ground.settings import Fraction, Section


class IngestSettings(Section):
    """How archive tables become features."""

    block_rows: int = Field(
        1024, ge=1, description="Rows of a spectra table held in memory at a time."
    )
    store_chunk_rows: int = Field(
        1024, ge=1, description="Rows per chunk of the feature stores of one partition."
    )
    min_pixel_coverage: Fraction = Field(
        0.5, description="A model pixel with a smaller usable part of its width is masked."
    )
    min_spectrum_coverage: Fraction = Field(
        0.5, description="A spectrum of lines with a smaller share of usable pixels is rejected."
    )
    max_rejected: Fraction = Field(
        0.1, description="The run stops when a larger share of the requested sources is rejected."
    )
    accept_lost: bool = Field(
        False,
        description="Seal a catalogue although nothing could be read of some partition, not even"
        " how many sources are lost with it.",
    )
    gate: bool = Field(
        True,
        description="Before anything is ingested, look at one file of each table, and refuse an"
        " archive that is not what the release description says.",
    )
    count_order: int = Field(
        7,
        ge=0,
        le=9,
        description="HEALPix order of the pixels in which all sources of the archive are counted"
        " for the selection function: 7 is half a degree.",
    )
    verify_checksums: bool = Field(
        True, description="Compare every input file with the archive's own checksum list, if any."
    )
