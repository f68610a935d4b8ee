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
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Final, Self

from pydantic import (
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from catalog_builder.contract.columns import (
    Column,
    Mismatch,
    correlation_column,
    differences,
    is_in_dex,
    label_columns,
)
from catalog_builder.contract.contract import Contract
from catalog_builder.contract.description import Description, load_description
from catalog_builder.contract.flags import WORD_BITS, FlagSchema
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.labels import Labels, refuse_twice
from catalog_builder.contract.places import Thing
from catalog_builder.contract.templates import (
    Filler,
    Words,
    named_as,
    refuse_shared,
    validated,
)
from catalog_builder.ground.digests import in_order
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir

__all__ = ["CatalogSchema", "Column", "correlation_column", "is_in_dex", "label_columns"]

#: Columns that say what a star was used for in training.
TRAINING: Final = ("in_training_sample", "training_split")
#: Column that says how much of an answer is the training population's.
PRIOR_SHARE: Final = "prior_share"
_NULL_AND_FLAGGED: Final = (
    "A label is null where no answer could be given. One that is flagged has an answer, which is",
    "not to be used without thought: open_catalog(path, clean=True) makes null what a bit casts",
    "doubt on.",
)


class _Templates(Description):
    """The content of ``schemas/catalog.yaml``."""

    version: str
    words: dict[str, Words] = Field(default_factory=dict)
    columns: tuple[dict[str, Any], ...]


class CatalogSchema(Description):
    """The columns of a catalogue in their published order, its bits, and what it is about.

    Attributes
    ----------
    version : str
        Of the declarations.
    all_columns : tuple of Column
        In files, ``columns``.
    flags : FlagSchema
        Bits and tiers.
    said_contract : Contract, optional
        Labels and inputs; in files, ``contract``. Catalogues of version 0.1 do not say.
    """

    version: str = Field(pattern=r"^[0-9]+\.[0-9]+$")
    all_columns: tuple[Column, ...] = Field(alias="columns")
    flags: FlagSchema
    said_contract: Contract | None = Field(None, alias="contract")
    _fallback: Contract | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _order(self) -> Self:
        names = [column.name for column in self.all_columns]
        refuse_twice(names)
        masks = self.flags.columns
        if names[0] != "source_id" or tuple(names[-len(masks) :]) != masks:
            raise ValueError(f"source_id must be the first column and {', '.join(masks)} the last")
        for column in self.all_columns:
            if column.derived != column.dtype.startswith("str"):
                raise ValueError(f"{column.name}: exactly the string columns are derived on export")
        return self

    @model_serializer(mode="wrap")
    def _as_before_there_was_a_contract(
        self, serialise: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        """Leave out what earlier catalogues do not have, so that their digests stay theirs."""
        content: dict[str, Any] = serialise(self)
        if self.said_contract is None:
            content = {k: v for k, v in content.items() if k not in {"said_contract", "contract"}}
        return content

    @classmethod
    def of(
        cls, contract: Contract, path: Path | None = None, flags: Path | None = None
    ) -> CatalogSchema:
        """Return the columns and bits of a contract: templates filled with its labels and inputs.

        Parameters
        ----------
        contract : Contract
        path, flags : Path, optional
            Other files than ``schemas/catalog.yaml`` and ``schemas/flags.yaml``.

        Raises
        ------
        ConfigError
            Naming the file and the key that is wrong, or does not go with the contract.
        """
        path = path or schemas_dir() / "catalog.yaml"
        bits = FlagSchema.of(contract, flags)
        templates = load_description(_Templates, "", path)
        with named_as(path):
            filler = Filler(contract, templates.words, {"further_mask": _further_masks(bits)})
            entries = list(filler.entries(templates.columns, "columns"))
            refuse_shared("column", entries)
            columns = [entry.content for entry in entries]
            content: dict[str, Any] = {"version": templates.version, "columns": columns}
            content |= {"flags": bits, "contract": contract}
            return validated(cls, content, {"columns": [entry.owner for entry in entries]})

    def or_else(self, contract: Contract) -> CatalogSchema:
        """Return the schema with a contract to go by where it says none itself."""
        filled = self.model_copy()
        filled._fallback = contract
        return filled

    @property
    def contract(self) -> Contract:
        """What the catalogue is about.

        Raises
        ------
        ConfigError
            If neither it nor `or_else` says so.
        """
        found = self.said_contract or self._fallback
        if found is None:
            raise ConfigError(
                "the schema does not say its labels and inputs.",
                "It is of version 0.1: read it with catalog_builder.open_catalog.",
            )
        return found

    @property
    def labels(self) -> Labels:
        """Its labels, in order."""
        return self.contract.labels

    @property
    def inputs(self) -> Inputs:
        """What its model could see."""
        return self.contract.inputs

    def labels_of(self, name: str) -> tuple[str, ...]:
        """Return the labels that a column is about: their value, uncertainty or correlation.

        Parameters
        ----------
        name : str
            Name of a column.
        """
        for label in self.labels.names:
            if name in label_columns(label):
                return (label,)
        pairs = combinations(self.labels.names, 2)
        return next((pair for pair in pairs if name == correlation_column(*pair)), ())

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
        content = self.model_dump(mode="json")
        if self.said_contract is not None:
            content["said_contract"] = in_order(content["said_contract"])
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
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
            An ``xarray.Dataset``, a zarr group's arrays, or the like: values have ``dtype`` and
            ``attrs``.

        Returns
        -------
        list of Mismatch
            Empty if the dataset is as declared.
        """
        # Coordinates of a Dataset are columns too, but not among what it iterates over.
        names = {str(name) for name in getattr(dataset, "variables", dataset)}
        found = [Mismatch(name, "missing") for name in self.names if name not in names]
        found += [Mismatch(name, "not in the schema") for name in sorted(names - {*self.names})]
        for column in self.columns:
            if column.name in names:
                found += differences(column, dataset[column.name])
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
        masks = " and ".join(self.flags.columns)
        lines += ["", f"Bits of {masks}, version {self.flags.version}", ""]
        for bit in self.flags.bits:
            status = "" if bit.status == "active" else f" ({bit.status})"
            lines += [f"{bit.bit:2d}  {bit.name}{status}: {bit.sentence}"]
            lines += [f"    Casts doubt on {', '.join(bit.doubts)}."] if bit.doubts else []
        lines += ["", "Values of quality_tier: the first whose conditions a star meets", ""]
        for tier in self.flags.tiers:
            lines += [f" {tier.tier}  {tier.name}: {tier.sentence}"]
            lines += [f"      {words}" for words in tier.conditions()]
        return "\n".join(lines)


def _further_masks(flags: FlagSchema) -> list[Thing]:
    return [
        Thing(name, {"mask.name": name, "mask.first": str(word * WORD_BITS)})
        for word, name in enumerate(flags.columns)
        if word > 0
    ]
