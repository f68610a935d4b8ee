"""The labels of a catalogue as its report shows them: a view of the contract."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.labels import Label, Role
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.histogram import Axis

_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_POWER: Final = re.compile(r"(?:\*\*|(?<=[A-Za-z]))(-?\d+)")
_TAG: Final = re.compile("<[^>]*>")
#: Bins of an axis divide by this, so that `histogram.merge_factor` may merge 2 or 5 of them.
_MERGED: Final = 10
#: Bins of an uncertainty are 2 per cent wide.
_BINS_PER_DECADE: Final = 115


@dataclass(frozen=True)
class Quantity:
    """A label as the report shows it.

    Attributes
    ----------
    label : Label
        What the contract says of it.
    axis : Axis
        Bins that hold any star that figures look for; finer than what is drawn.
    sigma : Axis
        Bins of its uncertainty, 2 per cent wide.
    """

    label: Label
    axis: Axis
    sigma: Axis

    @property
    def name(self) -> str:
        """Its column."""
        return self.label.name

    @property
    def symbol(self) -> str:
        """Its symbol in a figure (mathtext)."""
        return self.label.tex

    @property
    def html(self) -> str:
        """Its symbol on the page."""
        return self.label.html

    @property
    def printed(self) -> str:
        """Its symbol in plain text."""
        return _TAG.sub("", self.label.html)

    @property
    def decimals(self) -> int:
        """Digits after the point that its uncertainty is worth."""
        return self.label.decimals


class Quantities(dict[str, Quantity]):
    """Labels by name, in their published order, and which of them belong together.

    Attributes
    ----------
    contract : Contract
        Of the catalogue.
    """

    def __init__(self, contract: Contract) -> None:
        super().__init__((label.name, _quantity(label)) for label in contract.labels)
        self.contract = contract

    def first(self, role: Role) -> Quantity | None:
        """Return the first label that has a role, or None."""
        label = self.contract.labels.first(role)
        return None if label is None else self[label.name]

    @property
    def kiel(self) -> tuple[Quantity, Quantity] | None:
        """Temperature and gravity, where there are both."""
        teff, logg = self.first("temperature"), self.first("gravity")
        return None if teff is None or logg is None else (teff, logg)

    @property
    def metallicities(self) -> tuple[str, ...]:
        """Names of all metallicities."""
        return tuple(label.name for _, label in self.contract.labels.with_role("metallicity"))

    @property
    def alpha_planes(self) -> tuple[tuple[str, str], ...]:
        """Names of each metallicity and of the first label of alpha elements."""
        alpha = self.first("alpha")
        return () if alpha is None else tuple((name, alpha.name) for name in self.metallicities)

    @property
    def other_planes(self) -> tuple[tuple[str, str], ...]:
        """Names of the first metallicity, and of every other abundance."""
        if not self.metallicities:
            return ()
        first = self.metallicities[0]
        return tuple((first, q.name) for q in self.values() if q.label.in_dex and not q.label.role)

    @property
    def mapped(self) -> tuple[str, ...]:
        """Names of the labels that colour a map of spectra: one of each role, all without one."""
        found: dict[str, str] = {}
        for quantity in self.values():
            found.setdefault(quantity.label.role or quantity.name, quantity.name)
        return tuple(found.values())

    @property
    def magnitude_title(self) -> str:
        """What the magnitude is called."""
        band = next(iter(self.contract.inputs.bands), None)
        return "magnitude" if band is None else band.title

    @property
    def compared(self) -> tuple[str, ...]:
        """Spectra with and without which uncertainties are compared: lines, else all of them."""
        inputs = self.contract.inputs
        return tuple(inputs.lines) or tuple(inputs.spectra)

    @property
    def measured(self) -> dict[str, str]:
        """Spectra by name that have a column with their signal-to-noise ratio, and the column."""
        spectra = self.contract.inputs.spectra.items()
        return {name: spec.sig_to_noise for name, spec in spectra if spec.sig_to_noise}


def _quantity(label: Label) -> Quantity:
    low, high = label.range
    bins = -(-label.bins // _MERGED) * _MERGED
    if bins != label.bins:
        high = low + bins * label.resolution
    least, most = label.sigma_range
    steps = max(round(_BINS_PER_DECADE * math.log10(most / least)), 1)
    return Quantity(label, Axis(low, high, bins), Axis(least, most, steps, log=True, clip=True))


def difference_unit(schema: CatalogSchema, name: str) -> str:
    """Return the unit of a label in print, "1" of a plain number; logarithms are in dex."""
    label = schema.labels[schema.labels.place(name)]
    return "dex" if label.in_dex else printed(schema[name].unit) or "1"


def printed(unit: str) -> str:
    """Return a unit with its powers raised, however they are spelt: ``s**-1``, ``s-1``."""
    power = _POWER.sub(lambda match: match[1].translate(_SUPERSCRIPT), unit)
    return power.replace(".", " ")


def axis_title(schema: CatalogSchema, quantity: Quantity) -> str:
    """Return the title of a figure's axis: symbol and unit."""
    return f"{quantity.symbol} [{difference_unit(schema, quantity.name)}]"


def sigma_title(schema: CatalogSchema, quantity: Quantity) -> str:
    """Return the title of an axis for a label's uncertainty."""
    return f"σ({quantity.symbol}) [{difference_unit(schema, quantity.name)}]"
