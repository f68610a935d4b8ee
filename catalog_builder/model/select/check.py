"""Whether the arrays of a selection are such as a training makes: shapes, types, signs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from catalog_builder.contract.distances import DISAGREEMENT, conflict_name
from catalog_builder.contract.inputs import Inputs
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.checkpoint import check_tensors
from catalog_builder.model.select.gauge import BINS
from catalog_builder.model.select.residual import DIRECTIONS, PLAIN, filters_on

#: Leading components in which near training stars are looked for: the faint ones hold details in
#: which no star is near another.
LEADING: Final = 8
# The nearest of three groups of landmarks are looked for.
_LEAST_LANDMARKS = 3

#: What is divided by, or is a size, and so above 0.
_POSITIVE: Final = ("shape", "deviations", "spacing", "width", "limit")

Shapes = dict[str, tuple[int, ...]]


def folder_of(inputs: Inputs, kind: str, name: str) -> str:
    """Return below which name the arrays of a spectrum of lines are, ``filters`` or ``map``.

    Those of the first have no name of their own: a model of layout 3 had one.
    """
    return kind if name == next(iter(inputs.lines)) else f"{kind}/{name}"


def check_selection(
    path: Path, tensors: Mapping[str, Tensor], inputs: Inputs, most_landmarks: int
) -> None:
    """Compare the arrays of a selection with what `Selection.to_bytes` writes.

    Parameters
    ----------
    path : Path
        The file, for the message.
    tensors : mapping of str to Tensor
        What it holds.
    inputs : Inputs
        What spectra there are.
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
    for name, spectrum in inputs.spectra.items():
        if name not in places:
            continue
        shapes |= _place(tensors, name, spectrum.samples, most_landmarks)
        if spectrum.kind == "lines":
            filters, chart = (folder_of(inputs, kind, name) for kind in ("filters", "map"))
            landmarks = shapes[f"places/{name}/landmarks"][0]
            shapes |= {
                f"{filters}/{each}": (spectrum.samples, DIRECTIONS[each])
                for each in filters_on(spectrum.grid)
            }
            shapes |= {f"{chart}/position": (landmarks, 2), f"{chart}/spacing": (landmarks,)}
    expected = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    gauges = {name: values for name, values in tensors.items() if name.startswith("gauges/")}
    check_tensors(path, {k: v for k, v in tensors.items() if k not in gauges}, expected)
    measured = {
        name: torch.empty(shape, dtype=torch.float64, device="meta")
        for name, shape in _gauges(gauges, inputs, shapes).items()
    }
    check_tensors(path, gauges, measured)
    for problem in _impossible(tensors):
        raise ModelError(
            f"The arrays in {path} are of no model: {problem}.",
            "Train the model again with this version of the program.",
        )


def _place(tensors: Mapping[str, Tensor], name: str, samples: int, most: int) -> Shapes:
    start = f"places/{name}"
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


def blind_names(inputs: Inputs) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the gauges of the members' disagreement, each with the spectra that a star is without.

    A star's disagreement is ordinary or not at the noise of the first spectrum that it has.
    """
    names = tuple(inputs.spectra)
    for count in range(len(names)):
        gone = names[:count]
        yield gone, f"{DISAGREEMENT}_without_{'_'.join(gone)}" if gone else DISAGREEMENT


def _gauges(tensors: Mapping[str, Tensor], inputs: Inputs, shapes: Shapes) -> Shapes:
    """Return the shapes of the gauges there are; those of other names are one too many."""
    statistics = {conflict_name(*pair): 1 for pair in inputs.pairs}
    statistics |= {name: 1 for _, name in blind_names(inputs)}
    for name, spectrum in inputs.spectra.items():
        if f"places/{name}/axes" not in shapes:
            continue
        components = shapes[f"places/{name}/axes"][1]
        leading = shapes[f"places/{name}/landmarks"][1]
        lines = spectrum.kind == "lines"
        statistics[f"{name}_distance"] = (1 if lines else 2) + (components > leading)
        if lines:
            statistics[f"{name}_misfit"] = PLAIN + len(filters_on(spectrum.grid))
            statistics[f"{name}_map_distance"] = 2
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
