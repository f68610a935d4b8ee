"""The spectra of a release as data: which tables hold them, and what their samples mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, model_validator

from catalog_builder.archive.normalisation import (
    CodeRule,
    FixedRule,
    Normalisation,
    NormalisationRule,
    ThresholdRule,
)
from catalog_builder.archive.products import Product
from catalog_builder.contract.description import Grown
from catalog_builder.contract.grids import (
    GridSpec,
    KnotGrid,
    Medium,
    edges_between,
    to_vacuum,
)
from catalog_builder.contract.inputs import ColumnName, SpectrumInput, Words
from catalog_builder.contract.steps import Continuum, Step, resolution_after
from catalog_builder.contract.units import UnitText

__all__ = [
    "CodeRule",
    "FixedRule",
    "LineSpectrum",
    "LowResolutionSpectrum",
    "Normalisation",
    "NormalisationRule",
    "Product",
    "Reading",
    "Spectrum",
    "ThresholdRule",
    "edges_in_vacuum",
    "scalars_of",
]

Nanometres = Annotated[float, Field(ge=0, allow_inf_nan=False)]
#: Below it the formula for wavelengths of air does not hold, nm.
_SHORTEST_IN_AIR: Final = 200.0


def _kind_of_grid(content: Any) -> str:
    """Tell by its keys which grid is meant, so that an error is about that one alone."""
    if isinstance(content, KnotGrid) or (isinstance(content, Mapping) and "knots" in content):
        return KnotGrid.__name__
    return GridSpec.__name__


Grid = Annotated[
    Annotated[GridSpec, Tag(GridSpec.__name__)] | Annotated[KnotGrid, Tag(KnotGrid.__name__)],
    Discriminator(_kind_of_grid),
]


def edges_in_vacuum(grid: GridSpec | KnotGrid, medium: Medium) -> NDArray[np.float64]:
    """Return where the intervals of samples begin and end, nm in vacuum, shape (2, grid.count)."""
    if isinstance(grid, KnotGrid):
        return np.stack([to_vacuum(side, medium) for side in edges_between(grid.nanometres())])
    centres, half = grid.nanometres(), grid.step_nm / 2
    return np.stack([to_vacuum(centres + side, medium) for side in (-half, half)])


class _Published(Grown):
    """What spectra of every kind have.

    Attributes
    ----------
    title : str
        What they are called in sentences.
    products : tuple of Product
        Their tables, in the order in which they are read: where a source is in two, the first
        counts.
    grid : GridSpec or KnotGrid
        Wavelengths of the samples.
    medium : {"vacuum", "air"}
        What the wavelengths refer to; features are in vacuum.
    frame : {"rest", "barycentric"}
        Whose wavelengths they are; the model does not change it.
    resolution : float, optional
        Resolving power.
    sig_to_noise : str, optional
        Column of the source table, of a joined one, or of the spectrum's own tables with the
        signal-to-noise ratio.
    low_sig_to_noise : float, optional
        Below it the flag for low S/N is set.
    least_sig_to_noise : float, optional
        Spectra below it are not used; of those without S/N nothing is known, and they are.
    """

    added: ClassVar[tuple[str, ...]] = ("least_sig_to_noise",)

    title: Words
    products: Annotated[tuple[Product, ...], Field(min_length=1)]
    grid: Grid
    medium: Medium = "vacuum"
    frame: Literal["rest", "barycentric"]
    resolution: Annotated[float, Field(gt=0)] | None = None
    sig_to_noise: ColumnName | None = None
    low_sig_to_noise: Annotated[float, Field(gt=0)] | None = None
    least_sig_to_noise: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    def lengths(self, product: Product) -> dict[str, int | None]:
        """Return the length of each column of a product that is read; None for a scalar."""
        return dict(product.lengths(self.grid.count))

    @model_validator(mode="after")
    def _wavelengths_can_be(self) -> Self:
        shortest = self.grid.nanometres()[0] - self.grid.step_nm / 2
        least = _SHORTEST_IN_AIR if self.medium == "air" else 0.0
        if shortest <= least:
            raise ValueError(
                f"grid begins at {shortest:g} nm; in {self.medium} {least:g} nm is the least"
            )
        return self


class LineSpectrum(_Published):
    """Normalised spectra of lines, brought to a model grid.

    Attributes
    ----------
    normalisation : ThresholdRule, CodeRule or FixedRule
        How the flux was normalised.
    correlation_length : float
        Distance, nm, at which the errors of two samples are independent: the width of a detector
        pixel from which the samples were interpolated. 0 where every sample is its own.
    model_grid : GridSpec
        Pixel centres in vacuum, to which the spectra are brought.
    steps : tuple of Step
        What is done to the samples before: masks, a continuum, convolution, in this order.
    """

    added: ClassVar[tuple[str, ...]] = (*_Published.added, "steps")

    kind: Literal["lines"]
    normalisation: NormalisationRule
    correlation_length: Nanometres = 0.0
    model_grid: GridSpec
    steps: tuple[Step, ...] = ()

    @property
    def model_resolution(self) -> float | None:
        """Resolving power of what the model sees."""
        return resolution_after(self.steps, self.resolution)

    @property
    def is_normalised_here(self) -> bool:
        """Whether a step divides by a continuum, so that flux may be in any unit."""
        return any(isinstance(step, Continuum) for step in self.steps)

    @model_validator(mode="after")
    def _steps_can_be_taken(self) -> Self:
        resolution_after(self.steps, self.resolution)
        return self

    def as_input(self, sig_to_noise: str | None) -> SpectrumInput:
        """Return what a network sees of it, with the column of the features that has its S/N."""
        return SpectrumInput(
            title=self.title,
            kind=self.kind,
            grid=self.model_grid,
            sig_to_noise=sig_to_noise,
            low_sig_to_noise=self.low_sig_to_noise,
        )

    def lengths(self, product: Product) -> dict[str, int | None]:
        """Return the length of each column of a product that is read; None for a scalar."""
        found = super().lengths(product)
        if isinstance(self.normalisation, CodeRule):
            found[self.normalisation.code] = None
        return found

    @model_validator(mode="after")
    def _only_samples(self) -> Self:
        if any(product.holds != "samples" for product in self.products):
            raise ValueError("spectra of lines are read from samples only")
        return self

    @model_validator(mode="after")
    def _grids_overlap(self) -> Self:
        model, half = self.model_grid.nanometres(), self.model_grid.step_nm / 2
        begin, end = edges_in_vacuum(self.grid, self.medium)
        first, last = float(begin[0]), float(end[-1])
        if not (model[0] - half < last and first < model[-1] + half):
            raise ValueError(
                f"model_grid, {model[0]:g} to {model[-1]:g} nm, has no wavelength of grid, which is"
                f" {first:g} to {last:g} nm in vacuum"
            )
        return self


class LowResolutionSpectrum(_Published):
    """Spectral energy distributions, divided by their mean flux in a window.

    Attributes
    ----------
    flux_unit : str
        Unit of flux and error.
    scale_window : (float, float)
        The flux scale is the mean flux between these wavelengths, nm.
    """

    kind: Literal["low_resolution"]
    flux_unit: UnitText
    scale_window: tuple[float, float]

    def as_input(self, sig_to_noise: str | None) -> SpectrumInput:
        """Return what a network sees of it, with the column of the features that has its S/N."""
        return SpectrumInput(
            title=self.title,
            kind=self.kind,
            grid=self.grid,
            sig_to_noise=sig_to_noise,
            low_sig_to_noise=self.low_sig_to_noise,
        )

    @model_validator(mode="after")
    def _can_be_scaled(self) -> Self:
        limits = {"low": self.low_sig_to_noise, "least": self.least_sig_to_noise}
        for name, limit in limits.items():
            if limit is not None and self.sig_to_noise is None:
                raise ValueError(f"{name}_sig_to_noise needs sig_to_noise, the column it limits")
        if isinstance(self.grid, KnotGrid):
            raise ValueError(  # noqa: TRY004 - pydantic takes no other
                "grid has knots, which only that of spectra of lines can have"
            )
        if own := [name for each in self.products for name in each.own_samples]:
            raise ValueError(f"products name {own[0]}, which only spectra of lines have")
        if self.medium != "vacuum":
            raise ValueError("samples of low resolution are taken as they are: give vacuum ones")
        low, high = self.scale_window
        inside = [low <= wavelength <= high for wavelength in self.grid.nanometres()]
        if not any(inside):
            raise ValueError("no sample of the grid lies in scale_window")
        return self


Spectrum = Annotated[LineSpectrum | LowResolutionSpectrum, Field(discriminator="kind")]


@dataclass(frozen=True)
class Reading:
    """A spectrum as one of its tables has it.

    Attributes
    ----------
    name : str
        Of the input.
    spectrum : LineSpectrum or LowResolutionSpectrum
        What its samples mean.
    product : Product
        Where they stand.
    own_noise : bool
        Whether its S/N comes with it: from a column of the same table, or else from its samples.
    """

    name: str
    spectrum: LineSpectrum | LowResolutionSpectrum
    product: Product
    own_noise: bool


def scalars_of(name: str, spectrum: Spectrum, *, own_noise: bool) -> dict[str, str]:
    """Return name and dtype of the features that are made with each spectrum, beside its samples.

    Parameters
    ----------
    name, spectrum
        The spectrum.
    own_noise : bool
        Whether its S/N is among them, since no column of the looked-up tables has it.
    """
    made: dict[str, str] = {}
    if isinstance(spectrum, LowResolutionSpectrum):
        made[f"{name}_flux_scale"] = "float32"
    elif isinstance(spectrum.normalisation, CodeRule):
        made[f"{name}_normalisation"] = "uint8"
    return {**made, f"{name}_sig_to_noise": "float32"} if own_noise else made
