"""The tables of a release: folders, file names, columns and spellings, as data."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from catalog_builder.contract.description import Description, Grown
from catalog_builder.contract.units import UnitText

TableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=80)]
FileFormat = Literal[
    "csv.gz",
    "ecsv.gz",
    "csv",
    "ecsv",
    "fits",
    "parquet",
    "fits.gz",
    "fit",
    "pq",
    "txt",
    "txt.gz",
    "dat",
    "dat.gz",
    "tsv",
    "tsv.gz",
]
ScalarType = Literal["int8", "int16", "int32", "int64", "float32", "float64", "bool", "text"]
ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
PositiveInt = Annotated[int, Field(gt=0)]


class ColumnSpec(Grown):
    """One column: its names in the files, and its type, unit and shape in the program.

    Parameters
    ----------
    dtype : str
        NumPy scalar type the column has in a block; ``text`` of identifiers that are words, of
        which a block has the 64-bit keys (`archive.identifiers`).
    names : tuple of str
        Names it may have in a file, in order of preference; the canonical name where empty.
    unit : str
        Unit in the files; empty for none. A header that says otherwise is refused.
    length : int or None
        Number of elements of an array column, None for a scalar.
    required : bool
        Whether a file without the column is refused, and for arrays, whether a bad cell rejects
        its row for that table. A bad cell in an optional column becomes null.
    nulls : tuple of float
        Numbers that stand for no value, also among the elements of arrays.
    characters : int or None
        Of text: the most bytes (UTF-8) that one has.
    """

    added: ClassVar[tuple[str, ...]] = ("nulls", "characters")

    dtype: ScalarType
    names: tuple[str, ...] = ()
    unit: UnitText = ""
    length: PositiveInt | None = None
    required: bool = False
    nulls: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()
    characters: Annotated[int, Field(gt=0, le=256)] | None = None

    @model_validator(mode="after")
    def _text_is_an_identifier(self) -> Self:
        if self.is_text != (self.characters is not None):
            raise ValueError("dtype text needs `characters`, the most that one has, and no other")
        if self.is_text and (self.nulls or self.unit):
            raise ValueError("text has neither nulls nor a unit")
        return self

    @model_validator(mode="after")
    def _nulls_can_stand_there(self) -> Self:
        if self.nulls and self.dtype == "bool":
            raise ValueError("nulls are numbers, and the column is of booleans")
        for null in self.nulls:
            if self.dtype.startswith("float"):
                fits = abs(null) <= float(np.finfo(self.dtype).max)
            else:
                limits = np.iinfo(self.dtype)
                fits = math.floor(null) == null and limits.min <= null <= limits.max
            if not fits:
                raise ValueError(f"nulls has {null:g}, which no {self.dtype} is")
        return self

    @model_validator(mode="after")
    def _arrays_are_floats(self) -> Self:
        if self.length is not None and self.dtype not in {"float32", "float64"}:
            raise ValueError("an array column (with `length`) must have dtype float32 or float64")
        return self

    @property
    def numpy_dtype(self) -> np.dtype[np.generic]:
        """NumPy dtype of the column's elements in a block."""
        return np.dtype("int64" if self.is_text else self.dtype)

    @property
    def is_text(self) -> bool:
        """Whether it has words, which are identifiers."""
        return self.dtype == "text"


class TableSpec(Description):
    """One table: where its files lie, how they are named and which columns are read.

    Parameters
    ----------
    folders : tuple of str
        Folders, relative to the archive's root, that may hold the files; the first found counts.
    stem : str
        What a file name begins with, before the range. In folders by region it may be empty.
    formats : tuple of str
        Accepted file name endings in order of preference.
    columns : dict of str to ColumnSpec
        By canonical name. ``source_id`` is always among them.
    """

    folders: Annotated[tuple[str, ...], Field(min_length=1)]
    stem: str = ""
    formats: Annotated[tuple[FileFormat, ...], Field(min_length=1)]
    columns: dict[ColumnName, ColumnSpec]

    @model_validator(mode="after")
    def _has_a_usable_key(self) -> Self:
        key = self.columns.get("source_id")
        plain = key is not None and key.length is None and not key.nulls
        if key is None or key.dtype not in {"int64", "text"} or not key.required or not plain:
            raise ValueError(
                "columns must hold `source_id` as {dtype: int64, required: true}, or as"
                " {dtype: text, characters: 32, required: true} where it is a word: every table is"
                " joined by it"
            )
        return self

    def native_names(self, canonical: str) -> tuple[str, ...]:
        """Names under which a column may stand in a file, in order of preference."""
        return self.columns[canonical].names or (canonical,)


def spelt(column: str) -> str:
    """Return the name by which a block has a column's words; no described one can have it."""
    return f"({column})"


