"""A catalogue as an astropy table: quantities with units, descriptions and UCDs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, QTable
from numpy.typing import NDArray

from catalog_builder.catalog.clean import without_doubtful
from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.dex import DexQuantity
from catalog_builder.catalog.exports.fits import DAMAGE, quiet
from catalog_builder.catalog.fits_table import EXTENSION
from catalog_builder.catalog.open import open_catalog, schema_in, schema_of
from catalog_builder.contract.schema import CatalogSchema, is_in_dex
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.labels.agreed import default_schema

if TYPE_CHECKING:
    import xarray as xr

#: Cards of a primary header that say nothing about the catalogue.
_OF_THE_FORMAT: Final = frozenset(
    {"SIMPLE", "BITPIX", "NAXIS", "EXTEND", "CHECKSUM", "DATASUM", "COMMENT", "HISTORY", ""}
)


def open_table(
    path: str | Path, columns: Sequence[str] | None = None, *, clean: bool = False
) -> QTable:
    """Read a catalogue as an astropy QTable.

    Parameters
    ----------
    path : str or Path
        What :func:`catalog_builder.open_catalog` takes, or the file ``catalog.fits``.
    columns : sequence of str, optional
        Those to read, in this order; all of them by default. They are held in memory.
    clean : bool
        Make null what a flag casts doubt on, as :func:`catalog_builder.open_catalog` does.

    Returns
    -------
    astropy.table.QTable
        Columns with a unit are quantities. Those in dex (log g, abundances, their uncertainties)
        take numbers for dex: ``t["logg"] > 3.5``, ``10 ** t["logg"]`` and differences give what
        is written (:class:`catalog_builder.catalog.dex.DexQuantity`). Each column's ``info`` has
        its description, and in ``info.meta`` the ``ucd`` and ``null_meaning``; the table's
        ``meta`` says which catalogue it is. A null is NaN.

    Raises
    ------
    CatalogueError
        If there is no catalogue, a column is not one of its, or what is read is damaged.

    Examples
    --------
    >>> table = open_table("workdir/catalogs/dr3", ["logg", "e_logg"])  # doctest: +SKIP
    >>> giants = table[table["logg"] < 3.5]  # doctest: +SKIP
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".fits":
        dataset, schema = _from_fits(path), schema_in(path.parent) or default_schema()
    else:
        dataset, schema = open_catalog(path), schema_of(path)
    derived = [c.name for c in schema.all_columns if c.derived and c.name not in dataset]
    order = [c.name for c in schema.all_columns if c.name in dataset or c.name in derived]
    # A FITS file alone may have labels that today's schema does not.
    order += [str(name) for name in dataset if name not in order]
    wanted = order if columns is None else list(columns)
    if unknown := [name for name in wanted if name not in order]:
        raise CatalogueError(
            f"{path} has no column {', '.join(unknown)}.", f"It has: {', '.join(order)}."
        )
    if clean:
        dataset = without_doubtful(dataset, schema)
    stored = [name for name in wanted if name in dataset]
    values = {name: dataset[name].values for name in stored}
    facts = {name: dataset[name].attrs for name in stored}
    if made := set(wanted) & set(derived):
        values |= _derived(dataset, schema, made)
        facts |= {name: schema[name].attributes for name in made}
    table = described({name: values[name] for name in wanted}, facts)
    table.meta.update({name: v for name, v in dataset.attrs.items() if name != "columns"})
    return table


def described(values: Mapping[str, NDArray[Any]], facts: Mapping[str, Mapping[str, str]]) -> QTable:
    """Return columns as a table, with their units, descriptions, UCDs and what a null means.

    Parameters
    ----------
    values : mapping of str to ndarray
        By column.
    facts : mapping of str to mapping of str to str
        Attributes of each column (``units``, ``description`` and so on).
    """
    table = QTable({name: _column(column, facts[name]) for name, column in values.items()})
    for name in values:
        table[name].info.description = facts[name].get("description", "")
        meta = {key: facts[name][key] for key in ("ucd", "null_meaning") if facts[name].get(key)}
        table[name].info.meta = meta
    return table


def _from_fits(path: Path) -> xr.Dataset:
    """Read the table of a FITS export, described as a catalogue's store is."""
    import xarray as xr

    try:
        with quiet(), fits.open(path, memmap=False) as hdus:
            header, data = hdus[EXTENSION].header, hdus[EXTENSION].data
            columns = {
                header[f"TTYPE{n}"]: (
                    "source",
                    np.asarray(data.field(n - 1)),
                    {
                        "units": header.get(f"TUNIT{n}", ""),
                        "ucd": header.get(f"TUCD{n}", ""),
                        "description": header.get(f"TCOMM{n}", ""),
                    },
                )
                for n in range(1, header["TFIELDS"] + 1)
            }
            provenance = {k: v for k, v in hdus[0].header.items() if k not in _OF_THE_FORMAT}
    except DAMAGE as error:
        raise CatalogueError(
            f"{path} cannot be read as the table of a catalogue: {error}.",
            "See `catalog-builder validate`, and restore the catalogue from a copy.",
        ) from error
    return xr.Dataset(columns, attrs=provenance)


def _derived(dataset: xr.Dataset, schema: CatalogSchema, names: set[str]) -> dict[str, Any]:
    wanted = tuple(column for column in schema.all_columns if column.name in names)
    only = schema.model_copy(update={"all_columns": wanted})
    return with_derived({name: dataset[name].values for name in schema.flags.columns}, only)


def _column(values: NDArray[Any], facts: Mapping[str, str]) -> Column | u.Quantity:
    if values.dtype.kind == "S":
        values = values.astype(str)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if is_in_dex(facts.get("units", ""), facts.get("ucd", "")):
        return DexQuantity(values, copy=False)
    if unit := facts.get("units"):
        return u.Quantity(values, u.Unit(unit, format="fits"), copy=False)
    return Column(values, copy=False)
