"""Settings of the prediction."""

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
