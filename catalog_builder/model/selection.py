"""How unlike the training stars a star is: distances, each in units of a calibrated limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.model.answers import Contradictions
from catalog_builder.model.checkpoint import group, read_tensors, tensor_bytes
from catalog_builder.model.gauge import Gauge
from catalog_builder.model.inputs import MODALITIES, Stars
from catalog_builder.model.latent import Nearest, Placed, Spectra, SpectrumModel, nearest
from catalog_builder.model.map import SpectrumMap
from catalog_builder.model.residual import residual_statistics
from catalog_builder.model.selection_check import check_selection
from catalog_builder.model.settings import MOST_LANDMARKS

Array = NDArray[np.float64]

#: What is measured of each star, in the order of `Strangeness.distances`; 1 is the limit.
DISTANCES: Final = (
    "rvs_distance",
    "xp_distance",
    "rvs_misfit",
    "input_conflict",
    "member_disagreement",
    "rvs_map_distance",
)
#: Gauge of the disagreement about stars whose RVS spectrum is absent.
WITHOUT_RVS: Final = "member_disagreement_without_rvs"
SPECTRA: Final = ("rvs", "xp")

# A distance beyond every limit, and finite in each type of numbers.
_FARTHEST = 1e30
#: With the most landmarks that settings allow a file has 8 MB.
_MOST_BYTES = 16 << 20


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


class Measured(NamedTuple):
    """Raw statistics of n stars by the name of their gauge, and their places on the map, (n, 2)."""

    statistics: dict[str, Statistic]
    position: Array


class Strangeness(NamedTuple):
    """How unlike the training stars n stars are.

    Attributes
    ----------
    distances : ndarray of float64, shape (n, 6)
        In the order of `DISTANCES`, each over its limit; NaN where not tested.
    position : ndarray of float64, shape (n, 2)
        On the map of the RVS spectra; NaN where there is no spectrum.
    conflict : ndarray of float64, shape (n,)
        Chi-square between RVS and XP over its limit; 0 where not tested.
    """

    distances: Array
    position: Array
    conflict: Array


@dataclass(frozen=True)
class Selection:
    """All tests of a model; a test that could not be made for want of stars is absent.

    Attributes
    ----------
    places : dict of str to Place
        Per input, ``rvs`` and ``xp``.
    filters : dict of str to Tensor
        Of `residual_statistics`; there whenever RVS has a place.
    map : SpectrumMap, optional
        Of the landmarks of RVS; there whenever RVS has a place.
    gauges : dict of str to Gauge
        Per distance.
    """

    places: dict[str, Place] = field(default_factory=dict)
    filters: dict[str, Tensor] = field(default_factory=dict)
    map: SpectrumMap | None = None
    gauges: dict[str, Gauge] = field(default_factory=dict)

    def judge(self, stars: Stars, answers: Contradictions) -> Strangeness:
        """Measure stars in units of the limits."""
        measured = self.measure(stars, answers)
        distances = np.full((len(stars), len(DISTANCES)), np.nan)
        conflict = np.zeros(len(stars))
        for name, statistic in measured.statistics.items():
            if name in self.gauges and len(statistic.rows):
                column = DISTANCES.index(name.removesuffix("_without_rvs"))
                # A spectrum so odd that its statistic overflows is tested all the same.
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    ratio = self.gauges[name].ratio(statistic.values, statistic.noise)
                    distances[statistic.rows, column] = _finite(ratio)
                    if name == "input_conflict":
                        over = self.gauges[name].over_limit(statistic.values, statistic.noise)
                        conflict[statistic.rows] = _finite(over)
        return Strangeness(distances, measured.position, conflict)

    def measure(self, stars: Stars, answers: Contradictions) -> Measured:
        """Return the raw statistics of stars, and where they lie on the map."""
        found: dict[str, Statistic] = {}
        noise = {name: np.full(len(stars), np.nan) for name in SPECTRA}
        position = np.full((len(stars), 2), np.nan)
        for name, place in self.places.items():
            rows = torch.nonzero(stars.present[:, MODALITIES.index(name)])[:, 0]
            placed = place.model.place(spectra_of(stars, name).take(rows))
            near = nearest(placed.components, place.landmarks)
            at = rows.cpu().numpy()
            noise[name][at] = _numbers(placed.noise)
            values: dict[str, Tensor] = {}
            latent = _latent(placed, near, place.landmarks.shape[1])
            if name == "rvs":
                values["rvs_misfit"] = residual_statistics(placed, self.filters)
            else:
                # XP has no residual test of its own: its samples are few independent numbers.
                latent.append((placed.residual**2).mean(dim=1))
            values[f"{name}_distance"] = torch.stack(latent, dim=1)
            if name == "rvs" and self.map is not None:
                on_map, values["rvs_map_distance"] = self.map.place(near)
                position[at] = _numbers(on_map)
            loud = noise[name][at]
            found |= {key: Statistic(at, _numbers(one), loud) for key, one in values.items()}
        found["input_conflict"] = _about(answers.conflict, noise["rvs"])
        found["member_disagreement"] = _about(answers.disagreement, noise["rvs"])
        absent = ~stars.present[:, MODALITIES.index("rvs")].cpu().numpy()
        alone = np.where(absent, noise["xp"], np.nan)
        found[WITHOUT_RVS] = _about(answers.disagreement, alone)
        return Measured(found, position)

    def to_bytes(self) -> bytes:
        """Return all arrays as the content of one safetensors file."""
        tensors = {f"filters/{name}": tensor for name, tensor in self.filters.items()}
        for name, place in self.places.items():
            arrays = place.model.arrays() | {"landmarks": place.landmarks}
            tensors |= {f"places/{name}/{key}": tensor for key, tensor in arrays.items()}
        if self.map is not None:
            tensors |= {f"map/{key}": tensor for key, tensor in self.map.arrays().items()}
        for name, gauge in self.gauges.items():
            arrays = {key: torch.from_numpy(values) for key, values in gauge.arrays().items()}
            tensors |= {f"gauges/{name}/{key}": tensor for key, tensor in arrays.items()}
        return tensor_bytes(tensors, {})

    @classmethod
    def load(
        cls,
        path: Path,
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
        device : str
            Where torch computes.
        most_landmarks : int
            Training stars that may mark out a space: the setting `map_stars` of the model.
        sha256 : str, optional
            Digest that the file must have.

        Raises
        ------
        ModelError
            If the file is absent or damaged, or holds what `fit_selection` does not make.
        """
        on_cpu, _ = read_tensors(path, _MOST_BYTES, sha256=sha256)
        check_selection(path, on_cpu, most_landmarks)
        tensors = {name: tensor.to(device) for name, tensor in on_cpu.items()}
        places = {
            name: Place(SpectrumModel.from_arrays(arrays), arrays["landmarks"])
            for name, arrays in _by_name(tensors, "places").items()
        }
        gauges = {
            name: Gauge.from_arrays({key: _numbers(values) for key, values in arrays.items()})
            for name, arrays in _by_name(tensors, "gauges").items()
        }
        drawn = group(tensors, "map")
        chart = SpectrumMap.from_arrays(drawn) if drawn else None
        return cls(places, group(tensors, "filters"), chart, gauges)


def spectra_of(stars: Stars, name: str) -> Spectra:
    """Return the spectra of one input, ``rvs`` or ``xp``, of all stars."""
    if name == "rvs":
        return Spectra(stars.rvs_flux, stars.rvs_flux_error, stars.rvs_mask)
    everywhere = torch.ones_like(stars.xp_flux, dtype=torch.bool)
    return Spectra(stars.xp_flux, stars.xp_flux_error, everywhere)


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
