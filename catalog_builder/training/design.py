"""From a feature block to tensors: which quantities the network sees, and how they are scaled."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.contract.inputs import PARALLAX, BandsInput, Inputs
from catalog_builder.contract.labels import Labels
from catalog_builder.features.lines import CONSTANT, PSEUDO_CONTINUUM
from catalog_builder.ground.errors import ModelError
from catalog_builder.training.arrays import Block, Split, TrainingArrays, completed, presence
from catalog_builder.training.scaling import FloatArray, Scaling
from catalog_builder.training.shapes import tables_of

__all__ = [
    "Block",
    "Scaling",
    "Split",
    "Stars",
    "TrainingArrays",
    "asinh",
    "design_features",
    "design_labels",
    "learnt_as",
    "network_columns",
    "physical_labels",
    "presence",
]

# Low-resolution flux is of order 1 after division by its flux scale. asinh is linear below the
# softening, where noise dominates, and logarithmic above, where extinction and temperature act as
# factors.
_SOFTENING = 0.1
# Depth of a typical absorption line: samples much noisier than this tell nothing by themselves.
_DEPTH = 0.2
_NOISE = 0.02
# Relative errors below this say the same: models, not photons, are the limit of such a star.
_SMALLEST_NOISE = 1e-4


def learnt_as(labels: Labels, way: str) -> NDArray[np.intp]:
    """Return the places of the labels that are learnt in one way, as logarithms for one."""
    learnt = [place for place, label in enumerate(labels) if label.learnt_as == way]
    return np.array(learnt, dtype=np.intp)


def design_labels(
    values: FloatArray, value_error: FloatArray, labels: Labels
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return labels and errors, (n, l), as the network learns them.

    Logarithms of some: relative errors are the same size throughout where absolute ones are not. Of
    others minus the reciprocal, which rises with the value, as signs of correlations need: hot
    stars are few, and lie no longer far from all others. Errors follow to first order.
    """
    learnt, errors = values.astype(np.float64), value_error.astype(np.float64)
    for place in learnt_as(labels, "logarithm"):
        errors[:, place] /= learnt[:, place]
        learnt[:, place] = np.log(learnt[:, place])
    for place in learnt_as(labels, "reciprocal"):
        errors[:, place] /= learnt[:, place] ** 2
        learnt[:, place] = -1.0 / learnt[:, place]
    return learnt, errors


