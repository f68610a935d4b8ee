"""Flags by name, of whatever holds a catalogue's masks: a Dataset, a table, one of their columns.

What the bits are called lies beside them (CF's ``flag_masks`` and ``flag_meanings``), so that
neither the catalogue's folder nor today's declarations are needed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog_builder.catalog.cf import MASKS, codes_in
from catalog_builder.catalog.open import open_catalog, schema_of
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.flags.bits import training_range_string
from catalog_builder.ground.errors import CatalogueError, ConfigError

if TYPE_CHECKING:
    import xarray as xr


def flag_names(catalogue: Any) -> tuple[str, ...]:
    """Return the names of a catalogue's flags, in order of their bits.

    Parameters
    ----------
    catalogue : path, xarray.Dataset, DataArray, astropy Table or Column
        What :func:`catalog_builder.open_catalog` takes, or what it or `open_table` returned, or
        its column ``flags``.

    Examples
    --------
    >>> flag_names("workdir/catalogs/dr3")  # doctest: +SKIP
    ('rvs_used', 'xp_used', 'photometry_used', 'parallax_used', ...
    """
    if isinstance(catalogue, str | Path):
        schema = schema_of(catalogue)
        return tuple(bit.name for bit in schema.flags.bits)
    return tuple(name for mask in _masks_in(catalogue) for name in codes_in(_attributes(mask)))


def has_flag(flags: Any, *names: str) -> Any:
    """Tell which stars carry a flag, or any of several.

    Parameters
    ----------
    flags : xarray.DataArray or Dataset, astropy Column or Table
        The column ``flags``, or the whole: then a flag is found in whichever mask has it.
    *names : str
        Of flags, as `flag_names` returns them.

    Returns
    -------
    xarray.DataArray or ndarray of bool
        Lazy if the masks are.

    Raises
    ------
    ConfigError
        If there is no such flag; the message says what is near.
    CatalogueError
        If nothing says what the bits are called.

    Examples
    --------
    >>> stars = open_catalog("workdir/catalogs/dr3")  # doctest: +SKIP
    >>> hot = stars.where(has_flag(stars, "teff_outside_range"))  # doctest: +SKIP
    """
    if not names:
        raise ConfigError("No flag is named.", "Give one at least; flag_names() lists them.")
    known: dict[str, tuple[Any, int]] = {}
    for mask in _masks_in(flags):
        known |= {name: (mask, bit) for name, bit in codes_in(_attributes(mask)).items()}
    found: Any = None
    for name in names:
        if name not in known:
            raise _no_flag(name, known)
        mask, bit = known[name]
        carried = (_values(mask) & bit) != 0
        found = carried if found is None else found | carried
    return found


def flags_table(catalogue: xr.Dataset | str | Path) -> xr.Dataset:
    """Return the flags as booleans: a variable for each, in order of their bits.

    Nothing is computed before it is used.

    Parameters
    ----------
    catalogue : xarray.Dataset, str or Path
        A catalogue, opened or where it lies.

    Raises
    ------
    CatalogueError
        If there is no catalogue, or nothing says what its bits are called.
    """
    import xarray as xr

    dataset = open_catalog(catalogue) if isinstance(catalogue, str | Path) else catalogue
    return xr.Dataset({name: has_flag(dataset, name) for name in flag_names(dataset)})


def boundary_string(
    catalogue: xr.Dataset | str | Path, schema: CatalogSchema | None = None
) -> xr.DataArray:
    """Return a digit for each label, the magnitude and the parallax, per star.

    0 is inside the range of the training sample, 1 outside, 9 nothing to test: after Guiglion et
    al. 2024, A&A 682, A9. It is the column ``training_range`` of the exported tables.

    Parameters
    ----------
    catalogue : xarray.Dataset, str or Path
        A catalogue, opened or where it lies.
    schema : CatalogSchema, optional
        Of an opened one (`catalog_builder.catalog.open.schema_of`): which digits there are.

    Returns
    -------
    xarray.DataArray of str
        In memory.

    Raises
    ------
    ConfigError
        If a Dataset is given without its schema.
    """
    import xarray as xr

    if isinstance(catalogue, str | Path):
        schema, catalogue = schema_of(catalogue), open_catalog(catalogue)
    if schema is None:
        raise ConfigError(
            "Nothing says which labels the digits are about.",
            "Give the catalogue's path, or its schema: schema_of(path).",
        )
    masks = {name: np.asarray(catalogue[name].values) for name in schema.flags.columns}
    digits = training_range_string(masks, schema.flags, schema.contract).astype(np.str_)
    first = catalogue[schema.flags.columns[0]]
    return xr.DataArray(digits, first.coords, first.dims, "training_range")


def _masks_in(flags: Any) -> list[Any]:
    """Return the columns that say they are masks: of a table, or the one given."""
    columns = list(_columns_of(flags))
    if found := [column for column in columns if MASKS in _attributes(column)]:
        return found
    raise CatalogueError(
        "Nothing says what the bits of these flags are called.",
        "Give what open_catalog or open_table returned, or its column flags unchanged.",
    )


def _columns_of(flags: Any) -> Iterator[Any]:
    if hasattr(flags, "data_vars"):
        yield from (flags[name] for name in flags.variables)
    elif hasattr(flags, "colnames"):
        yield from (flags[name] for name in flags.colnames)
    else:
        yield flags


def _attributes(column: Any) -> Mapping[Any, Any]:
    """Return what a column says of itself: attributes in xarray, ``info.meta`` in astropy."""
    if hasattr(column, "attrs"):
        return dict(column.attrs)
    info = getattr(column, "info", None)
    return dict(getattr(info, "meta", None) or {})


def _values(column: Any) -> Any:
    return column if hasattr(column, "attrs") else np.asarray(column)


def _no_flag(name: str, known: Mapping[str, Any]) -> ConfigError:
    near = difflib.get_close_matches(name, list(known), n=3)
    return ConfigError(
        f"There is no flag {name!r}.",
        f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}.",
    )
