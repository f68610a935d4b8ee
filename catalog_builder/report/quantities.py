"""How the labels are called and binned in the report."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from catalog_builder.report.histogram import Axis
from catalog_builder.schema import CatalogSchema

_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Quantity:
    """A label as the report shows it.

    Attributes
    ----------
    name : str
        Its column.
    symbol, html : str
        Its symbol in a figure (mathtext) and on the page.
    axis : Axis
        Bins that hold any star of types F to M; finer than what is drawn.
    sigma : Axis
        Bins of its uncertainty, 2 per cent wide.
    decimals : int
        Digits after the point that its uncertainty is worth.
    """

    name: str
    symbol: str
    html: str
    axis: Axis
    sigma: Axis
    decimals: int = 3


_DEX: Final = Axis(1e-4, 10.0, 575, log=True, clip=True)
_ABUNDANCE: Final = Axis(-4.0, 1.0, 250)

#: The labels in their published order. Bin numbers divide by 2 and 5 (`histogram.merge_factor`).
QUANTITIES: Final = (
    Quantity(
        "teff",
        r"$T_\mathrm{eff}$",
        "<i>T</i><sub>eff</sub>",
        Axis(2000.0, 12000.0, 400),
        Axis(0.1, 10000.0, 575, log=True, clip=True),
        decimals=0,
    ),
    Quantity("logg", r"$\log\,g$", "log <i>g</i>", Axis(-1.0, 6.0, 350), _DEX),
    Quantity("m_h", "[M/H]", "[M/H]", _ABUNDANCE, _DEX),
    Quantity("alpha_m", r"[$\alpha$/M]", "[α/M]", Axis(-0.6, 1.0, 160), _DEX),
    Quantity("fe_h", "[Fe/H]", "[Fe/H]", _ABUNDANCE, _DEX),
)

BY_NAME: Final = {quantity.name: quantity for quantity in QUANTITIES}


def unit(schema: CatalogSchema, name: str) -> str:
    """Return the unit of a label in print; what has none in the schema is in dex."""
    declared = schema[name].unit
    if not declared:
        return "dex"
    power = re.sub(r"\*\*(-?\d+)", lambda match: match[1].translate(_SUPERSCRIPT), declared)
    return power.replace(".", " ")


def difference_unit(schema: CatalogSchema, name: str) -> str:
    """Return the unit of a difference of two values of a label, in print."""
    declared = schema[name].unit
    return declared if declared and not declared.startswith("log(") else "dex"


def axis_title(schema: CatalogSchema, name: str) -> str:
    """Return the title of a figure's axis: symbol and unit."""
    return f"{BY_NAME[name].symbol} [{unit(schema, name)}]"


def sigma_title(schema: CatalogSchema, name: str) -> str:
    """Return the title of an axis for a label's uncertainty."""
    return f"σ({BY_NAME[name].symbol}) [{difference_unit(schema, name)}]"
