"""Where the Sun is in the Galaxy, and how it moves."""

from __future__ import annotations

from pydantic import Field

from catalog_builder.ground.settings import Section


class GalaxySettings(Section):
    """The Sun's place and velocity, behind every Galactocentric column."""

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
    sun_velocity_x: float = Field(
        12.9,
        ge=-1000.0,
        le=1000.0,
        description="Velocity of the Sun towards the Galactic centre, km/s"
        " (Drimmel & Poggio 2018, RNAAS 2, 210).",
    )
    sun_velocity_y: float = Field(
        245.6,
        ge=-1000.0,
        le=1000.0,
        description="Velocity of the Sun in the direction of Galactic rotation, km/s (Drimmel &"
        " Poggio 2018: the proper motion of Sgr A* of Reid & Brunthaler 2004, ApJ 616, 872, at"
        " 8.122 kpc). Change it with sun_radius.",
    )
    sun_velocity_z: float = Field(
        7.78,
        ge=-1000.0,
        le=1000.0,
        description="Velocity of the Sun towards the northern Galactic pole, km/s (Drimmel & Poggio"
        " 2018, likewise).",
    )

    @property
    def sun_velocity(self) -> tuple[float, float, float]:
        """The Sun's velocity along x, y, z of the Galactocentric frame, km/s."""
        return self.sun_velocity_x, self.sun_velocity_y, self.sun_velocity_z
