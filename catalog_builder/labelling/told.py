"""What a user says of spectra, and what is made of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.grids import Medium

Normalisation = Literal["continuum", "none"]


@dataclass(frozen=True)
class Told:
    """What a user says of spectra that are not the archive's.

    Attributes
    ----------
    medium : {"vacuum", "air"} or None
        Of the wavelengths, where the file does not say.
    normalisation : {"continuum", "none"} or None
        Whether flux is divided by its continuum, or as it was measured.
    radial_velocity : float or None
        Of the star, km/s, if the wavelengths are not at rest.
    resolution : float or None
        Resolving power; the model's where not said.
    snr : float or None
        Signal-to-noise ratio of a sample, where the file has neither it nor errors.
    """

    medium: Medium | None = None
    normalisation: Normalisation | None = None
    radial_velocity: float | None = None
    resolution: float | None = None
    snr: float | None = None


@dataclass(frozen=True)
class Made:
    """Features of one spectrum.

    Attributes
    ----------
    input : str
        Whose they are.
    rank : int
        Place among the input's products: of two the smaller counts, as in an archive.
    rows : dict of str to ndarray of shape (samples,)
    scalars : dict of str to scalar
        See `ReleaseSpec.scalars_of`.
    normalisation : int or None
        What the user says, as a value of the feature.
    sig_to_noise : float
        As the archive counts it; NaN where it counts none.
    """

    input: str
    rank: int
    rows: Mapping[str, NDArray[Any]]
    scalars: Mapping[str, Any]
    normalisation: int | None = None
    sig_to_noise: float = np.nan
