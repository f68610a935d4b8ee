"""Whether the arrays of a selection are such as a training makes: shapes, types, signs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from catalog_builder.errors import ModelError
from catalog_builder.features.rvs import N_PIXELS
from catalog_builder.features.xp import N_SAMPLES
from catalog_builder.model.checkpoint import check_tensors
from catalog_builder.model.gauge import BINS
from catalog_builder.model.residual import DIRECTIONS, STATISTICS

_SAMPLES: Final = {"rvs": N_PIXELS, "xp": N_SAMPLES}
# The nearest of three groups of landmarks are looked for.
_LEAST_LANDMARKS = 3

#: What is divided by, or is a size, and so above 0.
_POSITIVE: Final = ("shape", "deviations", "spacing", "width", "limit")

Shapes = dict[str, tuple[int, ...]]


def check_selection(path: Path, tensors: Mapping[str, Tensor], most_landmarks: int) -> None:
    """Compare the arrays of a selection with what `Selection.to_bytes` writes.

    Parameters
    ----------
    path : Path
        The file, for the message.
    tensors : mapping of str to Tensor
        What it holds.
    most_landmarks : int
        Training stars that may mark out a space.

    Raises
    ------
    ModelError
        Naming the file and the first array that is missing, one too many, of another shape or type,
        or holds what no fit leaves.
    """
    places = {name.split("/")[1] for name in tensors if name.startswith("places/")}
    shapes: Shapes = {}
    for name in sorted(places & set(_SAMPLES)):
        shapes |= _place(tensors, name, most_landmarks)
    if "rvs" in places:
        shapes |= {f"filters/{name}": (N_PIXELS, count) for name, count in DIRECTIONS.items()}
        landmarks = shapes["places/rvs/landmarks"][0]
        shapes |= {"map/position": (landmarks, 2), "map/spacing": (landmarks,)}
    expected = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    gauges = {name: values for name, values in tensors.items() if name.startswith("gauges/")}
    check_tensors(path, {k: v for k, v in tensors.items() if k not in gauges}, expected)
    measured = {
        name: torch.empty(shape, dtype=torch.float64, device="meta")
        for name, shape in _gauges(gauges, shapes).items()
    }
    check_tensors(path, gauges, measured)
    for problem in _impossible(tensors):
        raise ModelError(
            f"The arrays in {path} are of no model: {problem}.",
            "Train the model again with this version of the program.",
        )


def _place(tensors: Mapping[str, Tensor], name: str, most: int) -> Shapes:
    start, samples = f"places/{name}", _SAMPLES[name]
    components = _size(tensors, f"{start}/axes", 1, 1, samples)
    landmarks = _size(tensors, f"{start}/landmarks", 0, _LEAST_LANDMARKS, most)
    leading = _size(tensors, f"{start}/landmarks", 1, 1, components)
    return {
        f"{start}/centre": (samples,),
        f"{start}/shape": (samples,),
        f"{start}/axes": (samples, components),
        f"{start}/deviations": (components,),
        f"{start}/scatter": (samples,),
        f"{start}/landmarks": (landmarks, leading),
    }


def _gauges(tensors: Mapping[str, Tensor], shapes: Shapes) -> Shapes:
    """Return the shapes of the gauges there are; those of other names are one too many."""
    statistics = {"input_conflict": 1, "member_disagreement": 1}
    statistics["member_disagreement_without_rvs"] = 1
    for name, own in (("rvs", 1), ("xp", 2)):
        if f"places/{name}/axes" in shapes:
            components = shapes[f"places/{name}/axes"][1]
            leading = shapes[f"places/{name}/landmarks"][1]
            statistics[f"{name}_distance"] = own + (components > leading)
    if "places/rvs/axes" in shapes:
        statistics |= {"rvs_misfit": len(STATISTICS), "rvs_map_distance": 2}
    found: Shapes = {}
    for name in {name.split("/")[1] for name in tensors if name.startswith("gauges/")}:
        if name in statistics:
            start, count = f"gauges/{name}", statistics[name]
            knots = _size(tensors, f"{start}/knots", 0, 1, BINS)
            found |= {f"{start}/knots": (knots,), f"{start}/limit": (count,)}
            found |= {f"{start}/{each}": (knots, count) for each in ("middle", "width")}
    return found


def _size(tensors: Mapping[str, Tensor], name: str, axis: int, least: int, most: int) -> int:
    """Return the size of an axis, or the nearest that it may have."""
    shape = tensors[name].shape if name in tensors else ()
    return min(max(shape[axis] if axis < len(shape) else least, least), most)


def _impossible(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    for name, values in sorted(tensors.items()):
        kind = name.split("/")[-1]
        if kind in _POSITIVE and not bool((values > 0).all()):
            yield f"{name} holds a number that is not above 0"
        if kind == "scatter" and bool((values < 0).any()):
            yield f"{name} holds a negative number"
        if kind == "knots" and bool((values.diff() <= 0).any()):
            yield f"{name} do not rise"
        if kind == "position" and bool((values.abs() > 1.0 + 1e-5).any()):
            yield f"{name} holds a place outside of the map"
