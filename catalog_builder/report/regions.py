"""Where stars of each tier are, in the Kiel diagram, in abundances, and in the Galaxy: sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.histogram import Axis, Histogram
from catalog_builder.report.quantities import Quantities

#: Distance from the axis of the Galaxy and height over its plane, kpc (as Hayden et al. 2015).
RADIUS: Final = Axis(3.0, 15.0, 6)
HEIGHT_EDGES: Final = (0.0, 0.5, 1.0, 2.0)
_HEIGHT: Final = Axis(0.0, 3.0, 3)
_R, _Z = "galactocentric_radius", "galactocentric_height"


class Regions:
    """Histograms of fixed size, which lie in a `Summary`.

    Attributes
    ----------
    kiel : Histogram or None
        Tier, temperature and gravity; None where one of the two is no label.
    plane : Histogram or None
        Tier, the first metallicity, and alpha.
    galaxy : Histogram or None
        Radius, height, metallicity and alpha, where the catalogue has places in the Galaxy.
    """

    def __init__(self, schema: CatalogSchema, shown: Quantities) -> None:
        self._tiers = [tier.tier for tier in schema.flags.tiers]
        tier = Axis(0.0, float(len(self._tiers)), len(self._tiers))
        self.names = {
            "kiel": tuple(q.name for q in shown.kiel or ()),
            "plane": next(iter(shown.alpha_planes), ()),
        }
        self.kiel = self.plane = self.galaxy = None
        if shown.kiel is not None:
            self.kiel = Histogram(tier, *kiel_axes(shown))
        if self.names["plane"]:
            x, y = (shown[name].axis for name in self.names["plane"])
            axes = x.merged(5), y.merged(2)
            self.plane = Histogram(tier, *axes)
            if {_R, _Z} <= {*schema.names}:
                self.galaxy = Histogram(RADIUS, _HEIGHT, *axes)

    @property
    def histograms(self) -> list[Histogram]:
        """Return all there are."""
        return [one for one in (self.kiel, self.plane, self.galaxy) if one is not None]

    def add(self, block: Mapping[str, NDArray[Any]]) -> None:
        """Add the rows of a block."""
        tiers = np.asarray(block["quality_tier"])
        place = np.full(len(tiers), np.nan)
        for at, tier in enumerate(self._tiers):
            place[tiers == tier] = at + 0.5
        if self.kiel is not None:
            self.kiel.add(place, *(block[name] for name in self.names["kiel"]))
        labels = [block[name] for name in self.names["plane"]]
        if self.plane is not None:
            self.plane.add(place, *labels)
        if self.galaxy is not None:
            height = np.abs(np.asarray(block[_Z], dtype=np.float64))
            self.galaxy.add(block[_R], np.interp(height, HEIGHT_EDGES, range(4), right=9), *labels)


def kiel_axes(shown: Quantities) -> tuple[Axis, Axis]:
    """Return temperature and gravity in bins coarse enough for the stars of a survey."""
    if shown.kiel is None:
        raise ValueError("no label is a temperature, or none a gravity")
    teff, logg = shown.kiel
    return teff.axis.merged(5), logg.axis.merged(5)
