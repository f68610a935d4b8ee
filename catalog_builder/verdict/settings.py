"""Settings of the checks: how far a number may be off before it matters, and why so far."""

from __future__ import annotations

from pydantic import Field

from catalog_builder.ground.settings import Section


class CheckSettings(Section):
    """What the checks of a catalogue allow."""

    false_fail_rate: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="Share of catalogues with nothing wrong in which any check fails by chance; it"
        " is shared out evenly among the checks, and within each among its numbers.",
    )
    min_stars: int = Field(
        20,
        ge=5,
        description="Stars with labels below which a regime is pooled with others as small: of"
        " twenty a coverage is known to 10 %.",
    )
    coverage: float = Field(
        0.06,
        gt=0,
        lt=0.3,
        description="Difference of the share within one sigma from 68.3 %: that of models which"
        " hold their aims in docs/science.md; sigma 15 % off makes it 0.08.",
    )
    coverage_95: float = Field(
        0.04,
        gt=0,
        lt=0.05,
        description="The same of the share in the interval of 95 %.",
    )
    bias: float = Field(
        0.25,
        gt=0,
        description="Difference of the median from that of the model's test stars, in their"
        " scatter: less does not show in a single star.",
    )
    bias_along: float = Field(
        0.5,
        gt=0,
        description="Median difference along a label, its temperature or the magnitude, in the"
        " scatter there: networks are drawn to the middle, and most at the ends.",
    )
    scatter: float = Field(
        0.25,
        gt=0,
        description="Relative difference of the scatter from that of the model's test stars, and"
        " of stars that taught from others: models of folds have fewer networks and are up to"
        " 10 % worse.",
    )
    carried: float = Field(
        0.002,
        gt=0,
        lt=1,
        description="Share of stars whose magnitude, colour or S/N may be another than when"
        " they were read: rounding moves some across a border.",
    )
    hole: float = Field(
        0.25,
        gt=0,
        lt=1,
        description="Sources in a piece of the sky, of those that pieces on either side have, that"
        " make a hole: dark clouds of the size of these pieces leave more.",
    )
    pile_up: float = Field(
        4.0,
        gt=1,
        description="Stars in one bin of a label's histogram, over those of bins two to five away,"
        " that are a heap: peaks of stars, as the red clump, are wider.",
    )
    pile_up_share: float = Field(
        0.005, gt=0, lt=1, description="Share of a label's stars below which a heap is none."
    )
