"""How an archive is downloaded: the `fetch` section of the run config."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FetchSettings(BaseModel):
    """Limits, patience and checks of a download; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs: int = Field(4, ge=1, le=64, description="Files downloaded at the same time.")
    max_bytes_per_second: int | None = Field(
        None, ge=1, description="Limit on the rate of all downloads together; null for none."
    )
    attempts: int = Field(
        8, ge=1, description="Attempts in a row that bring nothing before a file is given up."
    )
    pause_seconds: float = Field(
        1.0, ge=0, description="Pause before the second attempt; it doubles with each further one."
    )
    max_pause_seconds: float = Field(
        300.0, ge=0, description="Longest pause, also where the server asks for a longer one."
    )
    timeout_seconds: float = Field(
        60.0, gt=0, description="Seconds of silence after which a connection is broken off."
    )
    chunk_bytes: int = Field(
        1 << 20, ge=1024, description="Bytes read before they are written: what a kill may lose."
    )
    disk_margin: float = Field(
        0.05, ge=0, description="Share by which the free disk must exceed what is to be fetched."
    )
    recheck: bool = Field(
        True,
        description="Compare files that are there already with their checksums again; if not, their"
        " size alone counts.",
    )
