"""What another table calls its stars and labels, as data: ``schemas/comparisons/<name>.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import Field, model_validator

from catalog_builder.contract.description import Description, load_description
from catalog_builder.contract.labels import Label, LabelName
from catalog_builder.contract.units import UnitText, same_unit
from catalog_builder.ground.errors import ConfigError

FOLDER = "comparisons"
Finite = Annotated[float, Field(allow_inf_nan=False)]
#: One name, or several of which the first that the file has counts; case does not matter.
Names = str | Annotated[tuple[str, ...], Field(min_length=1)]


class Value(Description):
    """One quantity: its columns, and how it becomes ours.

    Parameters
    ----------
    column : str or tuple of str
        Its column, or names of which the first that is there counts.
    unit : str
        Its unit, as `scale` and `offset` leave it: that of our label.
    error : str or tuple of str, optional
        Column of the 1-sigma error.
    lower, upper : str or tuple of str, optional
        Instead of it, the limits of a 68 % interval: half their distance is the error.
    scale, offset : float
        Ours is ``scale * value + offset``; errors are scaled.
    logarithm : bool
        The column has the decimal logarithm.
    minimum, maximum : float, optional
        Where it is valid, in our unit; beyond them it counts as not given.
    note : str
    """

    column: Names
    unit: UnitText = ""
    error: Names | None = None
    lower: Names | None = None
    upper: Names | None = None
    scale: Finite = 1.0
    offset: Finite = 0.0
    logarithm: bool = False
    minimum: Finite | None = None
    maximum: Finite | None = None
    note: str = ""

    @model_validator(mode="after")
    def _one_kind_of_error(self) -> Self:
        if (self.lower is None) != (self.upper is None):
            raise ValueError("an interval needs lower and upper")
        if self.error is not None and self.lower is not None:
            raise ValueError("give an error or an interval, not both")
        if self.scale == 0:
            raise ValueError("scale is 0")
        return self

    @property
    def columns(self) -> tuple[Names, ...]:
        """All columns that it needs; only the first must be there."""
        return tuple(n for n in (self.column, self.error, self.lower, self.upper) if n is not None)


class Cut(Description):
    """A quality cut: one test of one column, and what is lost if it fails.

    Parameters
    ----------
    name, because : str
        It is counted under this name; and a sentence for the reader of the counts.
    column : str or tuple of str
    minimum, maximum : float, optional
        A value beyond them fails; a null fails a `minimum`.
    equals : tuple, optional
        A value that is none of these numbers or words fails.
    no_bit_of : tuple of int, optional
        A mask with one of these bits fails, and so does a null.
    characters : (int, int), optional
        First and last place, from 1, in a chain of digits ...
    largest : int
        ... none of which may be larger than this. Without a chain the cut fails.
    rejects : "star" or tuple of str
        The star, or the labels that count as not given.
    optional : bool
        It is passed over where the file lacks the column.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    because: Annotated[str, Field(min_length=1)]
    column: Names
    minimum: Finite | None = None
    maximum: Finite | None = None
    equals: tuple[Finite | str, ...] | None = None
    no_bit_of: tuple[Annotated[int, Field(ge=0, le=63)], ...] | None = None
    characters: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    largest: Annotated[int, Field(ge=0, le=9)] = 0
    rejects: str | tuple[LabelName, ...] = "star"
    optional: bool = False

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        ranged = self.minimum is not None or self.maximum is not None
        tests = (ranged, self.equals, self.no_bit_of, self.characters)
        if sum(bool(test) for test in tests) != 1:
            raise ValueError("give one test: minimum/maximum, equals, no_bit_of or characters")
        if isinstance(self.rejects, str) and self.rejects != "star":
            raise ValueError("`rejects` is `star` or a list of labels")
        return self

    @property
    def is_text(self) -> bool:
        """Whether the column is read as text."""
        words = any(isinstance(value, str) for value in self.equals or ())
        return self.characters is not None or words


class Polynomial(Description):
    """What is added to a label: a polynomial of a label as the table has it.

    Parameters
    ----------
    of : str
        That label, before any calibration.
    divided_by : float
        Its values are divided by this first.
    coefficients : tuple of float
        Of powers 0, 1, 2 ...
    minimum, maximum : float, optional
        Where it is valid; beyond, the label counts as not given.
    """

    of: LabelName
    divided_by: Finite = 1.0
    coefficients: Annotated[tuple[Finite, ...], Field(min_length=1, max_length=9)]
    minimum: Finite | None = None
    maximum: Finite | None = None


class Calibration(Description):
    """A published calibration of a table's labels, which is an option."""

    title: str
    cite: str
    labels: Annotated[dict[LabelName, Polynomial], Field(min_length=1)]


