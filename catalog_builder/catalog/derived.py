"""Columns that exist only in exported tables: strings, computed from what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.flags.bits import training_range_string
from catalog_builder.ground.errors import ConfigError

Rows = Mapping[str, NDArray[Any]]


def _training_range(rows: Rows, schema: CatalogSchema) -> NDArray[Any]:
    return training_range_string(rows, schema.flags, schema.contract)


_DERIVATIONS: Final[Mapping[str, Callable[[Rows, CatalogSchema], NDArray[Any]]]] = {
    "training_range": _training_range,
}


def with_derived(rows: Rows, schema: CatalogSchema) -> dict[str, NDArray[Any]]:
    """Return all columns of the schema in order, the derived ones computed of the masks.

    Raises
    ------
    ConfigError
        If the schema declares a derived column for which there is no function.
    """
    complete: dict[str, NDArray[Any]] = {}
    for column in schema.all_columns:
        if not column.derived:
            complete[column.name] = rows[column.name]
        elif column.name in _DERIVATIONS:
            complete[column.name] = _DERIVATIONS[column.name](rows, schema)
        else:
            raise ConfigError(
                f"catalog.yaml: the derived column {column.name} has no derivation.",
                f"Known are: {', '.join(_DERIVATIONS)}.",
            )
    return complete
