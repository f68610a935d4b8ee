"""Opening a sealed catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catalog_builder.catalog.layout import STORE_NAME, find_catalogue, is_building

if TYPE_CHECKING:
    import xarray as xr


def open_catalog(path: str | Path) -> xr.Dataset:
    """Open a catalogue as an xarray Dataset, one variable per column, in order.

    Values are read when they are used: one column of a large catalogue costs the memory of that
    column.

    Parameters
    ----------
    path : str or Path
        The folder of a version, its ``catalog.zarr``, or the folder of a release, of which the
        latest version is taken.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue.

    Examples
    --------
    >>> catalogue = open_catalog("workdir/catalogs/dr3")  # doctest: +SKIP
    >>> good = catalogue.teff.where(catalogue.e_teff < 100).compute()  # doctest: +SKIP
    """
    import xarray as xr

    dataset: xr.Dataset = xr.open_zarr(_store(Path(path)))
    # A zarr group has no order; the published one is kept as an attribute.
    ordered: xr.Dataset = dataset[dataset.attrs["columns"]]
    return ordered


def _store(path: Path) -> Path:
    # A store copied away from its folder is still good data; only an unfinished one is not.
    alone = path.suffix == ".zarr" and (path / "zarr.json").is_file()
    if alone and not is_building(path.absolute().parent):
        return path
    return find_catalogue(path) / STORE_NAME