class OtherTable(Description):
    """A table that others made.

    Parameters
    ----------
    name, title : str
    cite : tuple of str
        What to cite.
    ids_of : tuple of str
        Releases to which its ids belong; empty if that is not known.
    source_id : str or tuple of str
        The column of Gaia ids; 0 and negative ones are none.
    files : tuple of str
        Where it lies in a folder: names of folders or patterns of files, the first found counts.
    pixels_in_names : int, optional
        File names end in the first and last HEALPix pixel, of this level, of the ids within: files
        where the catalogue has no star are passed over.
    hdu : int, optional
        FITS extension; the first table by default.
    null_values : tuple of float
        Numbers that stand for no value, in all columns.
    labels : dict of str to Value
        By our label.
    extinction : Value, optional
        In magnitudes, of whatever band.
    sig_to_noise : str or tuple of str, optional
        Of several rows of a star the one with the highest counts; else the first.
    cuts : tuple of Cut
        In order; a star is counted under the first that rejects it.
    calibrations : dict of str to Calibration
        By name.
    survey : str, optional
        A label survey's description: columns, cuts and nulls are its own.
    notes : tuple of str
        What a reader should know, sentences.
    to_be_checked : bool
        Names were taken from documentation alone, without a file at hand.
    checked : str
        Against what they were checked.
    told_by_columns : bool
        Whether a table is taken for this one if its columns are there; else it has to be named.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    title: Annotated[str, Field(min_length=1)]
    cite: tuple[str, ...] = ()
    ids_of: tuple[str, ...] = ()
    source_id: Names = "source_id"
    files: tuple[str, ...] = ()
    pixels_in_names: Annotated[int, Field(ge=0, le=12)] | None = None
    hdu: Annotated[int, Field(ge=1)] | None = None
    null_values: tuple[Finite, ...] = ()
    labels: dict[LabelName, Value] = Field(default_factory=dict)
    extinction: Value | None = None
    sig_to_noise: Names | None = None
    cuts: tuple[Cut, ...] = ()
    calibrations: dict[str, Calibration] = Field(default_factory=dict)
    survey: str | None = None
    notes: tuple[str, ...] = ()
    to_be_checked: bool = False
    checked: str = ""
    told_by_columns: bool = True

    @model_validator(mode="after")
    def _says_where_labels_are(self) -> Self:
        if bool(self.labels) == (self.survey is not None):
            raise ValueError("give labels, or the name of a survey that has them")
        for name, calibration in self.calibrations.items():
            needed = {*calibration.labels, *(p.of for p in calibration.labels.values())}
            if unknown := sorted(needed - set(self.labels)):
                raise ValueError(f"calibration {name} needs {', '.join(unknown)}: no such label")
        for pattern in self.files:
            place = PurePosixPath(pattern)
            if place.is_absolute() or ".." in place.parts or not place.parts:
                raise ValueError(f"files: {pattern!r} is no pattern of files in a folder")
        names = [cut.name for cut in self.cuts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"cuts with the same name: {twice}")
        return self

    def calibration(self, name: str | None) -> Calibration | None:
        """Return a calibration by its name.

        Raises
        ------
        ConfigError
            If there is none of that name.
        """
        if name is None:
            return None
        if name not in self.calibrations:
            known = ", ".join(self.calibrations) or "none"
            raise ConfigError(
                f"{self.title} has no calibration {name!r}.", f"Known of it: {known}."
            )
        return self.calibrations[name]


def load_mapping(name_or_path: str | Path) -> OtherTable:
    """Load a mapping by its name in ``schemas/comparisons`` or from a YAML file.

    Raises
    ------
    ConfigError
        If it is not there or not valid; the message names the key.
    """
    return load_description(OtherTable, FOLDER, name_or_path)


def first_there(names: Names | None, spelt: Mapping[str, str]) -> str | None:
    """Return the file's spelling of the first of some names that it has, by lower case."""
    if names is None:
        return None
    wanted = (names,) if isinstance(names, str) else names
    return next((spelt[name.lower()] for name in wanted if name.lower() in spelt), None)


def spellings(columns: Iterable[str]) -> dict[str, str]:
    """Return names as a file writes them, by lower case; the first counts."""
    found: dict[str, str] = {}
    for name in columns:
        found.setdefault(name.lower(), name)
    return found


def refuse_other_units(mapping: OtherTable, ours: Iterable[Label]) -> None:
    """Refuse a mapping of which a label, as it becomes ours, is in another unit.

    Raises
    ------
    ConfigError
    """
    for label in ours:
        value = mapping.labels.get(label.name)
        if value is None:
            continue
        meant = "dex" if label.in_dex and not label.unit else label.unit
        same = same_unit(value.unit, meant) or (label.in_dex and value.unit in {"", "dex"})
        if not same:
            raise ConfigError(
                f"{mapping.name}: labels.{label.name}.unit is {value.unit!r}, the catalogue's is"
                f" {meant!r}.",
                "Convert it with scale and offset, and give the unit that it has then.",
            )
