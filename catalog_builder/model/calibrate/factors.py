"""Sigma and the 95 % interval, made honest on stars that no gradient saw.

The networks' covariance says which stars are uncertain; how uncertain is measured. For every subset
of the inputs the stars of the validation and the calibration split are predicted with the other
inputs hidden, and two factors on the networks' sigma are fitted per label (`calibrate.fit`): one
that makes it hold 68.3 % of the networks' own errors, and one that makes 1.96 of it hold 95 %.
Errors have longer tails than a Gaussian, so the two differ, by the same share for all stars of a
subset. Each factor is a product of smooth curves in S/N (or the noise of a low-resolution spectrum,
or the magnitude), the predicted temperature and metallicity, and sigma itself; and of what these
leave along the temperature, and over temperature and gravity together (`calibrate.trim`).

Label surveys hold brighter stars than the archive. So each star is predicted twice: as it was
observed, and with its spectra made noisier, as those of a fainter twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.labels import Labels, Role
from catalog_builder.training.arrays import Block, signal_to_noise

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: What a factor depends on, in the order of the columns of `coordinates`.
COORDINATES = ("brightness", "temperature", "metallicity", "sigma", "gravity")
TEMPERATURE: Final = COORDINATES.index("temperature")
GRAVITY: Final = COORDINATES.index("gravity")
#: Coordinates along which the mixture has a curve each: the first ones.
CURVES: Final = 4
#: Key of the correction for subsets of the inputs that no calibration star has.
ANY_INPUTS = "any"

_TWIN_SEED = 17
# Where label errors explain all scatter the factor could be 0; no sigma is believed below this.
_SMALLEST, _LARGEST = np.log(0.1), np.log(100.0)


# Logarithms of factors, and coordinates: far beyond any that a fit makes, and sums stay finite.
_Logarithm = Annotated[float, Field(ge=-1e6, le=1e6)]
_Coordinate = Annotated[float, Field(ge=-1e100, le=1e100)]
# A sum of curves has the knots of all: those of a model, and of two corrections of it.
_MOST_KNOTS = 128


class Curve(BaseModel):
    """The logarithm of a factor along one coordinate: straight lines between knots."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    knots: tuple[_Coordinate, ...] = Field((), max_length=_MOST_KNOTS)
    values: tuple[_Logarithm, ...] = Field((), max_length=_MOST_KNOTS)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.knots) != len(self.values) or list(self.knots) != sorted(self.knots):
            raise ValueError("a curve needs as many values as knots, and knots in order")
        return self

    def __call__(self, coordinate: Array) -> Array:
        """Return the curve at n coordinates, 0 where they are NaN or there are no knots."""
        if not self.knots:
            return np.zeros(len(coordinate))
        found = np.interp(coordinate, self.knots, self.values)
        return np.where(np.isfinite(coordinate), found, 0.0)

    def plus(self, other: Curve) -> Curve:
        """Return the sum of two curves."""
        knots = tuple(sorted({*self.knots, *other.knots}))
        if not knots:
            return self
        values = self(np.array(knots)) + other(np.array(knots))
        return Curve(knots=knots, values=tuple(values.tolist()))


