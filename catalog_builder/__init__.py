"""Batch producer of versioned value-added catalogues from survey spectra, on Dask."""

from __future__ import annotations

from catalog_builder.ground.about import DISTRIBUTION, __version__

# Importing `typing` takes longer than the rest of what is done before Ctrl-C is in hand.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from catalog_builder.catalog.open import open_catalog
    from catalog_builder.catalog.plots import plot_abundances, plot_abundances_by_place, plot_kiel
    from catalog_builder.catalog.selection import selection
    from catalog_builder.catalog.table import open_table
    from catalog_builder.comparing.differences import diff
    from catalog_builder.comparing.drift import drift

__all__ = [
    "DISTRIBUTION",
    "__version__",
    "diff",
    "drift",
    "open_catalog",
    "open_table",
    "plot_abundances",
    "plot_abundances_by_place",
    "plot_kiel",
    "selection",
]


def __getattr__(name: str) -> Any:
    # xarray, zarr and astropy take a second to import, which `catalog-builder --help` should not.
    if name == "open_catalog":
        from catalog_builder.catalog.open import open_catalog

        return open_catalog
    if name == "open_table":
        from catalog_builder.catalog.table import open_table

        return open_table
    if name.startswith("plot_") and name in __all__:
        from catalog_builder.catalog import plots

        return getattr(plots, name)
    if name == "selection":
        from catalog_builder.catalog.selection import selection

        return selection
    if name == "diff":
        from catalog_builder.comparing.differences import diff

        return diff
    if name == "drift":
        from catalog_builder.comparing.drift import drift

        return drift
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
