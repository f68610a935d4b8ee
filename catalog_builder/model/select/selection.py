"""How unlike the training stars a star is: distances, each in units of a calibrated limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.contract.distances import DISAGREEMENT, conflict_name, distances_of
from catalog_builder.contract.inputs import Inputs
from catalog_builder.model.checkpoint import group, read_tensors, tensor_bytes
from catalog_builder.model.net.answers import Contradictions
from catalog_builder.model.select.check import (
    LEADING,
    blind_names,
    check_selection,
    folder_of,
)
from catalog_builder.model.select.gauge import Gauge
from catalog_builder.model.select.latent import Nearest, Placed, Spectra, SpectrumModel, nearest
from catalog_builder.model.select.map import SpectrumMap
from catalog_builder.model.select.residual import residual_statistics
from catalog_builder.model.settings import MOST_LANDMARKS
from catalog_builder.training.design import Stars

Array = NDArray[np.float64]

# A distance beyond every limit, and finite in each type of numbers.
_FARTHEST = 1e30
#: Besides landmarks and arrays as long as a spectrum has samples, a file has some kB.
_MORE_BYTES = 1 << 20
#: Arrays of a sample's length for each spectrum: axes and filters, and five vectors.
_VECTORS = 80


class Statistic(NamedTuple):
    """Raw statistics of some stars.

    Attributes
    ----------
    rows : ndarray of int64, shape (r,)
        The stars.
    values : ndarray, shape (r, m)
        Positive; the larger, the odder.
    noise : ndarray, shape (r,)
        Of the spectrum that decides how large they may be.
    """

    rows: NDArray[np.int64]
    values: Array
    noise: Array


@dataclass(frozen=True)
class Place:
    """The space of one input's spectra: components, and the training stars that mark it out.

    Attributes
    ----------
    model : SpectrumModel
    landmarks : Tensor
        (m, l), leading components of ordinary training stars.
    """

    model: SpectrumModel
    landmarks: Tensor

    def near(self, spectra: Spectra) -> Nearest:
        """Return the landmarks near to spectra."""
        return nearest(self.model.place(spectra).components, self.landmarks)


class Measured(NamedTuple):
    """Raw statistics of n stars by the name of their gauge, and places on the maps, (n, 2 m)."""

    statistics: dict[str, Statistic]
    position: Array


class Strangeness(NamedTuple):
    """How unlike the training stars n stars are.

    Attributes
    ----------
    distances : ndarray of float64, shape (n, d)
        In the order of `distances_of`, each over its limit; NaN where not tested.
    position : ndarray of float64, shape (n, 2 m)
        On the map of each spectrum of lines, x and y; NaN where there is no spectrum.
    conflicts : ndarray of float64, shape (n, p)
        For each pair of spectra, their chi-square over its limit; 0 where not tested.
    """

    distances: Array
    position: Array
    conflicts: Array


@dataclass(frozen=True)
class Selection:
    """All tests of a model; a test that could not be made for want of stars is absent.

    Attributes
    ----------
    inputs : Inputs
        What spectra there are.
    places : dict of str to Place
        Per spectrum.
    filters : dict of str to dict of str to Tensor
        Of `residual_statistics`; there whenever a spectrum of lines has a place.
    maps : dict of str to SpectrumMap
        Of the landmarks of a spectrum of lines; there whenever it has a place.
    gauges : dict of str to Gauge
        Per distance, and for the disagreement more (`blind_name`).
    """

    inputs: Inputs
    places: dict[str, Place] = field(default_factory=dict)
    filters: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    maps: dict[str, SpectrumMap] = field(default_factory=dict)
    gauges: dict[str, Gauge] = field(default_factory=dict)

    def judge(self, stars: Stars, answers: Contradictions) -> Strangeness:
        """Measure stars in units of the limits."""
        measured = self.measure(stars, answers)
        columns = {name: place for place, name in enumerate(distances_of(self.inputs))}
        columns |= {name: columns[DISAGREEMENT] for _, name in blind_names(self.inputs)}
        pairs = {conflict_name(*pair): place for place, pair in enumerate(self.inputs.pairs)}
        distances = np.full((len(stars), len(distances_of(self.inputs))), np.nan)
        conflicts = np.zeros((len(stars), len(pairs)))
        for name, statistic in measured.statistics.items():
            if name in self.gauges and len(statistic.rows):
                # A spectrum so odd that its statistic overflows is tested all the same.
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    ratio = self.gauges[name].ratio(statistic.values, statistic.noise)
                    distances[statistic.rows, columns[name]] = _finite(ratio)
                    if name in pairs:
                        over = self.gauges[name].over_limit(statistic.values, statistic.noise)
                        conflicts[statistic.rows, pairs[name]] = _finite(over)
        return Strangeness(distances, measured.position, conflicts)

    def measure(self, stars: Stars, answers: Contradictions) -> Measured:
        """Return the raw statistics of stars, and where they lie on the maps."""
        found: dict[str, Statistic] = {}
        noise = {name: np.full(len(stars), np.nan) for name in self.inputs.spectra}
        lines = list(self.inputs.lines)
        position = np.full((len(stars), 2 * len(lines)), np.nan)
        for name, place in self.places.items():
            rows = torch.nonzero(stars.has(name))[:, 0]
            placed = place.model.place(spectra_of(stars, name).take(rows))
            near = nearest(placed.components, place.landmarks)
            at = rows.cpu().numpy()
            noise[name][at] = _numbers(placed.noise)
            values: dict[str, Tensor] = {}
            latent = _latent(placed, near, place.landmarks.shape[1])
            if name in lines:
                values[f"{name}_misfit"] = residual_statistics(placed, self.filters[name])
            else:
                # No residual test of its own: its samples are few independent numbers.
                latent.append((placed.residual**2).mean(dim=1))
            values[f"{name}_distance"] = torch.stack(latent, dim=1)
            if name in self.maps:
                on_map, values[f"{name}_map_distance"] = self.maps[name].place(near)
                start = 2 * lines.index(name)
                position[at, start : start + 2] = _numbers(on_map)
            loud = noise[name][at]
            found |= {key: Statistic(at, _numbers(one), loud) for key, one in values.items()}
        for place_of, (one, other) in enumerate(self.inputs.pairs):
            conflict = answers.conflicts[:, place_of]
            found[conflict_name(one, other)] = _about(conflict, noise[one])
        return Measured(found | self._disagreement(stars, answers, noise), position)

    def _disagreement(
        self, stars: Stars, answers: Contradictions, noise: Mapping[str, Array]
    ) -> dict[str, Statistic]:
        """Return the members' disagreement, by the noise of the first spectrum that a star has."""
        found: dict[str, Statistic] = {}
        has = {name: stars.has(name).cpu().numpy() for name in self.inputs.spectra}
        for (gone, gauge), name in zip(blind_names(self.inputs), has, strict=True):
            without = ~np.any([has[each] for each in gone], axis=0) if gone else True
            loud = np.where(without, noise[name], np.nan)
            found[gauge] = _about(answers.disagreement, loud)
        return found

    def to_bytes(self) -> bytes:
        """Return all arrays as the content of one safetensors file."""
        tensors: dict[str, Tensor] = {}
        for name, place in self.places.items():
            arrays = place.model.arrays() | {"landmarks": place.landmarks}
            tensors |= {f"places/{name}/{key}": tensor for key, tensor in arrays.items()}
        for name, filters in self.filters.items():
            folder = folder_of(self.inputs, "filters", name)
            tensors |= {f"{folder}/{key}": tensor for key, tensor in filters.items()}
        for name, chart in self.maps.items():
            folder = folder_of(self.inputs, "map", name)
            tensors |= {f"{folder}/{key}": tensor for key, tensor in chart.arrays().items()}
        for name, gauge in self.gauges.items():
            arrays = {key: torch.from_numpy(values) for key, values in gauge.arrays().items()}
            tensors |= {f"gauges/{name}/{key}": tensor for key, tensor in arrays.items()}
        return tensor_bytes(tensors, {})

    @classmethod
    def load(
        cls,
        path: Path,
        inputs: Inputs,
        device: str = "cpu",
        *,
        most_landmarks: int = MOST_LANDMARKS,
        sha256: str | None = None,
    ) -> Selection:
        """Read a file of `to_bytes`.

        Parameters
        ----------
        path : Path
            The file.
        inputs : Inputs
            What spectra there are.
        device : str
            Where torch computes.
        most_landmarks : int
            Training stars that may mark out a space: the setting `map_stars` of the model.
        sha256 : str, optional
            Digest that the file must have.

        Raises
        ------
        ModelError
            If the file is absent or damaged, or holds what no fit makes.
        """
        on_cpu, _ = read_tensors(path, _most_bytes(inputs), sha256=sha256)
        check_selection(path, on_cpu, inputs, most_landmarks)
        tensors = {name: tensor.to(device) for name, tensor in on_cpu.items()}
        places = {
            name: Place(SpectrumModel.from_arrays(arrays), arrays["landmarks"])
            for name, arrays in _by_name(tensors, "places").items()
        }
        gauges = {
            name: Gauge.from_arrays({key: _numbers(values) for key, values in arrays.items()})
            for name, arrays in _by_name(tensors, "gauges").items()
        }
        filters, maps = {}, {}
        for name in inputs.lines:
            if name in places:
                filters[name] = {
                    key: tensor
                    for key, tensor in group(tensors, folder_of(inputs, "filters", name)).items()
                    if "/" not in key
                }
                drawn = group(tensors, folder_of(inputs, "map", name))
                maps[name] = SpectrumMap.from_arrays(drawn)
        return cls(inputs, places, filters, maps, gauges)


