"""How a release's sky is made, as data: what its stars are like, and how well they are seen.

``schemas/simulations/<name of the release>.yaml`` says it; a release without one has the stars of
the galaxy of the simulation, and its spectrographs see half of them.
"""

from __future__ import annotations

import functools
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from catalog_builder.contract.description import Description, load_description
from catalog_builder.contract.inputs import InputName
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.agreed import DEFAULT_SURVEY
from catalog_builder.simulate.population.sample import Sample

Float = NDArray[np.float64]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Photons(Description):
    """S/N that falls with the magnitude.

    Attributes
    ----------
    at_12, slope, scatter : float
        Median at G = 12, change of its common logarithm with G, scatter of its natural one.
    least, most : float
        Spectra with less are not published; more is cut to this.
    """

    at_12: Positive = 60.0
    slope: float = -0.2
    scatter: Annotated[float, Field(ge=0)] = 0.3
    least: Positive = 10.0
    most: Positive = 500.0

    def of(self, g: Float, drawn: Float) -> Float:
        """Return the S/N of stars of magnitude `g`; `drawn` are standard normal numbers."""
        typical = self.at_12 * 10.0 ** (self.slope * (g - 12.0))
        return np.minimum(typical * np.exp(self.scatter * drawn), self.most)


class Between(Description):
    """S/N between two limits, evenly in its logarithm, where bright stars have more.

    Attributes
    ----------
    least, most : float
        The limits.
    middle : float
        G of a star whose S/N is their geometric mean.
    slope : float
        How many deviations of the scatter a magnitude is worth.
    """

    least: Positive
    most: Positive
    middle: float
    slope: Annotated[float, Field(ge=0)] = 0.7

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least >= self.most:
            raise ValueError(f"least {self.least:g} is not below most {self.most:g}")
        return self

    def of(self, g: Float, drawn: Float) -> Float:
        """Return the S/N of stars of magnitude `g`; `drawn` are standard normal numbers."""
        from scipy.special import ndtr

        place = ndtr(self.slope * (self.middle - g) + 0.7 * drawn)
        return np.asarray(self.least * (self.most / self.least) ** place)


class Seen(Description):
    """How a spectrograph sees the stars.

    Attributes
    ----------
    share : float
        Of the stars that have a spectrum.
    sig_to_noise : Photons or Between
        Of its spectra.
    """

    share: Share = 0.5
    sig_to_noise: Between | Photons = Field(default_factory=Photons)


class Simulation(Description):
    """The content of a file in ``schemas/simulations``.

    Attributes
    ----------
    population : Sample, optional
        What the stars are like; without it they are those of the galaxy of the simulation.
    spectra : dict of str to Seen
        By the names of the release's spectra of lines.
    labelled : float, optional
        Share of the stars that have labels.
    survey : str, optional
        The label survey whose file is written, a name in ``schemas/labels``.
    repeated : float
        Share of the stars that are observed again.
    demo : dict of str to value
        Settings of a run that the demonstration of this release needs, by their dotted names.
    """

    population: Sample | None = None
    spectra: dict[InputName, Seen] = Field(default_factory=dict)
    labelled: Annotated[float, Field(ge=0, le=0.7)] | None = None
    survey: str | None = None
    repeated: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    demo: dict[str, str | int | float | bool] = Field(default_factory=dict)

    def seen(self, name: str) -> Seen:
        """Return how a spectrum is seen."""
        return self.spectra.get(name, Seen())


def survey_of(release: str, given: str) -> str:
    """Return the label survey of a release's sky: where that of Gaia is given, the sky's own."""
    if given != DEFAULT_SURVEY:
        return given
    return simulation_of(release).survey or given


@functools.cache
def simulation_of(release: str) -> Simulation:
    """Return how the sky of a release is made, by the release's name.

    Raises
    ------
    ConfigError
        If its file is wrong; the message names the key.
    """
    folder = "simulations"
    if not (schemas_dir() / folder / f"{release}.yaml").is_file():
        return Simulation()
    return load_description(Simulation, folder, release)
