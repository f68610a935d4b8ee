"""The published contract: every column and every flag bit, declared once in ``schemas/``.

Everything that names a column (stores, FITS table, documentation, validation) is generated from
what is loaded here; nothing else in the package spells a unit or a UCD of a published column.

Units are strings that are valid in FITS and in VOUnit at once. Neither knows ``dex``: abundances
carry no unit and their description says dex. The logarithm of a gravity is ``log(cm.s**-2)``:
the function ``log``, the common logarithm, is in both standards (FITS 4.0, section 4.3; VOUnit 1.0,
section 2.9), and the Gaia archive writes the same. astropy knows the notation in neither format
(its own ``dex(cm.s**-2)`` is outside both standards); it keeps such a unit as an unrecognised one
and warns. We keep to the standards, and validate the argument of ``log`` with astropy;
:func:`catalog_builder.open_table` gives units that compute.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from catalog_builder.errors import ConfigError
from catalog_builder.flags.declared import (
    Declared,
    FlagBit,
    FlagSchema,
    Tier,
    load_declared,
    refuse_twice,
)
from catalog_builder.resources import schemas_dir

__all__ = [
    "LABELS",
    "MODALITIES",
    "CatalogSchema",
    "Column",
    "FlagBit",
    "FlagSchema",
    "Tier",
    "is_in_dex",
    "labels_of",
]

LABELS: Final = ("teff", "logg", "m_h", "alpha_m", "fe_h")
MODALITIES: Final = ("rvs", "xp", "photometry", "parallax")
_DTYPE: Final = re.compile(r"int64|uint8|float64|float32|bool|str[1-9][0-9]*")
_NULL_AND_FLAGGED: Final = (
    "A label is null where no answer could be given. One that is flagged has an answer, which is",
    "not to be used without thought: open_catalog(path, clean=True) makes null what a bit casts",
    "doubt on.",
)
_LOG: Final = re.compile(r"log\((.+)\)")


class Column(Declared):
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
    unit: str = ""
    ucd: str
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

    @field_validator("unit")
    @classmethod
    def _standard_unit(cls, value: str) -> str:
        import astropy.units as u

        logarithm = _LOG.fullmatch(value)
        for standard in ("fits", "vounit"):
            u.Unit(logarithm[1] if logarithm else value, format=standard)
        return value

    @field_validator("ucd")
    @classmethod
    def _controlled_ucd(cls, value: str) -> str:
        from astropy.io.votable.ucd import parse_ucd

        parse_ucd(value, check_controlled_vocabulary=True)
        return value

    @model_validator(mode="after")
    def _null_only_in_floats(self) -> Self:
        if self.null_meaning and not self.nullable:
            raise ValueError(f"{self.name}: a column of dtype {self.dtype} has no null")
        if self.derived != self.dtype.startswith("str"):
            raise ValueError(f"{self.name}: exactly the string columns are derived on export")
        return self

    @property
    def nullable(self) -> bool:
        """Whether the dtype has a null (NaN)."""
        return self.dtype.startswith("float")

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


def labels_of(name: str) -> tuple[str, ...]:
    """Return the labels that a column is about: a value, an uncertainty or a correlation of them.

    Parameters
    ----------
    name : str
        Name of a column.
    """
    return _LABELS_OF.get(name, ())


_LABELS_OF: Final = {
    **{
        name.format(label): (label,)
        for label in LABELS
        for name in ("{}", "e_{}", "e95_{}", "e_{}_aleatoric", "e_{}_epistemic")
    },
    **{f"corr_{one}_{other}": (one, other) for one, other in combinations(LABELS, 2)},
}


def is_in_dex(unit: str, ucd: str) -> bool:
    """Say whether a column is a logarithm or an abundance, for which no standard has a unit."""
    abundance = "phys.abund" in ucd and not ucd.startswith("stat.correlation")
    return bool(_LOG.fullmatch(unit)) or (abundance and not unit)


class Mismatch(NamedTuple):
    """A way in which a dataset differs from the schema; ``column`` is empty if it is not one."""

    column: str
    problem: str


class CatalogSchema(Declared):
    """The columns in their published order, with the bits of ``flags``."""

    version: str = Field(pattern=r"^[0-9]+\.[0-9]+$")
    all_columns: tuple[Column, ...] = Field(alias="columns")
    flags: FlagSchema

    @model_validator(mode="after")
    def _order(self) -> Self:
        names = [column.name for column in self.all_columns]
        refuse_twice(names)
        if names[0] != "source_id" or names[-1] != "flags":
            raise ValueError("source_id must be the first column and flags the last")
        return self

    @classmethod
    def load(cls, path: Path | None = None, flags: Path | None = None) -> CatalogSchema:
        """Read ``schemas/catalog.yaml`` and ``schemas/flags.yaml`` or the files given.

        Raises
        ------
        ConfigError
            Naming the file and the key that is wrong.
        """
        path = path or schemas_dir() / "catalog.yaml"
        return load_declared(cls, path, flags=FlagSchema.load(flags))

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the stored catalogue, in order; the derived ones are not stored."""
        return tuple(column for column in self.all_columns if not column.derived)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the stored columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def digest(self) -> str:
        """SHA-256 of all declarations, notes included."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def __getitem__(self, name: str) -> Column:
        for column in self.all_columns:
            if column.name == name:
                return column
        raise ConfigError(f"there is no column called {name!r}", "See `catalog-builder describe`.")

    def validate_dataset(self, dataset: Mapping[Any, Any]) -> list[Mismatch]:
        """Compare names, dtypes and attributes of a dataset with the declarations.

        Parameters
        ----------
        dataset : mapping of str to array
            An ``xarray.Dataset``, a zarr group's arrays, or alike: values have ``dtype`` and
            ``attrs``.

        Returns
        -------
        list of Mismatch
            Empty if the dataset is as declared.
        """
        names = {str(name) for name in dataset}
        found = [Mismatch(name, "missing") for name in self.names if name not in names]
        found += [Mismatch(name, "not in the schema") for name in sorted(names - {*self.names})]
        for column in self.columns:
            if column.name in names:
                found += _compare(column, dataset[column.name])
        return found

    def describe(self) -> str:
        """Return the whole schema in words, as ``catalog-builder describe`` prints it."""
        lines = [f"Catalogue schema {self.version}, {len(self.all_columns)} columns", ""]
        for column in self.all_columns:
            unit = f" [{column.unit}]" if column.unit else ""
            lines += [f"{column.name}{unit}  {column.dtype}  {column.ucd}"]
            lines += [f"    {column.description}"]
            lines += [f"    Null: {column.null_meaning}."] if column.null_meaning else []
            lines += [f"    {column.note}"] if column.note else []
        lines += ["", *_NULL_AND_FLAGGED]
        lines += ["", f"Bits of flags, version {self.flags.version}", ""]
        for bit in self.flags.bits:
            status = "" if bit.status == "active" else f" ({bit.status})"
            lines += [f"{bit.bit:2d}  {bit.name}{status}: {bit.sentence}"]
            lines += [f"    Casts doubt on {', '.join(bit.doubts)}."] if bit.doubts else []
        lines += ["", "Values of quality_tier: the first whose conditions a star meets", ""]
        for tier in self.flags.tiers:
            lines += [f" {tier.tier}  {tier.name}: {tier.sentence}"]
            lines += [f"      {words}" for words in tier.conditions()]
        return "\n".join(lines)


def _compare(column: Column, array: Any) -> list[Mismatch]:
    found = []
    if np.dtype(array.dtype) != column.numpy_dtype:
        found.append(Mismatch(column.name, f"dtype {array.dtype}, declared {column.dtype}"))
    for key, declared in column.attributes.items():
        if array.attrs.get(key) != declared:
            problem = f"{key} is {array.attrs.get(key)!r}, declared {declared!r}"
            found.append(Mismatch(column.name, problem))
    return found
