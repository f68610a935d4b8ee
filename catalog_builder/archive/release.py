"""A release of the archive as data: everything in which DR3, DR4 and DR5 differ is in its YAML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import model_validator

from catalog_builder.archive.crosswalks import CROSSWALK_TYPES
from catalog_builder.archive.matrices import BasisFile
from catalog_builder.archive.products import Product
from catalog_builder.archive.release_ids import ReleaseIds
from catalog_builder.archive.release_parts import SeveralSpectra
from catalog_builder.archive.spectra import (
    CodeRule,
    LineSpectrum,
    LowResolutionSpectrum,
    ThresholdRule,
)
from catalog_builder.archive.tables import TableName
from catalog_builder.archive.zero_point import ParallaxZeroPoint
from catalog_builder.contract.description import load_description
from catalog_builder.contract.inputs import ColumnName
from catalog_builder.contract.labels import refuse_twice
from catalog_builder.contract.units import same_unit
from catalog_builder.ground.resources import schemas_dir

__all__ = ["ParallaxZeroPoint", "ReleaseSpec", "load_release", "load_written"]


class ReleaseSpec(ReleaseIds):
    """A release whose parts fit each other; what does not is refused by its key."""

    @model_validator(mode="after")
    def _tables_are_described(self) -> Self:
        for key, table in self._tables_by_key():
            if table not in self.tables:
                raise ValueError(
                    f"{key} names {table}, which `tables` does not describe; it has"
                    f" {', '.join(self.tables)}"
                )
        for table in self.looked_up:
            if table in self.driving_tables:
                raise ValueError(f"driving_tables names {table}, which holds no spectra")
            lists = [name for name, spec in self.tables[table].columns.items() if spec.length]
            if lists:
                raise ValueError(
                    f"tables.{table}.columns.{lists[0]} has a length: source_table and"
                    " joined_tables have one number for each source"
                )
        refuse_twice(self.looked_up)
        refuse_twice(
            column
            for table in self.looked_up
            for column in self.tables[table].columns
            if column != "source_id"
        )
        return self

    def _tables_by_key(self) -> Iterator[tuple[str, TableName]]:
        yield "source_table", self.source_table
        yield from (("joined_tables", table) for table in self.joined_tables)
        for name, spectrum in self.spectra.items():
            for place, product in enumerate(spectrum.products):
                yield f"spectra.{name}.products.{place}.table", product.table
        yield from (("driving_tables", table) for table in self.driving_tables)
        yield from (
            (f"crosswalks.{older}.table", rule.table) for older, rule in self.crosswalks.items()
        )
        yield from ((f"beside.{name}.table", rule.table) for name, rule in self.beside.items())

    @model_validator(mode="after")
    def _every_driving_table_has_spectra(self) -> Self:
        readings = self.readings
        for table in self.driving_tables:
            if table not in readings:
                raise ValueError(f"driving_tables names {table}, which is no product of `spectra`")
        read = {reading.name for several in readings.values() for reading in several}
        for name in self.spectra:
            if name not in read:
                raise ValueError(f"spectra.{name} has no product among driving_tables")
        return self

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        for key, column in self._columns_by_key():
            if self.home_of(column) is None:
                raise ValueError(f"{key} names {column}, which {self._no_column_of_these()}")
        for name, spectrum in self.spectra.items():
            for place, product in enumerate(spectrum.products):
                self._check_announcement(f"spectra.{name}.products.{place}", product)
                noise, own = spectrum.sig_to_noise, self.tables[product.table].columns
                if noise is not None and self.has_own_noise(name) and noise not in own:
                    raise ValueError(
                        f"spectra.{name}.sig_to_noise names {noise}, which"
                        f" {self._no_column_of_these()}, nor of {product.table}"
                    )
        return self

    def _columns_by_key(self) -> Iterator[tuple[str, ColumnName]]:
        """Yield the columns of looked-up tables that something uses, and what."""
        yield from self.parallax_zero_point.columns_by_key()
        if self.parallax:
            yield from (("parallax: true", column) for column in ("parallax", "parallax_error"))
        for group, bands in self.photometry.items():
            for band, spec in bands.bands.items():
                yield f"photometry.{group}.bands.{band}.column", spec.column
        for band, column in self.magnitude_errors.items():
            yield "magnitude_errors", band
            yield f"magnitude_errors.{band}", column
        for name, spectrum in self.spectra.items():
            rule = spectrum.normalisation if isinstance(spectrum, LineSpectrum) else None
            if isinstance(rule, ThresholdRule):
                yield f"spectra.{name}.normalisation.column", rule.column

    @model_validator(mode="after")
    def _crosswalks_have_their_columns(self) -> Self:
        if self.name in self.crosswalks:
            raise ValueError(f"crosswalks.{self.name} is of this release itself")
        for older, rule in self.crosswalks.items():
            columns = self.tables[rule.table].columns
            for what, name in rule.columns.items():
                key, kind = f"crosswalks.{older}.{what}", CROSSWALK_TYPES[what]
                if name not in columns:
                    raise ValueError(f"{key} names {name}, which is no column of {rule.table}")
                spec = columns[name]
                if not spec.dtype.startswith(kind) or spec.length is not None:
                    raise ValueError(f"{key} names {name}, which is no {kind} for each row")
        return self

    @model_validator(mode="after")
    def _quantities_are_what_they_are_taken_for(self) -> Self:
        """Refuse integers, whose nulls would be zeros, and other units than the catalogue names."""
        for key, column, unit in self._quantities():
            table = self.home_of(column)
            if table is None:
                continue
            spec = self.tables[table].columns[column]
            where = f"tables.{table}.columns.{column}"
            if not spec.dtype.startswith("float"):
                raise ValueError(
                    f"{where}.dtype is {spec.dtype}, in which a null is 0, but {key} takes it for a"
                    " measurement: give float32 or float64"
                )
            if unit is not None and spec.unit and not same_unit(spec.unit, unit):
                raise ValueError(f"{where}.unit is {spec.unit!r}, but {key} takes {unit!r}")
        return self

    def _quantities(self) -> Iterator[tuple[str, ColumnName, str | None]]:
        """Yield what takes a column for a quantity, the column, and the unit if it matters."""
        if self.parallax:
            yield from (("parallax: true", name, "mas") for name in ("parallax", "parallax_error"))
        if self.parallax_zero_point.bias is not None:
            yield "parallax_zero_point.inputs.bias", self.parallax_zero_point.bias, "mas"
        for group, bands in self.photometry.items():
            for band, spec in bands.bands.items():
                yield f"photometry.{group}.bands.{band}.column", spec.column, "mag"
        for band, column in self.magnitude_errors.items():
            yield f"magnitude_errors.{band}", column, ""
        for name, spectrum in self.spectra.items():
            if spectrum.sig_to_noise is not None:
                yield f"spectra.{name}.sig_to_noise", spectrum.sig_to_noise, None
            rule = spectrum.normalisation if isinstance(spectrum, LineSpectrum) else None
            if isinstance(rule, ThresholdRule):
                yield f"spectra.{name}.normalisation.column", rule.column, None

    def _no_column_of_these(self) -> str:
        return f"is no column of {' or '.join(self.looked_up)}"

    def _check_announcement(self, key: str, product: Product) -> None:
        said = product.announced_by
        if said is None:
            return
        table = said.table or self.source_table
        if table not in self.looked_up or said.column not in self.tables[table].columns:
            raise ValueError(
                f"{key}.announced_by names {table}.{said.column}, which"
                f" {self._no_column_of_these()}"
            )
        dtype = self.tables[table].columns[said.column].dtype
        if any(isinstance(value, bool) != (dtype == "bool") for value in said.values):
            raise ValueError(
                f"{key}.announced_by.values is {list(said.values)}, but {table}.{said.column} is of"
                f" dtype {dtype}: say which of its values"
            )

    @model_validator(mode="after")
    def _spectra_fit_their_tables(self) -> Self:
        self.inputs  # noqa: B018 - names that are used twice, and sizes, show here
        for name, spectrum in self.spectra.items():
            for product in spectrum.products:
                columns = self.tables[product.table].columns
                for column, length in self._columns_read(name, product).items():
                    if column not in columns:
                        raise ValueError(
                            f"tables.{product.table}.columns lacks {column}, which"
                            f" spectra.{name} uses"
                        )
                    self._expect_length(product.table, column, length)
                if isinstance(spectrum, LowResolutionSpectrum) and product.holds == "samples":
                    self._expect_unit(product.table, product.flux, name, spectrum.flux_unit)
                    self._expect_unit(product.table, product.flux_error, name, spectrum.flux_unit)
                if isinstance(spectrum, LineSpectrum):
                    self._expect_normalised(product, name)
                    if product.wavelength is not None:
                        self._expect_wavelengths(product, name, product.wavelength)
                self._expect_codes(name, product)
        return self

    @model_validator(mode="after")
    def _titles_tell_apart(self) -> Self:
        titles: dict[str, str] = {}
        for name, one in (*self.spectra.items(), *self.photometry.items()):
            if (other := titles.setdefault(one.title, name)) != name:
                raise ValueError(
                    f"{other} and {name} are both called {one.title} (title): no sentence of a"
                    " catalogue could tell them apart"
                )
        return self

    def _columns_read(self, name: str, product: Product) -> dict[ColumnName, int | None]:
        """Return the columns of a product that are read, and their lengths."""
        spectrum = self.spectra[name]
        read = spectrum.lengths(product)
        if spectrum.sig_to_noise is not None and self.has_own_noise(name):
            read[spectrum.sig_to_noise] = None
        return read

    @model_validator(mode="after")
    def _features_have_names_of_their_own(self) -> Self:
        # Beside the features, what a training store has of its own.
        made = {"parallax_corrected", "parallax_fallback", "labels", "label_error", "split", "row"}
        made |= set(self.measured_errors)
        for name, spectrum in self.spectra.items():
            made |= {
                f"{name}_{ending}" for ending in ("flux", "flux_error", "mask", "row", "wavelength")
            }
            made |= {f"{name}_normalisation"} if isinstance(spectrum, LineSpectrum) else set()
            made |= set(self.scalars_of(name))
        # Not has_NAME: the archive may have it, of its rows, and ours of usable ones replaces it.
        for table in self.looked_up:
            for column in self.tables[table].columns:
                if column in made:
                    raise ValueError(
                        f"tables.{table}.columns.{column} has the name of a feature that is made:"
                        " give it another, and its name in the files under `names`"
                    )
        return self

    def _expect_codes(self, name: str, product: Product) -> None:
        rule = getattr(self.spectra[name], "normalisation", None)
        if not isinstance(rule, CodeRule):
            return
        dtype = self.tables[product.table].columns[rule.code].dtype
        where = f"tables.{product.table}.columns.{rule.code}.dtype is {dtype}"
        if dtype == "bool":
            raise ValueError(f"{where}, but spectra.{name}.normalisation.code is a column of codes")
        if 0 in rule.values and dtype.startswith("int"):
            raise ValueError(
                f"{where}, in which a null is 0, and spectra.{name}.normalisation.values has 0:"
                " give float32, in which a null is none of the codes"
            )

    def _expect_length(self, table: TableName, column: str, length: int | None) -> None:
        found = self.tables[table].columns[column].length
        if found != length:
            raise ValueError(
                f"tables.{table}.columns.{column}.length is {found}, but the grid or the number of"
                f" coefficients says {length}"
            )

    def _expect_normalised(self, product: Product, name: str) -> None:
        spectrum = self.spectra[name]
        if isinstance(spectrum, LineSpectrum) and spectrum.is_normalised_here:
            return
        for column in (product.flux, product.noise):
            unit = self.tables[product.table].columns[column].unit
            if not same_unit(unit, ""):
                raise ValueError(
                    f"tables.{product.table}.columns.{column}.unit is {unit!r}, but spectra.{name}"
                    " are lines, whose flux is normalised"
                )

    def _expect_wavelengths(self, product: Product, name: str, column: str) -> None:
        spectrum, spec = self.spectra[name], self.tables[product.table].columns[column]
        where = f"tables.{product.table}.columns.{column}"
        if not same_unit(spec.unit, spectrum.grid.unit):
            raise ValueError(
                f"{where}.unit is {spec.unit!r}, but spectra.{name}.grid.unit is"
                f" {spectrum.grid.unit!r}"
            )
        if spec.dtype != "float64":
            raise ValueError(f"{where}.dtype is {spec.dtype}: wavelengths are float64")
        if isinstance(spectrum, LineSpectrum) and spectrum.correlation_length:
            raise ValueError(
                f"{where}: spectra.{name} has a correlation_length, which is by the grid's step:"
                " with wavelengths of their own samples are independent"
            )

    def _expect_unit(self, table: TableName, column: str, name: str, unit: str) -> None:
        found = self.tables[table].columns[column].unit
        if not same_unit(found, unit):
            raise ValueError(
                f"tables.{table}.columns.{column}.unit is {found!r}, but spectra.{name}.flux_unit"
                f" is {unit!r}"
            )


def load_release(name_or_path: str | Path, several: SeveralSpectra | None = None) -> ReleaseSpec:
    """Load a release by its name in ``schemas/releases`` or from a YAML file.

    Parameters
    ----------
    name_or_path : str or Path
        Which one.
    several : {"one_row_each", "combined"}, optional
        What becomes of several spectra of a star, if not what the description says.

    Raises
    ------
    ConfigError
        If it is not there or not valid; the message names the key.
    """
    return load_written(name_or_path).as_read(several)


def load_written(name_or_path: str | Path) -> ReleaseSpec:
    """Load a release as it is written: by spectra, also where those of each star become one.

    Raises
    ------
    ConfigError
        If it is not there or not valid; the message names the key.
    """
    release = load_description(ReleaseSpec, "releases", name_or_path)
    given = Path(name_or_path)
    folder = given.parent if given.suffix else schemas_dir() / "releases"
    return release.with_matrices(
        {
            basis.sha256: folder / basis.path
            for spectrum in release.spectra.values()
            for product in spectrum.products
            if isinstance(basis := product.basis, BasisFile) and not basis.is_remote
        }
    )
