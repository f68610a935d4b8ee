"""A release of the archive as data: everything in which DR3, DR4 and DR5 differ is in its YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, model_validator

from catalog_builder.archive.spectra import (
    Announcement,
    LineSpectrum,
    LowResolutionSpectrum,
    Product,
    Spectrum,
    ThresholdRule,
)
from catalog_builder.archive.tables import (
    ChecksumRule,
    PartitionRule,
    TableName,
    TableSpec,
    TextRule,
)
from catalog_builder.contract.description import Description, load_description
from catalog_builder.contract.inputs import BandsInput, ColumnName, InputName, Inputs
from catalog_builder.contract.labels import refuse_twice
from catalog_builder.contract.units import same_unit


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
    joined_tables : tuple of str
        Tables whose columns are joined to the source table's by source id; a source without a row
        in one has nulls there. No column may be in two of all these.
    driving_tables : tuple of str
        A source is asked for if it has a row in any of these.
    spectra : dict of str to Spectrum
        By the name of the input, in the order of every array of inputs.
    photometry : dict of str to BandsInput
        Groups of magnitudes, by the name of the input.
    parallax : bool
        Whether the parallax is an input.
    partition, tables, text, checksums, download, parallax_zero_point
        See the classes of these fields.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    title: str
    credit: str
    reference_epoch: float
    source_table: TableName
    joined_tables: tuple[TableName, ...] = ()
    driving_tables: Annotated[tuple[TableName, ...], Field(min_length=1)]
    partition: PartitionRule
    tables: dict[TableName, TableSpec]
    text: TextRule
    checksums: ChecksumRule | None = None
    download: DownloadRule | None = None
    spectra: dict[InputName, Spectrum]
    photometry: dict[InputName, BandsInput] = Field(default_factory=dict)
    parallax: bool = True
    parallax_zero_point: ParallaxZeroPoint

    @property
    def inputs(self) -> Inputs:
        """What a network sees of this release."""
        return Inputs(
            spectra={name: spectrum.as_input() for name, spectrum in self.spectra.items()},
            photometry=self.photometry,
            parallax=self.parallax,
        )

    # Until all that asks for one of the two by name loops over `spectra`.
    @property
    def rvs(self) -> LineSpectrum | None:
        """The RVS spectra."""
        found = self.spectra.get("rvs")
        return found if isinstance(found, LineSpectrum) else None

    @property
    def xp(self) -> LowResolutionSpectrum | None:
        """The XP spectra."""
        found = self.spectra.get("xp")
        return found if isinstance(found, LowResolutionSpectrum) else None

    @property
    def looked_up(self) -> tuple[TableName, ...]:
        """Tables with one row a source: the source table, and those joined to it."""
        return (self.source_table, *self.joined_tables)

    def home_of(self, column: str) -> TableName | None:
        """Return the table among `looked_up` that has a column, or None."""
        return next((name for name in self.looked_up if column in self.tables[name].columns), None)

    def announcement(self, product: Product) -> tuple[TableName, Announcement] | None:
        """Return what announces a product's spectra, and the table in which it stands."""
        found = product.announced_by
        return None if found is None else (found.table or self.source_table, found)

    @model_validator(mode="after")
    def _tables_are_described(self) -> Self:
        of_spectra = {product.table for one in self.spectra.values() for product in one.products}
        wanted = {*self.looked_up, *self.driving_tables, *of_spectra}
        if missing := wanted - set(self.tables):
            raise ValueError(f"`tables` does not describe {sorted(missing)}")
        if self.source_table in self.joined_tables:
            raise ValueError(f"`joined_tables` names the source table, {self.source_table}")
        refuse_twice(
            column
            for table in self.looked_up
            for column in self.tables[table].columns
            if column != "source_id"
        )
        return self

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        wanted = set(self.parallax_zero_point.inputs.values())
        if self.parallax:
            wanted |= {"parallax", "parallax_error"}
        for bands in self.photometry.values():
            wanted |= set(bands.columns)
        for spectrum in self.spectra.values():
            if spectrum.sig_to_noise is not None:
                wanted.add(spectrum.sig_to_noise)
            rule = spectrum.normalisation if isinstance(spectrum, LineSpectrum) else None
            if isinstance(rule, ThresholdRule):
                wanted.add(rule.column)
        if missing := sorted(column for column in wanted if self.home_of(column) is None):
            raise ValueError(
                f"no column {', '.join(missing)} in {', '.join(self.looked_up)}, though a spectrum,"
                " `photometry`, `parallax` or `parallax_zero_point` uses it"
            )
        for name, spectrum in self.spectra.items():
            for product in spectrum.products:
                self._check_announcement(name, product)
        return self

    def _check_announcement(self, name: str, product: Product) -> None:
        found = self.announcement(product)
        if found is None:
            return
        table, said = found
        if table not in self.looked_up or said.column not in self.tables[table].columns:
            raise ValueError(
                f"spectra.{name} is announced by {table}.{said.column}, which is no column of"
                f" {', '.join(self.looked_up)}"
            )

    @model_validator(mode="after")
    def _spectra_fit_their_tables(self) -> Self:
        self.inputs  # noqa: B018 - names that are used twice, and sizes, show here
        for name, spectrum in self.spectra.items():
            for product in spectrum.products:
                columns = self.tables[product.table].columns
                for column, length in spectrum.lengths(product).items():
                    if column not in columns:
                        raise ValueError(
                            f"tables.{product.table}.columns lacks {column}, which"
                            f" spectra.{name} uses"
                        )
                    self._expect_length(product.table, column, length)
                if isinstance(spectrum, LowResolutionSpectrum) and product.holds == "samples":
                    self._expect_unit(product.table, product.flux, name, spectrum.flux_unit)
                    self._expect_unit(product.table, product.flux_error, name, spectrum.flux_unit)
        return self

    def _expect_length(self, table: TableName, column: str, length: int | None) -> None:
        found = self.tables[table].columns[column].length
        if found != length:
            raise ValueError(
                f"tables.{table}.columns.{column}.length is {found}, but the grid or the number of"
                f" coefficients says {length}"
            )

    def _expect_unit(self, table: TableName, column: str, name: str, unit: str) -> None:
        found = self.tables[table].columns[column].unit
        if not same_unit(found, unit):
            raise ValueError(
                f"tables.{table}.columns.{column}.unit is {found!r}, but spectra.{name}.flux_unit"
                f" is {unit!r}"
            )


def load_release(name_or_path: str | Path) -> ReleaseSpec:
    """Load a release by its name in ``schemas/releases`` or from a YAML file.

    Raises
    ------
    ConfigError
        If it is not there or not valid; the message names the key.
    """
    return load_description(ReleaseSpec, "releases", name_or_path)
