"""Bins of Galactocentric radius and height, for `HighAlpha.shares`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.ground.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr

Float = NDArray[np.float64]


class Bins:
    """Bins of R and abs(z), and what was found in them.

    Parameters
    ----------
    radii, heights : sequence of float
        Rising edges, kpc.

    Attributes
    ----------
    stars, numbers : ndarray of shape (heights, radii) and (3, heights, radii)
        Stars in each; share and ends of its interval, NaN at first.

    Raises
    ------
    ConfigError
        If edges do not rise.
    """

    def __init__(self, radii: Sequence[float], heights: Sequence[float]) -> None:
        for name, edges in (("radii", radii), ("heights", heights)):
            if len(edges) < 2 or np.any(np.diff(edges) <= 0):
                raise ConfigError(f"{name} are {list(edges)}.", "Give edges that rise.")
        self.edges = [np.asarray(edges, float) for edges in (heights, radii)]
        self.shape = tuple(len(edges) - 1 for edges in self.edges)
        self.stars = np.zeros(self.shape, np.int64)
        self.numbers = np.full((3, *self.shape), np.nan)

    def holds(self, place: tuple[int, ...], radius: Float, height: Float) -> NDArray[np.bool_]:
        """Return which stars a bin holds."""
        inside = np.ones(len(radius), bool)
        for values, edges, which in zip((height, radius), self.edges, place, strict=True):
            inside &= (values >= edges[which]) & (values < edges[which + 1])
        return inside

    def dataset(
        self, magnitude: str | None, faintest: float, simulated: str | None = None
    ) -> xr.Dataset:
        """Return what was found, with the middles of the bins."""
        import xarray as xr

        names = ("height", "radius")
        middles = {
            name: (name, (edges[1:] + edges[:-1]) / 2, {"units": "kpc"})
            for name, edges in zip(names, self.edges, strict=True)
        }
        values = dict(zip(("share", "lower", "upper"), self.numbers, strict=True))
        told: dict[str, Any] = {"simulated": simulated} if simulated else {}
        if magnitude:
            told |= {"faintest": faintest, "magnitude": magnitude}
        return xr.Dataset(
            {name: (names, one) for name, one in {**values, "stars": self.stars}.items()},
            coords=middles,
            attrs={"heights": self.edges[0].tolist(), "radii": self.edges[1].tolist(), **told},
        )