def _most_bytes(inputs: Inputs) -> int:
    """Return how large a file may be, with the most landmarks that settings allow."""
    samples = sum(spectrum.samples for spectrum in inputs.spectra.values())
    landmarks = MOST_LANDMARKS * (LEADING + 3) * len(inputs.spectra)
    return 4 * (_VECTORS * samples + landmarks) + _MORE_BYTES


def spectra_of(stars: Stars, name: str) -> Spectra:
    """Return one of the spectra of all stars."""
    flux, error = stars[f"{name}.flux"], stars[f"{name}.flux_error"]
    everywhere = stars.tensors.get(f"{name}.mask")
    if everywhere is None:
        everywhere = torch.ones_like(flux, dtype=torch.bool)
    return Spectra(flux, error, everywhere)


def _latent(placed: Placed, near: Nearest, leading: int) -> list[Tensor]:
    """Return the statistics of a place, (n,) each: far from others, and odd in the other axes."""
    columns = [near.square[:, 1]]
    if placed.components.shape[1] > leading:
        columns.append((placed.components[:, leading:] ** 2).sum(dim=1))
    return columns


def _by_name(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, dict[str, Tensor]]:
    below = group(tensors, prefix)
    names = sorted({name.split("/")[0] for name in below})
    return {name: group(below, name) for name in names}


def _about(values: Array, noise: Array) -> Statistic:
    rows = np.flatnonzero(np.isfinite(values) & np.isfinite(noise))
    return Statistic(rows, values[rows, None], noise[rows])


def _finite(ratio: Array) -> Array:
    return np.where(np.isfinite(ratio), np.minimum(ratio, _FARTHEST), _FARTHEST)


def _numbers(values: Tensor) -> Array:
    return values.double().cpu().numpy()
