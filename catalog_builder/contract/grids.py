"""Wavelength grids, and the two media that wavelengths refer to."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from catalog_builder.contract.description import Description
from catalog_builder.contract.units import UnitText, parse_unit

Medium = Literal["vacuum", "air"]
PositiveInt = Annotated[int, Field(gt=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class GridSpec(Description):
    """A regular wavelength grid: ``start + step * arange(count)``, both ends included."""

    start: float
    step: Annotated[float, Field(gt=0)]
    count: PositiveInt
    unit: UnitText = "nm"

    @model_validator(mode="after")
    def _is_a_length(self) -> Self:
        if parse_unit(self.unit).physical_type != "length":
            raise ValueError(f"unit {self.unit!r} is not a length")
        return self

    def wavelengths(self) -> NDArray[np.float64]:
        """Return the grid, float64 of shape (count,), in `unit`."""
        # Rounded, so that 846.0 + 0.01 * 3 is the same number as in the archive's own tables.
        return np.round(self.start + self.step * np.arange(self.count, dtype=np.float64), 9)

    def nanometres(self) -> NDArray[np.float64]:
        """Return the grid in nm, float64 of shape (count,)."""
        factor = 1.0 if self.unit == "nm" else float(parse_unit(self.unit).to("nm"))
        return self.wavelengths() * factor

    @property
    def step_nm(self) -> float:
        """The step in nm."""
        return self.step if self.unit == "nm" else self.step * float(parse_unit(self.unit).to("nm"))


class KnotGrid(Description):
    """A grid that is not regular: wavelengths of some samples, and straight lines between them.

    Attributes
    ----------
    knots : tuple of (float, float)
        Numbers of samples, from 0 to ``count - 1`` and not all whole, and their wavelengths in
        `unit`; both increase.
    count : int
        Samples.
    unit : str
        Of the wavelengths.
    """

    knots: Annotated[tuple[tuple[Finite, Finite], ...], Field(min_length=2, max_length=10_000)]
    count: Annotated[int, Field(gt=1)]
    unit: UnitText = "nm"

    @model_validator(mode="after")
    def _is_a_rising_line(self) -> Self:
        if parse_unit(self.unit).physical_type != "length":
            raise ValueError(f"unit {self.unit!r} is not a length")
        samples, wavelengths = np.array(self.knots).T
        if (np.diff(samples) <= 0).any() or (np.diff(wavelengths) <= 0).any():
            raise ValueError("knots do not increase")
        if samples[0] != 0 or samples[-1] != self.count - 1:
            raise ValueError(f"knots are not of the samples 0 to {self.count - 1}")
        return self

    def wavelengths(self) -> NDArray[np.float64]:
        """Return the grid, float64 of shape (count,), in `unit`."""
        samples, wavelengths = np.array(self.knots, dtype=np.float64).T
        found: NDArray[np.float64] = np.interp(np.arange(self.count), samples, wavelengths)
        return np.round(found, 9)

    def nanometres(self) -> NDArray[np.float64]:
        """Return the grid in nm, float64 of shape (count,)."""
        return self.wavelengths() * float(parse_unit(self.unit).to("nm"))

    @property
    def start(self) -> float:
        """The first wavelength, in `unit`."""
        return self.knots[0][1]

    @property
    def step(self) -> float:
        """The mean step, in `unit`."""
        return (self.knots[-1][1] - self.knots[0][1]) / (self.count - 1)

    @property
    def step_nm(self) -> float:
        """The mean step in nm."""
        return self.step * float(parse_unit(self.unit).to("nm"))


def edges_between(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where samples begin and end, (2, m): half way to the next one."""
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[:1] - middle[:1], 2 * centres[-1:] - middle[-1:]
    return np.stack([np.concatenate([first, middle]), np.concatenate([middle, last])])


def to_vacuum(wavelengths: NDArray[np.float64], medium: Medium) -> NDArray[np.float64]:
    """Return wavelengths in vacuum, nm.

    Parameters
    ----------
    wavelengths : ndarray of float64
        In nm; above 200 nm where they are of air.
    medium : {"vacuum", "air"}
        What they refer to.

    References
    ----------
    Air is that of 15 C and 101 325 Pa. The formula is the inverse that N. Piskunov made of Birch &
    Downs 1994, Metrologia 31, 315, as the VALD database gives it (Ryabchikova et al. 2015, Phys.
    Scr. 90, 054005).
    """
    if medium == "vacuum":
        return wavelengths
    square = (1e4 / (10.0 * wavelengths)) ** 2
    index = (
        1.0
        + 8.336624212083e-5
        + 2.408926869968e-2 / (130.1065924522 - square)
        + 1.599740894897e-4 / (38.92568793293 - square)
    )
    return np.asarray(wavelengths * index)
