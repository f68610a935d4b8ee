"""What is done to spectra of lines before they are brought to the model grid, as data.

A description lists steps under `steps`; they are taken in that order. What each does to numbers
is in `catalog_builder.features.steps`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from catalog_builder.contract.description import Description

Nanometres = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Deviations = Annotated[float, Field(gt=0, le=20)]


class Mask(Description):
    """Samples between wavelengths are not used: lines of the air, or lines that mislead.

    Attributes
    ----------
    ranges : tuple of (float, float)
        From and to, nm, in the medium and the frame of the spectrum's own samples.
    """

    step: Literal["mask"]
    ranges: Annotated[tuple[tuple[Nanometres, Nanometres], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rise(self) -> Self:
        for low, high in self.ranges:
            if low >= high:
                raise ValueError(f"the range {low:g} to {high:g} nm has no wavelength")
        return self


class Continuum(Description):
    """Flux and error are divided by a polynomial through the upper part of the spectrum.

    Chebyshev polynomials are fitted, samples far below or above the fit are left out, and that is
    repeated: the way of IRAF's task `continuum` (Tody 1986, SPIE 627, 733). With a smaller limit
    below than above lines are left out and noise is not.

    Attributes
    ----------
    degree : int
        Of the polynomial.
    below, above : float
        How many deviations of the residuals a sample may lie below and above the fit.
    rounds : int
        How often samples are left out, at most.
    """

    step: Literal["continuum"]
    method: Literal["clipped_chebyshev"]
    degree: Annotated[int, Field(ge=0, le=30)]
    below: Deviations = 1.5
    above: Deviations = 3.0
    rounds: Annotated[int, Field(ge=1, le=50)] = 10


class Convolve(Description):
    """Lines are broadened by a Gaussian to a lower resolving power.

    Attributes
    ----------
    resolution : float
        That which the spectrum has afterwards. It must have a higher one before.
    """

    step: Literal["convolve"]
    resolution: Annotated[float, Field(gt=0, allow_inf_nan=False)]


Step = Annotated[Mask | Continuum | Convolve, Field(discriminator="step")]


def resolution_after(steps: tuple[Step, ...], resolution: float | None) -> float | None:
    """Return the resolving power that spectra have after some steps.

    Raises
    ------
    ValueError
        If a step cannot broaden what it gets.
    """
    for one in steps:
        if not isinstance(one, Convolve):
            continue
        if resolution is None:
            raise ValueError("steps convolve spectra whose `resolution` is not given")
        if one.resolution > resolution:
            raise ValueError(
                f"steps convolve to {one.resolution:g}, above the {resolution:g} that there is"
            )
        resolution = one.resolution
    return resolution
