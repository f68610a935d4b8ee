"""Settings of the prediction, and of what is compared behind it."""

from __future__ import annotations

from pydantic import Field

from catalog_builder.galaxy.settings import GalaxySettings
from catalog_builder.ground.settings import Section


class PredictSettings(Section):
    """How the model is applied."""

    batch_size: int = Field(
        1024,
        ge=1,
        description="Stars per forward pass, counted from the start of each partition, so that"
        " results do not depend on the number of workers.",
    )
    galaxy: GalaxySettings = GalaxySettings()


class AlarmSettings(Section):
    """How far a run may be from the archive that its model was trained on."""

    strict: bool = Field(
        False,
        description="End with exit code 10 where there is an alarm; what was sealed stays sealed.",
    )
    tolerance: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="Difference of a share of stars (a flag, a tier, an input) that honest samples"
        " of the sky have.",
    )
    distance: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="The same of the distribution of the spectra's median flux: the largest"
        " difference of the shares below any value.",
    )
    zero_point: float = Field(
        0.03,
        gt=0,
        description="Difference of the median zero point of the parallax, mas: as large as the"
        " zero point itself.",
    )
    most: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Share of stars that may lie beyond those of the model's archive in S/N,"
        " magnitude or colour.",
    )
    strangers: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="Share of the sources with spectra that may have no row in the source table.",
    )
    false_alarm_rate: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="In how many runs chance alone may be beyond these in any comparison.",
    )
    min_stars: int = Field(
        200, ge=20, description="Stars on either side below which nothing is compared."
    )
