"""A published column: its declaration, and the names that labels give to theirs."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, NamedTuple, Protocol, Self

import numpy as np
from pydantic import AfterValidator, Field, field_validator, model_validator

from catalog_builder.contract.description import Description

_DTYPE: Final = re.compile(r"int64|uint8|float64|float32|bool|str[1-9][0-9]*")
_LOG: Final = re.compile(r"log\((.+)\)")


def standard_unit(value: str) -> str:
    """Return the unit, or the logarithm of one, if both FITS and VOUnit write it so.

    Raises
    ------
    ValueError
        If one of them does not.
    """
    import astropy.units as u

    logarithm = _LOG.fullmatch(value)
    for standard in ("fits", "vounit"):
        try:
            u.Unit(logarithm[1] if logarithm else value, format=standard)
        except ValueError as error:
            # Astropy's own text goes on about custom units.
            reason = str(error).split("If this is meant")[0].strip().rstrip(".")
            raise ValueError(f"{value!r} is no unit of both FITS and VOUnit: {reason}") from error
    return value


def controlled_ucd(value: str) -> str:
    """Return the UCD1+ if it is one of controlled words.

    Raises
    ------
    ValueError
        If it is none.
    """
    from astropy.io.votable.ucd import parse_ucd

    parse_ucd(value, check_controlled_vocabulary=True)
    return value


class Column(Description):
    """One published column.

    Attributes
    ----------
    name : str
        Lower-case name, the same in every format.
    dtype : str
        ``int64``, ``uint8``, ``float64``, ``float32``, ``bool`` or ``strN`` (N ASCII characters).
    unit : str
        FITS and VOUnit string, empty if dimensionless.
    ucd : str
        UCD1+ of controlled words.
    description : str
        Meaning; its first sentence is the title.
    null_meaning : str
        When the value is NaN; empty if it never is.
    derived : bool
        True if the column exists only in exported tables, computed from other columns.
    note : str
        Wording that may change after a release; everything else may not.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    dtype: str
    unit: Annotated[str, AfterValidator(standard_unit)] = ""
    ucd: Annotated[str, AfterValidator(controlled_ucd)]
    description: str
    null_meaning: str = ""
    derived: bool = False
    note: str = ""

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, value: str) -> str:
        if not _DTYPE.fullmatch(value):
            raise ValueError(f"{value!r} is not int64, uint8, float64, float32, bool or strN")
        return value

    @field_validator("description")
    @classmethod
    def _fits_in_cards(cls, value: str) -> str:
        if not value.isascii():
            raise ValueError(f"{value!r} is not ASCII, and a FITS header holds nothing else")
        return value

    @model_validator(mode="after")
    def _null_only_in_floats(self) -> Self:
        if self.null_meaning and not self.nullable:
            raise ValueError(f"{self.name}: a column of dtype {self.dtype} has no null")
        if self.derived and not self.is_text:
            raise ValueError(f"{self.name}: only string columns are derived on export")
        return self

    @property
    def nullable(self) -> bool:
        """Whether the dtype has a null (NaN)."""
        return self.dtype.startswith("float")

    @property
    def is_text(self) -> bool:
        """Whether it is text, whose null is empty."""
        return self.dtype.startswith("str")

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """Native NumPy dtype; ``strN`` becomes ``SN``."""
        return np.dtype(self.dtype.replace("str", "S"))

    @property
    def title(self) -> str:
        """First sentence of the description, without its full stop."""
        return self.description.split(". ", maxsplit=1)[0].rstrip(".")

    @property
    def attributes(self) -> dict[str, str]:
        """CF-style attributes of the stored array; ``units`` is empty if dimensionless."""
        attributes = {
            "units": self.unit,
            "long_name": self.title,
            "description": self.description,
            "ucd": self.ucd,
        }
        if self.null_meaning:
            attributes["null_meaning"] = self.null_meaning
        return attributes


class Declared(Protocol):
    """A table whose columns are declared: a catalogue, or a table beside one."""

    @property
    def version(self) -> str:
        """Version of the declarations."""
        ...

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """Every column, in order."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that a zarr store has."""
        ...

    @property
    def digest(self) -> str:
        """Of all declarations."""
        ...


def label_columns(label: str) -> tuple[str, str, str, str, str]:
    """Return the columns of a label: value, sigma, 95 % half width, and both parts of sigma."""
    sigma = f"e_{label}"
    return label, sigma, f"e95_{label}", f"{sigma}_aleatoric", f"{sigma}_epistemic"


def correlation_column(one: str, other: str) -> str:
    """Return the column of the correlation of two labels, in the order of the catalogue."""
    return f"corr_{one}_{other}"


def is_in_dex(unit: str, ucd: str) -> bool:
    """Say whether a column is a logarithm or an abundance, for which no standard has a unit."""
    abundance = "phys.abund" in ucd and not ucd.startswith("stat.correlation")
    return bool(_LOG.fullmatch(unit)) or (abundance and not unit)


class Mismatch(NamedTuple):
    """A way in which a dataset differs from the schema; ``column`` is empty if it is not one."""

    column: str
    problem: str


def differences(column: Column, array: Any) -> list[Mismatch]:
    """Return in what an array (with ``dtype`` and ``attrs``) differs from its declaration."""
    found = []
    # Of text a store has the bytes, in a second dimension.
    of_bytes = column.is_text and array.ndim > 1 and array.dtype == np.uint8
    stored = f"S{array.shape[-1]}" if of_bytes else array.dtype
    if np.dtype(stored) != column.numpy_dtype:
        found.append(Mismatch(column.name, f"dtype {array.dtype}, declared {column.dtype}"))
    for key, declared in column.attributes.items():
        if array.attrs.get(key) != declared:
            problem = f"{key} is {array.attrs.get(key)!r}, declared {declared!r}"
            found.append(Mismatch(column.name, problem))
    return found