class Surface(BaseModel):
    """The logarithm of a factor over two coordinates: bilinear between the knots of a grid.

    `values` are those of the first knot of `first` with each of `second`, and so on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    first: tuple[_Coordinate, ...] = Field((), max_length=_MOST_KNOTS)
    second: tuple[_Coordinate, ...] = Field((), max_length=_MOST_KNOTS)
    values: tuple[_Logarithm, ...] = Field((), max_length=_MOST_KNOTS**2)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.first) * len(self.second) != len(self.values):
            raise ValueError("a surface needs a value for each pair of knots")
        for knots in (self.first, self.second):
            if list(knots) != sorted(set(knots)):
                raise ValueError("a surface needs knots that rise")
        return self

    def __call__(self, first: Array, second: Array) -> Array:
        """Return the surface at n places, 0 where a coordinate is NaN or there are no knots."""
        if not self.values:
            return np.zeros(len(first))
        heights = np.reshape(self.values, (len(self.first), len(self.second)))
        # Along the second coordinate at every knot of the first, then between two of these.
        along = np.stack([np.interp(second, self.second, row) for row in heights])
        place = np.interp(first, self.first, np.arange(len(self.first)))
        left = np.nan_to_num(place).astype(np.intp)
        right = np.minimum(left + 1, len(self.first) - 1)
        stars, share = np.arange(len(first)), place - left
        found = (1.0 - share) * along[left, stars] + share * along[right, stars]
        return np.where(np.isfinite(found), found, 0.0)

    def plus(self, other: Surface) -> Surface:
        """Return the sum of two surfaces, on the knots of both: bilinear in each cell, too."""
        if not self.values or not other.values:
            return self if self.values else other
        first = tuple(sorted({*self.first, *other.first}))
        second = tuple(sorted({*self.second, *other.second}))
        at = [grid.ravel() for grid in np.meshgrid(first, second, indexing="ij")]
        values = self(*at) + other(*at)
        return Surface(first=first, second=second, values=tuple(values.tolist()))


class Factor(BaseModel):
    """A factor on sigma, in logarithms: a constant, a curve per coordinate, and what they leave.

    That is a curve along the temperature and a surface over temperature and gravity, fitted when
    the rest was (`calibrate.trim`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    constant: _Logarithm = 0.0
    curves: tuple[Curve, ...] = Field((), max_length=CURVES)
    along_temperature: Curve = Curve()
    over_gravity: Surface = Surface()

    def __call__(self, coordinates: Array) -> Array:
        """Return the factor (n,) at coordinates (n, 5)."""
        total = np.full(len(coordinates), self.constant)
        for curve, coordinate in zip(self.curves, coordinates.T, strict=False):
            total += curve(coordinate)
        temperature = coordinates[:, TEMPERATURE]
        total += self.along_temperature(temperature)
        total += self.over_gravity(temperature, coordinates[:, GRAVITY])
        factor: Array = np.exp(np.clip(total, _SMALLEST, _LARGEST))
        return factor

    def times(self, other: Factor) -> Factor:
        """Return the product of two factors: its curves have the knots of both."""
        pairs = zip_longest(self.curves, other.curves, fillvalue=Curve(knots=(), values=()))
        return Factor(
            constant=self.constant + other.constant,
            curves=tuple(one.plus(another) for one, another in pairs),
            along_temperature=self.along_temperature.plus(other.along_temperature),
            over_gravity=self.over_gravity.plus(other.over_gravity),
        )


class LabelFactors(BaseModel):
    """The factors of one label: on sigma, and on 1.96 sigma for the 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sigma: Factor = Factor()
    interval95: Factor = Factor()

    def corrected(self, correction: LabelFactors) -> LabelFactors:
        """Return these factors with a correction of calibrated sigma behind them."""
        if correction == LabelFactors():  # too few stars: nothing was learnt
            return self
        return LabelFactors(
            sigma=self.sigma.times(correction.sigma),
            interval95=self.sigma.times(correction.interval95),
        )


Calibration = Mapping[str, tuple[LabelFactors, ...]]


def inputs_key(used: NDArray[np.bool_], inputs: Inputs) -> str:
    """Return the name of one subset of the inputs, (i,), in a calibration."""
    return "+".join(name for name, has in zip(inputs.names, used, strict=True) if has)


def coordinates(block: Block, mean: Array, sigma: Array, used: Bools, contract: Contract) -> Array:
    """Return what the factors of each label depend on, (l, n, 5), in the order of `COORDINATES`.

    Parameters
    ----------
    block : mapping of str to numpy.ndarray
        Feature block of n stars.
    mean, sigma : numpy.ndarray
        (n, l) predicted labels, and sigma before calibration in the labels' units.
    used : numpy.ndarray
        (n, i) bool. Brightness is told by the first spectrum that was used: log10(S/N) of one of
        lines, log10 of the relative noise of one of low resolution; else it is the magnitude.
    contract : Contract
        What labels and inputs are. Without a label of temperature, metallicity or gravity that
        coordinate is NaN.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        log_sigma = np.log(sigma)
    labels = contract.labels
    places = [
        _brightness(block, used, contract.inputs),
        _first_finite(mean, labels, "temperature"),
        _first_finite(mean, labels, "metallicity"),
    ]
    gravity = _first_finite(mean, labels, "gravity")
    each = [np.column_stack([*places, column, gravity]) for column in log_sigma.T]
    return np.where(np.isfinite(each), each, np.nan)


def _brightness(block: Block, used: Bools, inputs: Inputs) -> Array:
    brightness = np.full(len(used), np.nan)
    if inputs.magnitude is not None:
        brightness = np.asarray(block[inputs.magnitude], np.float64)
    # From the last to the first, which counts.
    for name, spectrum in reversed(inputs.spectra.items()):
        if spectrum.kind == "lines":
            snr = signal_to_noise(block, name, inputs)
            told = np.where(snr > 0, snr, np.nan)
        else:
            told = np.asarray(block[f"{name}_flux_error"], dtype=np.float64).mean(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            brightness = np.where(used[:, inputs.place(name)], np.log10(told), brightness)
    return brightness


def _first_finite(mean: Array, labels: Labels, role: Role) -> Array:
    """Return the first label of a role that each star has, (n,), NaN without."""
    found = np.full(len(mean), np.nan)
    for place, _ in labels.with_role(role):
        found = np.where(np.isfinite(found), found, mean[:, place])
    return found


def fainter_twins(block: Block, noise_factor: float, inputs: Inputs) -> Block:
    """Return the stars with the spectra of fainter twins; always the same for the same stars.

    A star's noise gains k times its flux errors, k uniform in 0..noise_factor, as fit stars do in
    training; errors and S/N are changed to match.
    """
    stars = len(block["source_id"])
    rng = np.random.default_rng(_TWIN_SEED)
    k = rng.uniform(0.0, noise_factor, (stars, 1))
    growth = np.sqrt(1.0 + k**2)
    twins = dict(block)
    for name, spectrum in inputs.spectra.items():
        error = np.asarray(block[f"{name}_flux_error"], dtype=np.float32)
        noise = rng.standard_normal(error.shape, dtype=np.float32)
        noise *= error * k.astype(np.float32)
        noise += np.asarray(block[f"{name}_flux"], dtype=np.float32)
        twins[f"{name}_flux"] = noise
        twins[f"{name}_flux_error"] = error * growth.astype(np.float32)
        if spectrum.sig_to_noise is not None and spectrum.sig_to_noise in block:
            snr = np.asarray(block[spectrum.sig_to_noise], dtype=np.float64)
            twins[spectrum.sig_to_noise] = snr / growth[:, 0]
    return twins


def factors(
    calibration: Calibration, used: Bools, places: Array, inputs: Inputs
) -> tuple[Array, Array]:
    """Return the factors on sigma and on 1.96 sigma, (n, l) each.

    Parameters
    ----------
    calibration : mapping of str to tuple of LabelFactors
        Of a model document.
    used : numpy.ndarray
        (n, i) bool, inputs used.
    places : numpy.ndarray
        (l, n, 5), from `coordinates`.
    inputs : Inputs
        What the columns of `used` are.
    """
    on_sigma, on_interval = np.ones((2, len(used), len(places)))
    for subset in np.unique(used, axis=0):
        rows = (used == subset).all(axis=1)
        of_subset = calibration.get(inputs_key(subset, inputs)) or calibration.get(ANY_INPUTS, ())
        for column, label in enumerate(of_subset):
            on_sigma[rows, column] = label.sigma(places[column][rows])
            on_interval[rows, column] = label.interval95(places[column][rows])
    return on_sigma, on_interval