def physical_labels(
    learnt: NDArray[np.float64], labels: Labels
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what `design_labels` made of labels as values, and the size of its unit there, (n, l).

    To first order d(Teff) = Teff d(ln Teff) = Teff^2 d(-1 / Teff). A reciprocal that is no longer
    that of a positive number is NaN: no answer.
    """
    values, unit = learnt.copy(), np.ones(learnt.shape)
    for place in learnt_as(labels, "logarithm"):
        values[:, place] = np.exp(learnt[:, place])
        unit[:, place] = values[:, place]
    for place in learnt_as(labels, "reciprocal"):
        negative = np.where(learnt[:, place] < 0.0, learnt[:, place], np.nan)
        values[:, place] = -1.0 / negative
        unit[:, place] = values[:, place] ** 2
    return values, unit


@dataclass(frozen=True)
class Stars:
    """A batch of stars as tensors on one device: measured quantities, nothing scaled yet.

    Attributes
    ----------
    inputs : Inputs
        What there may be.
    tensors : dict of str to Tensor
        Of a spectrum ``<name>.flux`` and ``<name>.flux_error``, of one of lines also
        ``<name>.mask`` and ``<name>.class``, (n, 2), which of the two normalisations it has; and
        each of `tables_of` by its name. Absent quantities are 0.
    present : Tensor
        (n, i) bool, in the order of ``inputs.names``.
    """

    inputs: Inputs
    tensors: Mapping[str, Tensor]
    present: Tensor

    @classmethod
    def from_block(
        cls,
        block: Block,
        inputs: Inputs,
        device: str = "cpu",
        spectra: Collection[str] | None = None,
        *,
        may_overflow: bool = False,
    ) -> Stars:
        """Build the tensors of a feature block; spectra that are not asked for have no samples.

        Parameters
        ----------
        block : mapping of str to numpy.ndarray
            Feature block of n stars; inputs that it does not have are absent.
        inputs : Inputs
            What to take of it.
        device : str
            Where torch computes.
        spectra : collection of str, optional
            Spectra that are wanted; all where not given.
        may_overflow : bool
            Whether what is computed of finite measurements may be infinite, the colour of
            magnitudes of 1e38, say: such a star gets no answer, and its batch is none the worse.

        Raises
        ------
        ModelError
            If an input is said to be present and is not finite, naming the first such star.
        """
        block = completed(block, inputs)
        has = presence(block, inputs)
        wanted = inputs.spectra if spectra is None else spectra
        tensors: dict[str, Tensor] = {}
        for name, values, owner, measured in _quantities(block, inputs, has, wanted):
            checked = measured if may_overflow else values
            _check_finite(name, checked[owner], block["source_id"][owner])
            values[~owner] = 0.0
            tensors[name] = torch.from_numpy(values)
        for name in inputs.lines:
            owner = has[:, inputs.place(name)]
            classes = np.asarray(block[f"{name}_normalisation"])
            told = np.stack([classes == PSEUDO_CONTINUUM, classes == CONSTANT], axis=1)
            tensors[f"{name}.class"] = torch.from_numpy((told & owner[:, None]).astype(np.float32))
            mask = np.asarray(block[f"{name}_mask"], dtype=bool)
            mask = mask if name in wanted else mask[:, :0]
            tensors[f"{name}.mask"] = torch.from_numpy(mask & owner[:, None])
        placed = {name: tensor.to(device) for name, tensor in tensors.items()}
        return cls(inputs, placed, torch.from_numpy(has).to(device))

    def __len__(self) -> int:
        return len(self.present)

    def __getitem__(self, name: str) -> Tensor:
        """Return one of the tensors."""
        return self.tensors[name]

    def take(self, rows: Tensor | slice) -> Stars:
        """Return some of the stars."""
        tensors = {name: tensor[rows] for name, tensor in self.tensors.items()}
        return Stars(self.inputs, tensors, self.present[rows])

    def changed(self, tensors: Mapping[str, Tensor]) -> Stars:
        """Return the stars with some of the tensors replaced."""
        return replace(self, tensors={**self.tensors, **tensors})

    def has(self, name: str) -> Tensor:
        """Return which stars have an input, (n,) bool."""
        return self.present[:, self.inputs.place(name)]

    def with_samples(self) -> Iterator[str]:
        """Yield the names of the spectra that are not left out, in order."""
        return (name for name in self.inputs.spectra if self[f"{name}.flux"].numel())


_Quantity = tuple[str, NDArray[np.float32], NDArray[np.bool_], NDArray[np.floating]]


def _quantities(
    block: Block, inputs: Inputs, has: NDArray[np.bool_], wanted: Collection[str]
) -> Iterator[_Quantity]:
    """Yield what a star may have: its name, values, who has it, and what it is computed of."""
    for name, owners in tables_of(inputs).items():
        owner = np.logical_and.reduce([has[:, inputs.place(each)] for each in owners])
        if name in inputs.photometry:
            bands = inputs.photometry[name]
            measured: NDArray[np.floating] = _magnitudes(block, bands)
            yield name, _photometry(measured, bands), owner, measured
        elif name == PARALLAX:
            yield name, _parallax(block), owner, np.stack(_corrected_parallax(block), axis=1)
        elif inputs.magnitude is not None:
            # What it is made of was looked at already.
            nothing = np.zeros((len(owner), 1))
            yield name, _luminosity(block, inputs.magnitude), owner, nothing
    for name in inputs.spectra:
        owner = has[:, inputs.place(name)]
        for kind in ("flux", "flux_error"):
            values = _samples(block[f"{name}_{kind}"], name in wanted)
            yield f"{name}.{kind}", values, owner, values


def design_features(block: Block, inputs: Inputs) -> dict[str, NDArray[np.float32]]:
    """Return the unscaled inputs of the network on which the scaling is computed.

    Returns
    -------
    dict of str to numpy.ndarray
        For a spectrum of low resolution (n, samples + 1): asinh of the normalised flux over 0.1,
        and the logarithm of the relative noise. For a group of magnitudes: the first of them and
        the colours [mag]. ``parallax`` (n, 3): asinh(parallax / mas), asinh(parallax / error),
        log10(error / mas). ``luminosity`` (n, 2): asinh of parallax x 10^(m/5 - 2) = 10^(M/5), free
        of the pole of 1/parallax, and of its error. Rows without the input are NaN, so that they
        stay out of means and deviations. Spectra of lines are normalised already and are not
        standardised.
    """
    stars = Stars.from_block(block, inputs, spectra=tuple(inputs.low_resolution))
    tensors: dict[str, tuple[Tensor, tuple[str, ...]]] = {
        name: (flux_columns(stars, name), (name,)) for name in inputs.low_resolution
    }
    tensors |= {name: (stars[name], owners) for name, owners in tables_of(inputs).items()}
    return {
        name: torch.where(shown(stars.present, inputs, owners), values, torch.nan).numpy()
        for name, (values, owners) in tensors.items()
    }


def shown(usable: Tensor, inputs: Inputs, owners: Collection[str]) -> Tensor:
    """Return which stars have all of some inputs, (n, 1), of what is `usable` (n, i)."""
    first, *others = (inputs.place(name) for name in owners)
    found = usable[:, first : first + 1]
    for place in others:
        found = found & usable[:, place : place + 1]
    return found


def network_columns(stars: Stars, scaling: Scaling, inputs: Collection[str]) -> dict[str, Tensor]:
    """Return the scaled columns that a network built for these inputs reads."""
    columns: dict[str, Tensor] = {}
    for name, spectrum in stars.inputs.spectra.items():
        if name not in inputs:
            continue
        if spectrum.kind == "lines":
            columns[name] = line_channels(stars, name)
            columns[f"{name}.class"] = stars[f"{name}.class"]
        else:
            columns[name] = scaling.standardise(name, flux_columns(stars, name))
    for name in tables_of(stars.inputs):
        columns[name] = scaling.standardise(name, stars[name])
    return columns


def asinh(values: Tensor) -> Tensor:
    """Return asinh as torch computes it many samples at a time: its own takes ten times as long.

    asinh x = sgn x ln(1 + |x| + x^2 / (1 + sqrt(1 + x^2))), accurate for small x too.
    """
    size = values.abs()
    # In this order what is too large for its square (1e19) still has a logarithm, short by ln 2.
    beyond = size * (size / (1.0 + torch.sqrt(1.0 + size * size)))
    # log1p of torch 2.6 is infinite from 1.5e38 on.
    return torch.log1p((size + beyond).clamp_max_(1e38)).copysign(values)


def flux_columns(stars: Stars, name: str) -> Tensor:
    """Return a spectrum of low resolution: softened logarithmic flux and the relative noise."""
    flux = asinh(stars[f"{name}.flux"] / _SOFTENING)
    size = stars[f"{name}.flux"].abs().mean(dim=1, keepdim=True).clamp_min(_SMALLEST_NOISE)
    noise = stars[f"{name}.flux_error"].mean(dim=1, keepdim=True) / size
    return torch.cat([flux, torch.log10(noise + _SMALLEST_NOISE)], dim=1)


def line_channels(stars: Stars, name: str) -> Tensor:
    """Return a spectrum of lines, (n, 2, samples): its depth, and the trust in each sample.

    Trust is 1 for a perfect sample, falls as its error passes 0.02, and is 0 where masked.
    """
    mask = stars[f"{name}.mask"].to(torch.float32)
    depth = (stars[f"{name}.flux"] - 1.0) / _DEPTH * mask
    trust = mask * _NOISE / torch.sqrt(_NOISE**2 + stars[f"{name}.flux_error"] ** 2)
    return torch.stack([depth, trust], dim=1)


def _samples(values: NDArray[np.generic], asked_for: bool) -> NDArray[np.float32]:
    return np.array(values if asked_for else values[:, :0], dtype=np.float32)


def _magnitudes(block: Block, bands: BandsInput) -> NDArray[np.float32]:
    return np.stack([np.float32(block[column]) for column in bands.columns], axis=1)


def _photometry(magnitudes: NDArray[np.float32], bands: BandsInput) -> NDArray[np.float32]:
    of_band = dict(zip(bands.bands, magnitudes.T, strict=True))
    with np.errstate(over="ignore", invalid="ignore"):
        colours = [of_band[one] - of_band[other] for one, other in bands.colours]
    return np.stack([magnitudes[:, 0], *colours], axis=1)


def _corrected_parallax(block: Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corrected = np.asarray(block["parallax_corrected"], dtype=np.float64)
    measured = np.asarray(block["parallax"], dtype=np.float64)
    error = np.asarray(block["parallax_error"], dtype=np.float64)
    # Outside the domain of the zero point the measured value is the best there is.
    return np.where(np.isfinite(corrected), corrected, measured), error


def _parallax(block: Block) -> NDArray[np.float32]:
    parallax, error = _corrected_parallax(block)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        columns = [np.arcsinh(parallax), np.arcsinh(parallax / error), np.log10(error)]
    return np.stack(columns, axis=1).astype(np.float32)


def _luminosity(block: Block, magnitude: str) -> NDArray[np.float32]:
    parallax, error = _corrected_parallax(block)
    with np.errstate(invalid="ignore", over="ignore"):
        factor = 10.0 ** (np.asarray(block[magnitude], dtype=np.float64) / 5.0 - 2.0)
        columns = [np.arcsinh(parallax * factor), np.arcsinh(error * factor)]
    return np.stack(columns, axis=1).astype(np.float32)


def _check_finite(name: str, values: FloatArray, ids: NDArray[np.generic]) -> None:
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise ModelError(
            f"{name.replace('.', '_')} of source_id {ids[bad[0]]} is not finite though the star is"
            f" said to have it ({bad.size} such stars in the block).",
            "Ingest the partition again; where a value is missing its has_ column must be false.",
        )
