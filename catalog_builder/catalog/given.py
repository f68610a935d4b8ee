"""Columns of what a user hands over: a Dataset or a QTable of a catalogue, or a part of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from catalog_builder.contract.columns import is_in_dex
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.labels.agreed import default_schema


def given_columns(stars: Any, names: Sequence[str], purpose: str) -> dict[str, NDArray[Any]]:
    """Return columns as plain arrays, in the units of a catalogue; NaN where a number is masked.

    Parameters
    ----------
    stars : xarray.Dataset or astropy.table.QTable
        The table.
    names : sequence of str
        Which columns.
    purpose : str
        What they are for, as in "What is to be drawn", for the error.

    Raises
    ------
    CatalogueError
        If one is not there, or is in a unit that cannot become the catalogue's.
    """
    there = set(getattr(stars, "colnames", None) or stars.variables)
    if missing := [name for name in names if name not in there]:
        raise CatalogueError(
            f"{purpose} has no column {' or '.join(missing)}.",
            "Open these columns too; older catalogues do not have all of them.",
        )
    return {name: _plain(stars[name], name, purpose) for name in names}


def _plain(column: Any, name: str, purpose: str) -> NDArray[Any]:
    """Return the numbers of a column of either kind of table."""
    hidden = np.asarray(getattr(column, "mask", False))
    found = _in_our_unit(getattr(column, "unmasked", column), column, name, purpose)
    values = np.asarray(getattr(found, "value", found))
    if not hidden.any():
        return values
    # Numbers that can be no NaN become such as can.
    kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    return np.where(hidden, np.array(np.nan, kind), values).astype(kind, copy=False)


def _in_our_unit(values: Any, column: Any, name: str, purpose: str) -> Any:
    """Convert what is in another unit than the catalogue's column of that name."""
    ours = {one.name: one.unit for one in default_schema().all_columns}.get(name, "")
    theirs = getattr(column, "unit", None) or getattr(column, "attrs", {}).get("units")
    if not ours or not theirs or str(theirs) == ours or is_in_dex(ours, ""):
        return values
    try:
        meant, given = u.Unit(ours, format="fits"), u.Unit(theirs)
        return values if given == meant else u.Quantity(np.asarray(values), given).to(meant)
    except (ValueError, TypeError) as error:  # astropy's own are of these kinds
        raise CatalogueError(
            f"{purpose} has {name} in {theirs}, which is no unit of {ours}.",
            f"Give it in {ours}.",
        ) from error
