"""The tables in which spectra are published, and in which of their columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from catalog_builder.archive.matrices import BasisFile
from catalog_builder.archive.tables import TableName
from catalog_builder.contract.description import Description, Grown
from catalog_builder.contract.grids import PositiveInt
from catalog_builder.contract.inputs import ColumnName


class Announcement(Description):
    """Where the archive says who has a spectrum.

    Attributes
    ----------
    column : str
        Of the source table, or of a joined one.
    table : str, optional
        That table; the source table where not given.
    values : tuple
        Values of the column that say so: true, or numbers. A null is false, or the integer 0, and
        says nothing.
    """

    column: ColumnName
    table: TableName | None = None
    values: Annotated[tuple[bool | int | float, ...], Field(min_length=1)] = (True,)

    @model_validator(mode="after")
    def _nulls_say_nothing(self) -> Self:
        if 0 in self.values:
            raise ValueError("values has false or 0, which is what a null is read as")
        return self

    def said_by(self, column: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which cells of the column say so."""
        said = column == self.values[0]
        for value in self.values[1:]:
            said |= column == value
        return np.asarray(said)


class Product(Grown):
    """One of the tables in which spectra of a kind are published.

    Attributes
    ----------
    table : str
        Its name among `tables`.
    holds : {"samples", "coefficients"}
        Flux on the spectrum's grid; or coefficients, errors and correlations in bands, in columns
        ``<band>_coefficients``, ``<band>_coefficient_errors``, ``<band>_coefficient_correlations``.
    flux, flux_error : str
        Columns of the samples.
    samples_sig_to_noise : str, optional
        In place of `flux_error`: the column with the S/N of each sample, whose error is the flux's
        absolute value over that.
    wavelength : str, optional
        Column with the wavelengths of each row's samples, rising, in the unit of the spectrum's
        grid: where they are not those of the grid.
    bands : dict of str to int
        Coefficients of each band.
    basis : str or BasisFile, optional
        The matrices that make samples of coefficients: a name of those shipped, or a file.
    announced_by : Announcement, optional
        Where the archive says who has a row in the table.
    """

    added: ClassVar[tuple[str, ...]] = ("samples_sig_to_noise", "wavelength")

    table: TableName
    holds: Literal["samples", "coefficients"] = "samples"
    flux: ColumnName = "flux"
    flux_error: ColumnName = "flux_error"
    samples_sig_to_noise: ColumnName | None = None
    wavelength: ColumnName | None = None
    bands: dict[ColumnName, PositiveInt] = Field(default_factory=dict)
    basis: ColumnName | BasisFile | None = None
    announced_by: Announcement | None = None

    @model_validator(mode="after")
    def _coefficients_have_a_basis(self) -> Self:
        if (self.holds == "coefficients") != (bool(self.bands) and self.basis is not None):
            raise ValueError(
                "coefficients need `bands` and `basis`, and samples have neither of them"
            )
        if self.own_samples and self.holds == "coefficients":
            raise ValueError(f"coefficients have no column {self.own_samples[0]}, as samples have")
        return self

    @property
    def noise(self) -> ColumnName:
        """The column that tells how sure each sample is."""
        return self.samples_sig_to_noise or self.flux_error

    def errors(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the errors of samples: as they are, or by their S/N, NaN where that is none."""
        noise = columns[self.noise]
        if self.samples_sig_to_noise is None:
            return noise
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            errors = np.abs(columns[self.flux]) / noise
        return np.where(noise > 0, errors, np.nan).astype(np.float32)

    @property
    def own_samples(self) -> tuple[ColumnName, ...]:
        """Columns that say more of samples than the grid and an error do."""
        return tuple(filter(None, (self.samples_sig_to_noise, self.wavelength)))

    def lengths(self, samples: int) -> dict[str, int]:
        """Return the length of each array column that is read."""
        if self.holds == "samples":
            columns = (self.flux, self.noise, *filter(None, (self.wavelength,)))
            return dict.fromkeys(columns, samples)
        found: dict[str, int] = {}
        for band, count in self.bands.items():
            found[f"{band}_coefficients"] = count
            found[f"{band}_coefficient_errors"] = count
            # Strict triangle of a symmetric matrix with unit diagonal.
            found[f"{band}_coefficient_correlations"] = count * (count - 1) // 2
        return found
