"""Settings of the simulated sky of a demo."""

from __future__ import annotations

from pydantic import Field

from catalog_builder.ground.settings import Section


class DemoSettings(Section):
    """The sky that a `-demo` release simulates."""

    stars: int = Field(6000, ge=100, description="Stars of the simulated sky.")
    seed: int = Field(1, ge=0, description="Seed of the simulated sky.")
