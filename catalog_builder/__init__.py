"""Batch producer of versioned value-added catalogues from survey spectra, on Dask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog_builder.catalog.open import open_catalog

__version__ = "0.1.0"
#: What `pip install` knows this package by: `catalog-builder` is somebody else's there.
DISTRIBUTION = "gaia-catalog-builder"
__all__ = ["DISTRIBUTION", "__version__", "open_catalog"]


def __getattr__(name: str) -> Any:
    # xarray and zarr take a second to import, which `catalog-builder --help` should not.
    if name == "open_catalog":
        from catalog_builder.catalog.open import open_catalog

        return open_catalog
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
