"""What a release says of itself, and what follows from that alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, HttpUrl, field_validator

from catalog_builder.archive.crosswalks import CrosswalkRule
from catalog_builder.archive.matrices import BasisFile
from catalog_builder.archive.products import Announcement, Product
from catalog_builder.archive.repeated import RepeatedTable
from catalog_builder.archive.spectra import (
    LineSpectrum,
    Reading,
    Spectrum,
    scalars_of,
)
from catalog_builder.archive.tables import (
    ChecksumRule,
    PartitionRule,
    TableName,
    TableSpec,
    TextRule,
)
from catalog_builder.archive.zero_point import ParallaxZeroPoint
from catalog_builder.contract.description import Description, Grown
from catalog_builder.contract.inputs import BandsInput, ColumnName, InputName, Inputs
from catalog_builder.contract.references import Reference
from catalog_builder.contract.side_table import TAKEN, SideName


class DownloadRule(Description):
    """Where the archive is published, and how its folders are listed."""

    root: HttpUrl
    listing: HttpUrl
    listing_style: Literal["s3"]


#: The column that says which star a row is of, where a star may have several.
STAR_ID: Final = "star_id"


SeveralSpectra = Literal["one_row_each", "combined"]


class ReleaseParts(Grown):
    """A release of the archive, as described in ``schemas/releases/<name>.yaml``.

    Parameters
    ----------
    name, title, credit : str
        Short name, title and the acknowledgement that goes into products.
    acknowledgement, references : str, tuple of Reference
        Words of thanks that the archive asks for, and what is to be cited.
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
    magnitude_errors : dict of str to str
        By the column of a magnitude, the one with its flux over the error of that; what becomes of
        it is called as the magnitude, with ``_error`` behind.
    crosswalks : dict of str to CrosswalkRule
        By the older release whose identifiers are translated.
    beside : dict of str to RepeatedTable
        Tables whose values a catalogue repeats in tables beside it, by the names of these.
    several_spectra : {"one_row_each", "combined"}, optional
        What becomes of several spectra of a star, which is told by the column ``star_id``: a row
        of the catalogue for each, or their mean, weighted by inverse variance. Without it, the
        first row of a source counts.
    partition, tables, text, checksums, download, parallax_zero_point
        See the classes of these fields.
    """

    added: ClassVar[tuple[str, ...]] = ("crosswalks", "magnitude_errors", "several_spectra")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    title: str
    credit: str
    # Not in any digest: words for users, which shape nothing.
    acknowledgement: Annotated[str, Field(exclude=True)] = ""
    references: Annotated[tuple[Reference, ...], Field(exclude=True)] = ()
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
    magnitude_errors: dict[ColumnName, ColumnName] = Field(default_factory=dict)
    parallax_zero_point: ParallaxZeroPoint
    crosswalks: dict[str, CrosswalkRule] = Field(default_factory=dict)
    # Not in any digest either: no input, and the tasks that read them have their declarations.
    beside: Annotated[dict[SideName, RepeatedTable], Field(exclude=True)] = Field(
        default_factory=dict
    )
    several_spectra: SeveralSpectra | None = None

    @field_validator("beside")
    @classmethod
    def _has_names_of_its_own(cls, value: dict[str, RepeatedTable]) -> dict[str, RepeatedTable]:
        for name in sorted(TAKEN):
            if name in value:
                raise ValueError(
                    f"a catalogue has a table {name} of its own; call {name} otherwise"
                )
        return value

    @property
    def spelt(self) -> dict[ColumnName, int]:
        """Columns of identifiers that are words in the archive, and how long these are at most."""
        columns = self.tables[self.source_table].columns
        return {
            name: columns[name].characters or 0
            for name in ("source_id", STAR_ID)
            if name in columns and columns[name].is_text
        }

    @property
    def inputs(self) -> Inputs:
        """What a network sees of this release."""
        return Inputs(
            spectra={
                name: spectrum.as_input(self._sig_to_noise_of(name))
                for name, spectrum in self.spectra.items()
            },
            photometry=self.photometry,
            parallax=self.parallax,
            parallax_fallback=self.has_fallback,
            spelt_ids=bool(self.spelt),
            several_rows=self.several_spectra == "one_row_each",
        )

    @property
    def measured_errors(self) -> dict[str, ColumnName]:
        """Features that are errors of magnitudes, and the columns that they are made of."""
        return {f"{band}_error": column for band, column in self.magnitude_errors.items()}

    @property
    def has_fallback(self) -> bool:
        """Whether some parallaxes are corrected by the fallback of the zero point's rule."""
        return self.parallax and self.parallax_zero_point.fallback is not None

    def with_matrices(self, places: Mapping[str, Path]) -> Self:
        """Return the release with where its files of matrices lie, by their digests."""
        if not places:
            return self
        spectra = {
            name: spectrum.model_copy(
                update={"products": tuple(_placed(each, places) for each in spectrum.products)}
            )
            for name, spectrum in self.spectra.items()
        }
        return self.model_copy(update={"spectra": spectra})

    @property
    def looked_up(self) -> tuple[TableName, ...]:
        """Tables with one row a source: the source table, and those joined to it."""
        return (self.source_table, *self.joined_tables)

    def home_of(self, column: str) -> TableName | None:
        """Return the table among `looked_up` that has a column, or None."""
        return next((name for name in self.looked_up if column in self.tables[name].columns), None)

    @property
    def readings(self) -> dict[TableName, list[Reading]]:
        """The spectra that are read from each driving table, in the order of their products."""
        found: dict[TableName, list[Reading]] = {}
        for name, spectrum in self.spectra.items():
            own = self.has_own_noise(name)
            for product in spectrum.products:
                if product.table in self.driving_tables:
                    reading = Reading(name, spectrum, product, own)
                    found.setdefault(product.table, []).append(reading)
        return found

    def announced_in(self, table: TableName) -> list[tuple[TableName, Announcement]]:
        """Return the driving tables that a looked-up table announces, and how."""
        return [
            (product.table, said)
            for spectrum in self.spectra.values()
            for product in spectrum.products
            if product.table in self.driving_tables
            and (said := product.announced_by) is not None
            and (said.table or self.source_table) == table
        ]

    def announcers(self, driving: TableName) -> list[TableName]:
        """Return the looked-up tables that announce a driving table."""
        return [
            table
            for table in self.looked_up
            if any(announced == driving for announced, _ in self.announced_in(table))
        ]

    def has_own_noise(self, name: str) -> bool:
        """Say whether a spectrum's S/N comes with it: from its own table, or from its samples."""
        spectrum = self.spectra[name]
        if spectrum.sig_to_noise is None:
            return isinstance(spectrum, LineSpectrum)
        return self.home_of(spectrum.sig_to_noise) is None

    def scalars_of(self, name: str) -> dict[str, str]:
        """Return name and dtype of the features made with each of a spectrum's rows."""
        return scalars_of(name, self.spectra[name], own_noise=self.has_own_noise(name))

    def _sig_to_noise_of(self, name: str) -> ColumnName | None:
        return (
            f"{name}_sig_to_noise" if self.has_own_noise(name) else self.spectra[name].sig_to_noise
        )


def _placed(product: Product, places: Mapping[str, Path]) -> Product:
    basis = product.basis
    if not isinstance(basis, BasisFile) or basis.sha256 not in places:
        return product
    return product.model_copy(update={"basis": basis.at(places[basis.sha256])})
