"""Batch producer of versioned value-added catalogues from survey spectra, on Dask."""

from __future__ import annotations

from catalog_builder.ground.about import DISTRIBUTION, __version__

# Importing `typing` takes longer than the rest of what is done before Ctrl-C is in hand.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from catalog_builder.catalog.credit import credit_of
    from catalog_builder.catalog.flag_view import (
        boundary_string,
        flag_names,
        flags_table,
        has_flag,
    )
    from catalog_builder.catalog.high_alpha import high_alpha
    from catalog_builder.catalog.lazy import open_lazy
    from catalog_builder.catalog.open import open_catalog
    from catalog_builder.catalog.plots import (
        plot_abundances,
        plot_abundances_by_place,
        plot_kiel,
        plot_shares,
    )
    from catalog_builder.catalog.selection import selection
    from catalog_builder.catalog.table import open_table
    from catalog_builder.comparing.clusters.front import clusters
    from catalog_builder.comparing.differences import diff
    from catalog_builder.comparing.drift import drift
    from catalog_builder.comparing.outside.front import compare
    from catalog_builder.exporting.export import export
    from catalog_builder.labelling.predict import predict

__all__ = [
    "DISTRIBUTION",
    "__version__",
    "boundary_string",
    "clusters",
    "compare",
    "credit_of",
    "diff",
    "drift",
    "export",
    "flag_names",
    "flags_table",
    "has_flag",
    "high_alpha",
    "open_catalog",
    "open_lazy",
    "open_table",
    "plot_abundances",
    "plot_abundances_by_place",
    "plot_kiel",
    "plot_shares",
    "predict",
    "selection",
]

#: Where each is, below this package.
_HOMES = {
    "boundary_string": "catalog.flag_view",
    "clusters": "comparing.clusters.front",
    "compare": "comparing.outside.front",
    "credit_of": "catalog.credit",
    "diff": "comparing.differences",
    "drift": "comparing.drift",
    "export": "exporting.export",
    "flag_names": "catalog.flag_view",
    "flags_table": "catalog.flag_view",
    "has_flag": "catalog.flag_view",
    "high_alpha": "catalog.high_alpha",
    "open_catalog": "catalog.open",
    "open_lazy": "catalog.lazy",
    "open_table": "catalog.table",
    "plot_abundances": "catalog.plots",
    "plot_abundances_by_place": "catalog.plots",
    "plot_kiel": "catalog.plots",
    "plot_shares": "catalog.plots",
    "predict": "labelling.predict",
    "selection": "catalog.selection",
}


def __getattr__(name: str) -> Any:
    # xarray, zarr and astropy take a second to import, which `catalog-builder --help` should not.
    if name in _HOMES:
        from importlib import import_module

        from catalog_builder.ground.extras import named_if_missing

        with named_if_missing(name):
            return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
