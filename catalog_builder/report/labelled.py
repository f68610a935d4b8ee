"""Stars with labels, answered by networks that never saw them: how far off the answers are.

Sums of fixed size, whatever the number of stars: the task of a chunk leaves those of its stars, and
they add up. Differences and pulls are counted in fine bins, along several things (`Division`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema, label_columns
from catalog_builder.ground.errors import StoreError
from catalog_builder.model.calibrate.metrics import GAUSSIAN_95, regime_names, regimes
from catalog_builder.report.counted import PIXEL_LEVEL, pixels_of
from catalog_builder.report.histogram import Axis, Counts
from catalog_builder.report.measured import (
    ALONG,
    MERGED,
    PULL,
    SCALED,
    SIGMAS,
    Measured,
    along,
    residual_axis,
    scale,
    sigmas,
)
from catalog_builder.report.places import LABELLED_LEVEL
from catalog_builder.report.quantities import Quantities, Quantity
from catalog_builder.report.regions import kiel_axes

Columns = Mapping[str, NDArray[Any]]

#: The stars that the model's own numbers are of (and new ones), and those that taught it.
KEPT_BACK, TAUGHT = 0, 1
GROUPS: Final = 2
#: Along the signal-to-noise ratio: four bins a decade; along the magnitude: whole ones.
SNR: Final = Axis(10.0, 1000.0, 8, log=True, clip=True)
MAGNITUDE: Final = Axis(4.0, 20.0, 16, clip=True)
#: Stars near the Sun, pc; and the column that says how far they are.
NEAR: Final = 1000.0
_DISTANCE: Final = "distance"
#: Cells of the plane of label and answer, along either.
PLANE_BINS: Final = 100


@dataclass(frozen=True)
class Edges:
    """What separates the regimes of stars, as in the settings of the model."""

    snr_edges: tuple[float, ...]
    magnitude_edges: tuple[float, ...]


@dataclass(frozen=True)
class Division:
    """What stars are looked at along.

    Attributes
    ----------
    name, title : str
        ``all``, ``regime``, ``tier``, ``near`` (tiers within `NEAR` of the Sun), ``temperature``,
        ``own``, ``snr``, ``magnitude`` or ``sigma``.
    cells : tuple of str
        Names of its cells.
    axis : Axis, optional
        What cells are, if they are bins; those of ``own`` and ``sigma`` are each label's own.
    """

    name: str
    title: str
    cells: tuple[str, ...]
    axis: Axis | None = None


class Labelled:
    """Sums over the stars with labels of a catalogue, or of a part of it.

    Parameters
    ----------
    schema : CatalogSchema
        Of the catalogue.
    edges : Edges
        Of the regimes.

    Attributes
    ----------
    divisions : dict of str to Division
        By name.
    pulls : ndarray of int64, shape (labels, groups, cells, bins of `PULL`)
        Stars by difference over sqrt(sigma^2 + e_label^2), in the cells of all divisions.
    differences : ndarray of int64, shape (labels, groups, cells, bins)
        Stars by difference, prediction minus label.
    within : ndarray of int64, shape (labels, groups, cells, 2)
        Stars within one sigma, and within the interval of 95 %, widened by the label's error.
    planes : ndarray of int64, shape (labels, bins, bins)
        Stars by label and prediction.
    sky : ndarray of int64, shape (labels, pixels, bins of `residual_axis`)
        Stars by place on the sky and difference.
    kiel : ndarray of int64 or None
        Stars by temperature and gravity, as answered, in the bins of `kiel_axes`.
    """

    def __init__(self, schema: CatalogSchema, edges: Edges) -> None:
        self.schema, self.edges = schema, edges
        self.shown = Quantities(schema.contract)
        self.divisions = {one.name: one for one in self._divide()}
        ends = np.cumsum([len(one.cells) for one in self.divisions.values()])
        self._first = dict(zip(self.divisions, (0, *ends[:-1].tolist()), strict=True))
        shape = len(self.shown), GROUPS, int(ends[-1])
        self.pulls: Counts = np.zeros((*shape, PULL.bins), dtype=np.int64)
        self.differences: Counts = np.zeros((*shape, SCALED.bins), dtype=np.int64)
        self.within: Counts = np.zeros((*shape, 2), dtype=np.int64)
        self.planes: Counts = np.zeros((len(self.shown), PLANE_BINS, PLANE_BINS), dtype=np.int64)
        pixels = 12 * 4**LABELLED_LEVEL
        self.sky: Counts = np.zeros((len(self.shown), pixels, residual_axis().bins), dtype=np.int64)
        self.kiel: Counts | None = None
        if self.shown.kiel is not None:
            self.kiel = np.zeros([axis.bins for axis in kiel_axes(self.shown)], dtype=np.int64)

    def _divide(self) -> list[Division]:
        inputs, teff = self.schema.inputs, self.shown.first("temperature")
        names = tuple(regime_names(self.edges, inputs))
        found = [Division("all", "all stars", ("",)), Division("regime", "regime", names)]
        tiers = tuple(tier.name.replace("_", " ") for tier in self.schema.flags.tiers)
        found.append(Division("tier", "tier", tiers))
        if _DISTANCE in self.schema.names:
            near = tuple(f"{name}, within {NEAR / 1000:g} kpc of the Sun" for name in tiers)
            found.append(Division("near", "tier near the Sun", near))
        if teff is not None:
            found.append(_division("temperature", teff.label.short, along(teff)))
        found.append(Division("own", "the label itself", tuple(map(str, range(ALONG)))))
        if self._ratio is not None:
            found.append(_division("snr", "S/N", SNR))
        if inputs.magnitude:
            found.append(_division("magnitude", self.shown.magnitude_title, MAGNITUDE))
        return [*found, Division("sigma", "sigma", tuple(map(str, range(SIGMAS))))]

    @property
    def _ratio(self) -> str | None:
        inputs = self.schema.inputs
        line = next(iter(inputs.lines), None)
        return None if line is None else inputs.spectra[line].sig_to_noise

    @property
    def stars(self) -> int:
        """Stars with any label; of the label that most have."""
        return self.stars_of(None)

    def stars_of(self, group: int | None) -> int:
        """Return the same of a group, or of all."""
        groups = slice(None) if group is None else slice(group, group + 1)
        return int(self.pulls[:, groups, 0].sum(axis=(1, 2)).max(initial=0))

    def add(
        self, columns: Columns, labels: NDArray[np.float64], errors: NDArray[np.float64]
    ) -> None:
        """Add n stars: their rows of the catalogue, and what the survey says, (n, labels)."""
        if not len(labels):
            return
        cells = self._cells(columns)
        pixels = _pixels(columns)
        if self.kiel is not None and self.shown.kiel is not None:
            axes = kiel_axes(self.shown)
            values = [np.asarray(columns[q.name]) for q in self.shown.kiel]
            x, y = (axis.cells(one) for axis, one in zip(axes, values, strict=True))
            there = (x >= 0) & (y >= 0)
            np.add.at(self.kiel, (x[there], y[there]), 1)
        split = np.asarray(columns["training_split"]).astype(np.int64)
        taught = ((split > 0) & (split < 4)).astype(np.int64)
        for place, quantity in enumerate(self.shown.values()):
            mean, sigma, interval = (
                np.asarray(columns[name], dtype=np.float64)
                for name in label_columns(quantity.name)[:3]
            )
            difference = mean - labels[:, place]
            error = np.nan_to_num(errors[:, place])
            deviation = np.hypot(sigma, error)
            known = np.isfinite(difference) & (deviation > 0)
            own = {
                "own": along(quantity).cells(mean),
                "sigma": sigmas(quantity).cells(sigma),
            }
            pull = difference / np.where(known, deviation, 1.0)
            bins = PULL.cells(pull), SCALED.cells(np.arcsinh(difference / scale(quantity)))
            within = np.stack(
                [np.abs(pull) <= 1, np.abs(difference) <= np.hypot(interval, GAUSSIAN_95 * error)],
                axis=1,
            )
            for name, first in self._first.items():
                cell = own[name] if name in own else cells[name]
                here = known & (cell >= 0)
                where: Any = place, taught[here], first + cell[here]
                np.add.at(self.pulls, (*where, bins[0][here]), 1)
                np.add.at(self.differences, (*where, bins[1][here]), 1)
                np.add.at(self.within, where, within[here].astype(np.int64))
            here = known & (pixels >= 0)
            on_sky: Any = place, pixels[here], bins[1][here] // MERGED
            np.add.at(self.sky, on_sky, 1)
            plane = self.plane_axis(quantity)
            x, y = plane.cells(labels[:, place]), plane.cells(mean)
            here = known & (x >= 0) & (y >= 0)
            at: Any = (place, x[here], y[here])
            np.add.at(self.planes, at, 1)

    def regime(self, columns: Columns) -> NDArray[np.int64]:
        """Return in which regime each of n stars is."""
        inputs = self.schema.inputs
        used = np.stack(
            [self.schema.flags.test(columns, f"{name}_used") for name in inputs.names], axis=1
        )
        return regimes(columns, used, self.edges, inputs)

    def _cells(self, columns: Columns) -> dict[str, Any]:
        inputs, stars = self.schema.inputs, len(columns["source_id"])
        cells: dict[str, Any] = {
            "all": np.zeros(stars, dtype=np.int64),
            "regime": self.regime(columns),
            "tier": self._tier(columns),
        }
        if "near" in self.divisions:
            near = np.asarray(columns[_DISTANCE]) < NEAR
            cells["near"] = np.where(near, cells["tier"], -1)
        if (teff := self.shown.first("temperature")) is not None:
            cells["temperature"] = along(teff).cells(columns[teff.name])
        if self._ratio is not None:
            cells["snr"] = SNR.cells(columns[self._ratio])
        if inputs.magnitude:
            cells["magnitude"] = MAGNITUDE.cells(columns[inputs.magnitude])
        return cells

    def _tier(self, columns: Columns) -> NDArray[np.int64]:
        """Return the place of each star's tier, -1 of stars that have none."""
        found = np.full(len(columns["source_id"]), -1, dtype=np.int64)
        for place, tier in enumerate(self.schema.flags.tiers):
            found[np.asarray(columns["quality_tier"]) == tier.tier] = place
        return found

    def plane_axis(self, quantity: Quantity) -> Axis:
        """Return the bins of the plane of label and answer."""
        return Axis(quantity.axis.low, quantity.axis.high, PLANE_BINS)

    def cell(self, division: str, place: int = 0) -> int:
        """Return the number of a division's cell among all."""
        return int(self._first[division]) + place

    def measured(self, label: str, cells: Any, group: int | None = None) -> Measured:
        """Measure a label in one cell, or in several that are taken together.

        Parameters
        ----------
        label : str
            Which.
        cells : int or sequence of int
            As of `cell`; of none nothing was measured.
        group : int, optional
            Of which stars; of all if not given.
        """
        place = list(self.shown).index(label)
        groups = slice(None) if group is None else slice(group, group + 1)
        wanted = np.atleast_1d(np.asarray(cells, np.intp))  # an empty list would be of float

        def summed(array: Counts) -> Counts:
            return np.asarray(array[place, groups][:, wanted].sum(axis=(0, 1)))

        return Measured(
            self.shown[label],
            summed(self.pulls),
            summed(self.differences),
            *map(int, summed(self.within)),
        )

    # --- parts add up ----------------------------------------------------------------------------

    @property
    def _arrays(self) -> tuple[Counts, ...]:
        found = self.pulls, self.differences, self.within, self.planes, self.sky
        return found if self.kiel is None else (*found, self.kiel)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all numbers that are not zero: what `add_state` of another one adds."""
        numbers = np.concatenate([array.ravel() for array in self._arrays])
        places = np.flatnonzero(numbers)
        return {
            "labelled_places": places.astype(np.uint32),
            "labelled_counts": numbers[places].astype(np.uint32),
            "labelled_numbers": np.array([len(numbers)]),
        }

    def add_state(self, state: Columns) -> None:
        """Add what `state` returned for a part.

        Raises
        ------
        StoreError
            If it is of other labels.
        """
        if int(state["labelled_numbers"][0]) != sum(array.size for array in self._arrays):
            raise StoreError(
                "The sums of a chunk's labelled stars are of another version of the program.",
                "Remove the folder of the unfinished catalogue and publish again.",
            )
        places, counts = state["labelled_places"].astype(np.int64), state["labelled_counts"]
        first = 0
        for array in self._arrays:
            low, high = np.searchsorted(places, (first, first + array.size))
            array.ravel()[places[low:high] - first] += counts[low:high]
            first += array.size


def _pixels(columns: Columns) -> NDArray[np.int64]:
    """Return the pixel of each star, -1 where its position is not known."""
    fine = pixels_of(np.asarray(columns["ra"]), np.asarray(columns["dec"]))
    coarse = np.nan_to_num(fine, nan=-1.0).astype(np.int64) >> 2 * (PIXEL_LEVEL - LABELLED_LEVEL)
    return np.where(np.isfinite(fine), coarse, -1)


def _division(name: str, title: str, axis: Axis) -> Division:
    edges = axis.edges()
    cells = tuple(f"{low:.4g} <= {title} < {high:.4g}" for low, high in pairwise(edges))
    return Division(name, title, cells, axis)
