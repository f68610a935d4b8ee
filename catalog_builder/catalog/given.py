"""Columns of what a user hands over: a Dataset or a QTable of a catalogue, or a part of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.ground.errors import CatalogueError


def given_columns(stars: Any, names: Sequence[str], purpose: str) -> dict[str, NDArray[Any]]:
    """Return columns as plain arrays.

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
        If one is not there.
    """
    there = set(getattr(stars, "colnames", None) or stars.variables)
    if missing := [name for name in names if name not in there]:
        raise CatalogueError(
            f"{purpose} has no column {' or '.join(missing)}.",
            "Open these columns too; older catalogues do not have all of them.",
        )
    return {name: _plain(stars[name]) for name in names}


def _plain(column: Any) -> NDArray[Any]:
    """Return the numbers of a column of either kind of table, masked ones as NaN."""
    values = getattr(column, "unmasked", column)
    return np.asarray(getattr(values, "value", values))
