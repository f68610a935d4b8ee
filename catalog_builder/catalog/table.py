"""A catalogue as an astropy table: quantities with units, descriptions and UCDs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable
from astropy.utils.masked import Masked
from numpy.typing import NDArray

from catalog_builder.catalog.beside import Beside
from catalog_builder.catalog.cf import MASKS, MEANINGS, VALUES, with_codes
from catalog_builder.catalog.clean import without_doubtful
from catalog_builder.catalog.dex import DexQuantity
from catalog_builder.catalog.exports.fits import DAMAGE, quiet
from catalog_builder.catalog.fits_table import EXTENSION
from catalog_builder.catalog.layout import find_catalogue
from catalog_builder.catalog.open import open_catalog, schema_in, schema_of
from catalog_builder.catalog.selected import complete, no_column, refuse_text, row_range
from catalog_builder.catalog.where import parse_where
from catalog_builder.catalog.zarr_store import DIMENSION
from catalog_builder.contract.schema import CatalogSchema, is_in_dex
from catalog_builder.ground.errors import CatalogueError, ConfigError
from catalog_builder.labels.agreed import default_schema

if TYPE_CHECKING:
    import xarray as xr

#: Cards of a primary header that say nothing about the catalogue.
_OF_THE_FORMAT: Final = frozenset(
    {"SIMPLE", "BITPIX", "NAXIS", "EXTEND", "CHECKSUM", "DATASUM", "COMMENT", "HISTORY", ""}
)

#: Attributes of a store that are about itself.
_OF_THE_STORE: Final = frozenset({"columns", "coordinates"})
#: What a column's ``info.meta`` says of it.
_SAID: Final = ("ucd", "null_meaning", MASKS, VALUES, MEANINGS)


def open_table(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    where: str | None = None,
    rows: slice | tuple[int, int] | None = None,
    clean: bool = False,
    masked: bool = False,
    table: str | None = None,
) -> QTable:
    """Read a catalogue, or a table beside it, as an astropy QTable.

    Parameters
    ----------
    path : str or Path
        What :func:`catalog_builder.open_catalog` takes, or the file ``catalog.fits``.
    columns : sequence of str, optional
        Those to read, in this order; all of them by default. They are held in memory.
    where : str, optional
        Only the rows that meet a condition on columns, flags and tiers, as in
        ``quality_tier <= 2 and not rvs_xp_conflict and teff > 4000``; it may ask for other columns
        (`catalog_builder.catalog.where.parse_where` has the rules).
    rows : slice or (int, int), optional
        Only these, from the first to the one before the last; of them, those that meet `where`.
    clean : bool
        Make null what a flag casts doubt on, as :func:`catalog_builder.open_catalog` does; `where`
        sees these nulls.
    masked : bool
        Mask nulls, in columns that have any. Otherwise a null is NaN.
    table : str, optional
        A table beside the catalogue in place of its own: ``parameters``, ``identifiers`` or
        ``training_labels``, as far as there are any. `where` is still a condition on the
        catalogue, so that the two tables of the same condition go together row by row.

    Returns
    -------
    astropy.table.QTable
        Columns with a unit are quantities. Those in dex (log g, abundances, their uncertainties)
        take numbers for dex: ``t["logg"] > 3.5``, ``10 ** t["logg"]`` and differences give what
        is written (:class:`catalog_builder.catalog.dex.DexQuantity`). Each column's ``info`` has
        its description, and in ``info.meta`` the ``ucd`` and ``null_meaning``, of ``flags`` what
        its bits are called (:func:`catalog_builder.has_flag`); the table's ``meta`` says which
        catalogue it is.

    Raises
    ------
    CatalogueError
        If there is no catalogue or table, a column is not one of its, or what is read is damaged.
    ConfigError
        If the condition cannot be used, `columns` is a text and not a list, or what is asked of
        the catalogue's own table is asked of another one.

    Examples
    --------
    >>> table = open_table("workdir/catalogs/dr3", ["logg", "e_logg"])  # doctest: +SKIP
    >>> giants = table[table["logg"] < 3.5]  # doctest: +SKIP
    >>> gold = open_table("workdir/catalogs/dr3", ["teff"], where="gold")  # doctest: +SKIP
    >>> theirs = open_table("workdir/catalogs/dr3", table="parameters")  # doctest: +SKIP
    """
    path = Path(path)
    if table is not None:
        if clean:
            raise ConfigError(
                "clean goes with the labels of the catalogue itself.", "Leave it out."
            )
        return _beside(Beside(find_catalogue(path), table), path, columns, where, rows, masked)
    if path.is_file() and path.suffix == ".fits":
        dataset, schema = _from_fits(path), schema_in(path.parent) or default_schema()
        dataset = with_codes(dataset, schema)
    else:
        dataset, schema = open_catalog(path), schema_of(path)
    derived = [c.name for c in schema.all_columns if c.derived and c.name not in dataset]
    order = [c.name for c in schema.all_columns if c.name in dataset or c.name in derived]
    # A FITS file alone may have labels that today's schema does not.
    order += [str(name) for name in dataset if name not in order]
    refuse_text(columns or [])
    wanted = order if columns is None else list(columns)
    if unknown := [name for name in wanted if name not in order]:
        raise no_column(unknown, order)
    if rows is not None:
        (count,) = dataset.sizes.values()
        dataset = dataset.isel({DIMENSION: slice(*row_range(rows, count))})
    if clean:
        dataset = without_doubtful(dataset, schema)
    kept = slice(None) if where is None else _meeting(dataset, schema, where)
    stored = [name for name in wanted if name in dataset]
    values = {name: dataset[name].values[kept] for name in stored}
    facts = {name: dataset[name].attrs for name in stored}
    if made := set(wanted) & set(derived):
        values |= _derived(dataset, schema, made, kept)
        facts |= {name: schema[name].attributes for name in made}
    made_of = described({name: values[name] for name in wanted}, facts, masked=masked)
    made_of.meta.update({n: v for n, v in dataset.attrs.items() if n not in _OF_THE_STORE})
    return made_of


def _beside(
    beside: Beside,
    path: Path,
    columns: Sequence[str] | None,
    where: str | None,
    rows: slice | tuple[int, int] | None,
    masked: bool,
) -> QTable:
    start, stop = row_range(rows, beside.rows)
    kept: slice | NDArray[np.bool_] = slice(None)
    if where is not None:
        beside.refuse_unless_by_rows()
        dataset = open_catalog(path).isel({DIMENSION: slice(start, stop)})
        kept = _meeting(dataset, schema_of(path), where)
    wanted = beside.columns(columns)
    values = beside.read(wanted, start, stop)
    facts = {column.name: column.attributes for column in wanted}
    found = described({name: v[kept] for name, v in values.items()}, facts, masked=masked)
    found.meta.update({n: v for n, v in beside.attributes().items() if n not in _OF_THE_STORE})
    return found


def described(
    values: Mapping[str, NDArray[Any]],
    facts: Mapping[str, Mapping[str, Any]],
    *,
    masked: bool = False,
) -> QTable:
    """Return columns as a table, with their units, descriptions, UCDs and what a null means.

    Parameters
    ----------
    values : mapping of str to ndarray
        By column.
    facts : mapping of str to mapping of str to str
        Attributes of each column (``units``, ``description`` and so on).
    masked : bool
        Mask nulls, in columns that have any.
    """
    table = QTable({name: _column(column, facts[name], masked) for name, column in values.items()})
    for name in values:
        table[name].info.description = facts[name].get("description", "")
        table[name].info.meta = {k: facts[name][k] for k in _SAID if facts[name].get(k)}
    return table


def _meeting(dataset: xr.Dataset, schema: CatalogSchema, where: str) -> NDArray[np.bool_]:
    """Tell which rows of a dataset meet a condition."""
    condition = parse_where(where, schema)
    asked = condition.columns or schema.flags.columns[:1]
    needed = [c for n in asked for c in (schema.flags.columns if schema[n].derived else (n,))]
    if absent := [name for name in needed if name not in dataset]:
        raise no_column(absent, [str(name) for name in dataset.variables])
    rows = {name: dataset[name].values for name in dict.fromkeys(needed)}
    return condition(complete(rows, schema, asked))


def _from_fits(path: Path) -> xr.Dataset:
    """Read the table of a FITS export, described as a catalogue's store is."""
    import xarray as xr

    try:
        with quiet(), fits.open(path, memmap=False) as hdus:
            header, data = hdus[EXTENSION].header, hdus[EXTENSION].data
            columns = {
                header[f"TTYPE{n}"]: (
                    DIMENSION,
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


def _derived(
    dataset: xr.Dataset,
    schema: CatalogSchema,
    names: set[str],
    kept: slice | NDArray[np.bool_],
) -> dict[str, Any]:
    masks = {name: dataset[name].values[kept] for name in schema.flags.columns}
    return complete(masks, schema, names)


def _column(values: NDArray[Any], facts: Mapping[str, Any], masked: bool) -> Column | u.Quantity:
    if values.dtype.kind == "S":
        values = values.astype(str)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    nulls = np.isnan(values) if masked and values.dtype.kind == "f" else np.zeros(0, dtype=bool)
    if is_in_dex(facts.get("units", ""), facts.get("ucd", "")):
        quantity = DexQuantity(values, copy=False)
    elif unit := facts.get("units"):
        quantity = u.Quantity(values, u.Unit(unit, format="fits"), copy=False)
    elif nulls.any():
        return MaskedColumn(values, mask=nulls, copy=False)
    else:
        return Column(values, copy=False)
    return Masked(quantity, mask=nulls) if nulls.any() else quantity
