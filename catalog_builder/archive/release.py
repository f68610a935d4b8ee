"""A release of the archive as data: everything in which DR3, DR4 and DR5 differ is in its YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, HttpUrl, model_validator

from catalog_builder.archive.description import Description, load_description
from catalog_builder.archive.tables import (
    ChecksumRule,
    ColumnName,
    PartitionRule,
    PositiveInt,
    TableName,
    TableSpec,
    TextRule,
)
from catalog_builder.archive.units import UnitText, parse_unit, same_unit


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

    def wavelengths(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the grid, float64 of shape (count,), in `unit`."""
        # Rounded, so that 846.0 + 0.01 * 3 is the same number as in the archive's own tables.
        return np.round(self.start + self.step * np.arange(self.count, dtype=np.float64), 9)


class NormalisationRule(Description):
    """How mean RVS spectra were normalised, told from one column.

    Stars whose `column` is below `threshold` were divided by `below`, the others by `otherwise`.
    """

    column: ColumnName
    threshold: float
    below: Literal["pseudo_continuum", "constant"]
    otherwise: Literal["pseudo_continuum", "constant"]


class RvsSpec(Description):
    """The mean RVS spectra of a release.

    Parameters
    ----------
    grid : GridSpec
        Wavelengths of the samples.
    medium, frame : str
        What the wavelengths refer to.
    normalisation : NormalisationRule
        How the flux was normalised.
    sig_to_noise : str
        Column of the source table with the signal-to-noise ratio of the spectrum.
    """

    grid: GridSpec
    medium: Literal["vacuum", "air"]
    frame: Literal["rest", "barycentric"]
    normalisation: NormalisationRule
    sig_to_noise: ColumnName


class XpContinuousSpec(Description):
    """XP spectra as coefficients: how many per band, and the matrix that samples them.

    Parameters
    ----------
    bp_coefficients, rp_coefficients : int
        Number of basis functions of each band.
    basis : str
        Name of the matrix, shipped with the program, from both bands to the sampled grid.
    """

    bp_coefficients: PositiveInt
    rp_coefficients: PositiveInt
    basis: str


class XpSpec(Description):
    """The XP mean spectra of a release: the sampled grid, and coefficients where published."""

    sampled_grid: GridSpec
    flux_unit: UnitText
    continuous: XpContinuousSpec | None = None


class ParallaxZeroPoint(Description):
    """How the parallax zero point is found; it is subtracted from the parallax.

    Parameters
    ----------
    rule : {"lindegren2021", "column", "none"}
        Lindegren et al. 2021 (A&A 649, A4), a column of the release, or no correction.
    inputs : dict of str to str
        The rule's own argument names -> canonical columns of the source table.
    """

    rule: Literal["lindegren2021", "column", "none"]
    inputs: dict[str, ColumnName] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_its_inputs(self) -> Self:
        needed = _ZERO_POINT_INPUTS[self.rule]
        if set(self.inputs) != needed:
            raise ValueError(f"rule {self.rule} needs exactly the inputs {sorted(needed)}")
        return self


_ZERO_POINT_INPUTS: dict[str, set[str]] = {
    "lindegren2021": {
        "phot_g_mean_mag",
        "nu_eff_used_in_astrometry",
        "pseudocolour",
        "ecl_lat",
        "astrometric_params_solved",
    },
    "column": {"bias"},
    "none": set(),
}


class DownloadRule(Description):
    """Where the archive is published, and how its folders are listed."""

    root: HttpUrl
    listing: HttpUrl
    listing_style: Literal["s3"]


class ReleaseSpec(Description):
    """A release of the archive, as described in ``schemas/releases/<name>.yaml``.

    Parameters
    ----------
    name, title, credit : str
        Short name, title and the acknowledgement that goes into products.
    reference_epoch : float
        Julian year (TCB) of the positions.
    source_table : str
        The table with photometry, astrometry and S/N, joined to the driving tables.
    driving_tables : tuple of str
        A source is asked for if it has a row in any of these.
    partition, tables, text, checksums, download, rvs, xp, parallax_zero_point
        See the classes of these fields.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    title: str
    credit: str
    reference_epoch: float
    source_table: TableName
    driving_tables: Annotated[tuple[TableName, ...], Field(min_length=1)]
    partition: PartitionRule
    tables: dict[TableName, TableSpec]
    text: TextRule
    checksums: ChecksumRule | None = None
    download: DownloadRule | None = None
    rvs: RvsSpec | None = None
    xp: XpSpec | None = None
    parallax_zero_point: ParallaxZeroPoint

    @model_validator(mode="after")
    def _tables_are_described(self) -> Self:
        missing = {self.source_table, *self.driving_tables} - set(self.tables)
        if missing:
            raise ValueError(f"`tables` does not describe {sorted(missing)}")
        return self

    @model_validator(mode="after")
    def _source_columns_exist(self) -> Self:
        wanted = set(self.parallax_zero_point.inputs.values())
        if self.rvs is not None:
            wanted |= {self.rvs.normalisation.column, self.rvs.sig_to_noise}
        missing = wanted - set(self.tables[self.source_table].columns)
        if missing:
            raise ValueError(
                f"tables.{self.source_table}.columns lacks {sorted(missing)}, which rvs or "
                "parallax_zero_point use"
            )
        return self

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if self.rvs is not None:
            self._expect_length("rvs_mean_spectrum", "flux", self.rvs.grid.count)
            self._expect_length("rvs_mean_spectrum", "flux_error", self.rvs.grid.count)
        if self.xp is None:
            return self
        for column in ("flux", "flux_error"):
            self._expect_length("xp_sampled_mean_spectrum", column, self.xp.sampled_grid.count)
            self._expect_unit("xp_sampled_mean_spectrum", column, self.xp.flux_unit)
        if self.xp.continuous is None:
            return self
        for band in ("bp", "rp"):
            count = getattr(self.xp.continuous, f"{band}_coefficients")
            table: TableName = "xp_continuous_mean_spectrum"
            self._expect_length(table, f"{band}_coefficients", count)
            self._expect_length(table, f"{band}_coefficient_errors", count)
            # Strict triangle of a symmetric matrix with unit diagonal.
            pairs = count * (count - 1) // 2
            self._expect_length(table, f"{band}_coefficient_correlations", pairs)
        return self

    def _expect_length(self, table: TableName, column: str, length: int) -> None:
        spec = self.tables[table].columns.get(column) if table in self.tables else None
        if spec is not None and spec.length != length:
            raise ValueError(
                f"tables.{table}.columns.{column}.length is {spec.length}, but the grid or the "
                f"number of coefficients says {length}"
            )

    def _expect_unit(self, table: TableName, column: str, unit: str) -> None:
        spec = self.tables[table].columns.get(column) if table in self.tables else None
        if spec is not None and not same_unit(spec.unit, unit):
            raise ValueError(
                f"tables.{table}.columns.{column}.unit is {spec.unit!r}, but xp.flux_unit is "
                f"{unit!r}"
            )


def load_release(name_or_path: str | Path) -> ReleaseSpec:
    """Load a release by its name in ``schemas/releases`` or from a YAML file.

    Raises
    ------
    ConfigError
        If it is not there or not valid; the message names the key.
    """
    return load_description(ReleaseSpec, "releases", name_or_path)
