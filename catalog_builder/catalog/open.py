"""Opening a sealed catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from catalog_builder.catalog.cf import IDENTIFIER, with_codes
from catalog_builder.catalog.clean import without_doubtful
from catalog_builder.catalog.layout import SCHEMA_FILE, STORE_NAME, find_catalogue, is_building
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.documents import DocumentError, parse_json, read_document
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.labels.agreed import default_contract, default_schema

if TYPE_CHECKING:
    import xarray as xr


def open_catalog(path: str | Path, *, clean: bool = False) -> xr.Dataset:
    """Open a catalogue as an xarray Dataset, one variable per column, in order.

    Values are read when they are used: one column of a large catalogue costs the memory of that
    column, and of ``source_id`` where its coordinate is loaded with it.

    Parameters
    ----------
    path : str or Path
        The folder of a version, its ``catalog.zarr``, or the folder of a release, of which the
        latest version is taken.
    clean : bool
        Make null what a flag casts doubt on. A label of the catalogue is null where no answer
        could be given; where it is flagged the answer stands, and is not to be used without
        thought. With `clean`, a label that lies outside the range of the training labels is null,
        and all labels of a star are whose spectra or networks show something unusual: the bits
        with ``doubts`` in ``schemas/flags.yaml``, the same that bar a star from the tiers gold and
        silver. Uncertainties and correlations go with their labels; ``flags``, ``quality_tier``
        and everything else stays.

    Returns
    -------
    xarray.Dataset
        ``source_id`` is a coordinate: after ``.set_xindex("source_id")``, which reads it, a star
        is ``.sel(source_id=...)``. ``flags`` and ``quality_tier`` say what their codes are called
        (:func:`catalog_builder.has_flag`).

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue, or it cannot be opened. Also later, where values are read
        whose chunk is missing, cut short or damaged: xarray alone would take a missing one for
        nulls.

    Examples
    --------
    >>> catalogue = open_catalog("workdir/catalogs/dr3")  # doctest: +SKIP
    >>> good = catalogue.teff.where(catalogue.e_teff < 100).compute()  # doctest: +SKIP
    """
    import xarray as xr

    from catalog_builder.stores.whole_store import DAMAGE, CatalogueStore

    store = _store(Path(path))
    try:
        dataset: xr.Dataset = xr.open_zarr(CatalogueStore(store))
        # A zarr group has no order; the published one is kept as an attribute.
        ordered: xr.Dataset = dataset[dataset.attrs["columns"]].set_coords(IDENTIFIER)
    except DAMAGE as error:
        raise CatalogueError(
            f"{store} cannot be opened: {error}.",
            "See `catalog-builder validate`, and restore the catalogue from a copy.",
        ) from error
    schema = schema_of(store)
    named = with_codes(ordered, schema)
    return without_doubtful(named, schema) if clean else named


def schema_of(path: str | Path) -> CatalogSchema:
    """Return the schema that a catalogue was made with: its columns, bits, labels and inputs.

    Today's, of the default labels and inputs, is returned for a store without the file
    ``schema.json``, and for the first catalogues, whose bits do not say on which labels they cast
    doubt: those bits still mean the same.

    Parameters
    ----------
    path : str or Path
        What :func:`open_catalog` takes.

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue.
    """
    return schema_in(_store(Path(path)).parent) or default_schema()


def schema_in(folder: Path) -> CatalogSchema | None:
    """Return the schema of the catalogue in a folder if it says all that is asked of one."""
    try:
        document = read_document(folder / SCHEMA_FILE)
        schema = CatalogSchema.model_validate(parse_json(document))
    except (OSError, DocumentError, ValidationError):
        return None
    says_all = schema.said_contract is not None or any(bit.doubts for bit in schema.flags.bits)
    return schema.or_else(default_contract()) if says_all else None


def _store(path: Path) -> Path:
    # A store copied away from its folder is still good data; only an unfinished one is not.
    alone = path.suffix == ".zarr" and (path / "zarr.json").is_file()
    if alone and not is_building(path.absolute().parent):
        return path
    return find_catalogue(path) / STORE_NAME