#: HEALPix level of a column that carries positions: HATS's, the finest of 64 bits.
COLUMN_LEVEL: Final = 29
#: By which name the reader gives that column; no described one can have it.
POSITION: Final = "(position)"
_DECIMAL_RANGES: Final = r"(?P<start>\d+)-(?P<stop>\d+)"


class PartitionRule(Grown):
    """How files are cut into HEALPix ranges; tables may be cut differently from each other.

    Parameters
    ----------
    layout : {"ranges", "regions", "hats", "anywhere"}
        Files in one folder, each with its range in its name; folders ``region=<id>``, whose id is
        a hexadecimal digit for the base pixel and a digit 0-3 for each further level; folders
        ``Norder=k/Dir=d`` with files or folders ``Npix=n``; or files in the table's folder and in
        those below it, of which each may have any star. Of the latter three, a folder may hold
        several files.
    range_pattern : str
        Regular expression with the groups ``start`` and ``stop`` (inclusive pixel numbers); it
        stands between a table's stem and the file's ending. Of ranges only.
    healpix_level : int
        Level (order) of the range's pixels, nested scheme, ICRS. Folders may not be finer.
    source_id_shift : int
        ``source_id >> source_id_shift`` is the pixel at `healpix_level`.
    position_level, position_shift : int
        The finest pixel an id carries, from which an approximate position can be taken.
    position_column : str or None
        A column of every table with the nested HEALPix index of level 29, by which rows are cut
        where their ids do not say it.
    """

    added: ClassVar[tuple[str, ...]] = ("layout", "position_column")

    layout: Literal["ranges", "regions", "hats", "anywhere"] = "ranges"
    range_pattern: str = _DECIMAL_RANGES
    healpix_level: Annotated[int, Field(ge=0, le=29)]
    source_id_shift: Annotated[int, Field(ge=0, le=62)]
    position_level: Annotated[int, Field(ge=0, le=29)]
    position_shift: Annotated[int, Field(ge=0, le=62)]
    position_column: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _pattern_has_its_groups(self) -> Self:
        try:
            groups = re.compile(self.range_pattern).groupindex
        except re.error as error:
            raise ValueError(f"range_pattern is not a regular expression: {error}") from error
        if not {"start", "stop"} <= set(groups):
            raise ValueError("range_pattern needs the groups (?P<start>...) and (?P<stop>...)")
        if self.source_id_shift - self.position_shift != 2 * (
            self.position_level - self.healpix_level
        ):
            raise ValueError("the shifts and levels disagree: one level is two bits of the id")
        return self

    @property
    def n_pixels(self) -> int:
        """Number of pixels on the sky at the partition's level."""
        return 12 << (2 * self.healpix_level)

    @property
    def ids_tell(self) -> bool:
        """Whether a source id says in which partition its star is looked for."""
        return self.position_column is None and self.layout != "anywhere"

    def pixels(self, values: Any) -> Any:
        """Return the pixels of values of the column by which rows are cut."""
        pixels = values >> self.key_shift
        # Where files are not cut, any id has a place: its pixel need not be one.
        return pixels % self.n_pixels if self.layout == "anywhere" else pixels

    @property
    def key(self) -> str:
        """Name by which readers give the column that a row's pixel comes from."""
        return "source_id" if self.position_column is None else POSITION

    @property
    def key_shift(self) -> int:
        """By how many bits a value of that column is shifted to be the pixel."""
        if self.position_column is None:
            return self.source_id_shift
        return 2 * (COLUMN_LEVEL - self.healpix_level)

    def name_of(self, start: int, stop: int) -> str:
        """Return a range as partitions are called where no file says it."""
        digits = len(str(self.n_pixels - 1))
        return f"{start:0{digits}d}-{stop:0{digits}d}"


class TextRule(Grown):
    """Spellings in text files, all compared without regard to case.

    Those of booleans count in columns of text in FITS and Parquet, too.

    Attributes
    ----------
    null_tokens, true_tokens, false_tokens : tuple of str
        What stands for no value, for true and for false.
    delimiter : str
        What parts fields; of blanks, any number does.
    """

    added: ClassVar[tuple[str, ...]] = ("delimiter",)

    null_tokens: tuple[str, ...]
    true_tokens: Annotated[tuple[str, ...], Field(min_length=1)]
    false_tokens: Annotated[tuple[str, ...], Field(min_length=1)]
    delimiter: Literal[",", ";", "\t", "|", " "] = ","


class ChecksumRule(Description):
    """The checksum list of a folder: lines of ``<digest>  <file name>``."""

    file_name: str
    algorithm: Literal["md5", "sha1", "sha256"]
