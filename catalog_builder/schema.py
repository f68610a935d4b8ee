"""Names of `catalog_builder.contract.schema`, where they were before."""

from typing import Final

from catalog_builder.contract.flags import FlagBit, FlagSchema, Tier
from catalog_builder.contract.schema import CatalogSchema, Column, is_in_dex

__all__ = [
    "LABELS",
    "MODALITIES",
    "CatalogSchema",
    "Column",
    "FlagBit",
    "FlagSchema",
    "Tier",
    "is_in_dex",
]

LABELS: Final = ("teff", "logg", "m_h", "alpha_m", "fe_h")
MODALITIES: Final = ("rvs", "xp", "photometry", "parallax")
