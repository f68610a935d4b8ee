"""Where the Sun is in the Galaxy."""

from __future__ import annotations

from pydantic import Field

from catalog_builder.ground.settings import Section


class GalaxySettings(Section):
    """The Sun's place, behind every Galactocentric column."""

    sun_radius: float = Field(
        8.122,
        gt=0.0,
        le=20.0,
        description="Distance of the Sun from the Galactic centre, kpc"
        " (GRAVITY Collaboration 2018, A&A 615, L15).",
    )
    sun_height: float = Field(
        0.0208,
        ge=-1.0,
        le=1.0,
        description="Height of the Sun above the Galactic plane, kpc"
        " (Bennett & Bovy 2019, MNRAS 482, 1417).",
    )
