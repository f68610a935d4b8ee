"""What a member learns from: stars as tensors with scaled labels, and what can be learnt at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.contract.labels import Labels
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.design import (
    Block,
    Scaling,
    Split,
    Stars,
    TrainingArrays,
    design_labels,
    network_columns,
    presence,
)

# Stars whose spectra are in double precision at a time.
_BATCH = 4096


class _Chosen(Mapping[str, NDArray[np.generic]]):
    """Some rows of a block, each array copied when it is asked for: never all of them at once."""

    def __init__(self, block: Block, rows: NDArray[np.intp]) -> None:
        self._block, self._rows = block, rows

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self._block[name][self._rows]

    def __contains__(self, name: object) -> bool:
        # A mapping's own would copy the array to find out.
        return name in self._block

    def __iter__(self) -> Iterator[str]:
        return iter(self._block)

    def __len__(self) -> int:
        return len(self._block)


@dataclass(frozen=True)
class Sample:
    """Stars of one split with their scaled labels, on one device.

    Attributes
    ----------
    stars : Stars
        n stars.
    labels, label_error : Tensor
        (n, l), scaled; 0 where not known.
    known : Tensor
        (n, l) bool: the labels to learn from.
    """

    stars: Stars
    labels: Tensor
    label_error: Tensor
    known: Tensor

    @classmethod
    def from_arrays(
        cls,
        data: TrainingArrays,
        split: Split,
        scaling: Scaling,
        trained: NDArray[np.bool_],
        device: str,
        inputs: Collection[str],
    ) -> Self:
        """Build the sample of a split; `trained` (l,) says which labels are used."""
        rows = np.flatnonzero(data.split == split)
        labels, errors = design_labels(
            data.labels[rows], data.label_error[rows], data.contract.labels
        )
        known = np.isfinite(labels) & trained
        scaled = (labels - scaling.labels_mean) / scaling.labels_std
        # A label without an error is taken at its word.
        scaled_error = np.nan_to_num(errors / scaling.labels_std)
        return cls(
            stars=Stars.from_block(_Chosen(data.block, rows), data.contract.inputs, device, inputs),
            labels=torch.from_numpy(np.where(known, scaled, 0.0)).float().to(device),
            label_error=torch.from_numpy(np.where(known, scaled_error, 0.0)).float().to(device),
            known=torch.from_numpy(known).to(device),
        )

    def __len__(self) -> int:
        return len(self.stars)


def trainable(
    data: TrainingArrays, settings: ModelSettings
) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """Return the inputs that any fit star has, and which labels enough fit stars have, (l,).

    Raises
    ------
    ModelError
        If there is no fit star, or there is no input or no label to train on.
    """
    fit = data.split == Split.FIT
    if not fit.any():
        raise ModelError(
            "The training sample has no fit stars.",
            "Use a larger training sample or other split shares.",
        )
    known_inputs = data.contract.inputs
    has = presence(data.block, known_inputs)[fit].any(axis=0)
    names = zip(known_inputs.names, has, strict=True)
    inputs = tuple(name for name, any_star in names if any_star)
    if not inputs:
        raise ModelError(
            "No fit star has any input.",
            "Check that the labelled stars' spectra and photometry were ingested.",
        )
    known: NDArray[np.bool_] = label_stars(data) >= settings.min_label_stars
    if not known.any():
        raise ModelError(
            f"No label is known for enough stars: at most {max(label_stars(data))} have one, and"
            f" model.min_label_stars asks for {settings.min_label_stars}.",
            "Use a larger training sample, or lower model.min_label_stars for a trial.",
        )
    return inputs, known


def label_stars(data: TrainingArrays) -> NDArray[np.int64]:
    """Return how many fit stars have each label, (l,)."""
    counts: NDArray[np.int64] = np.isfinite(data.labels[data.split == Split.FIT]).sum(axis=0)
    return counts


def trained_names(labels: Labels, known: NDArray[np.bool_]) -> list[str]:
    """Return the names of the labels marked in `known` (l,)."""
    return [name for name, trained in zip(labels.names, known, strict=True) if trained]


def spectra_for_whitening(name: str, stars: Stars, scaling: Scaling) -> Iterator[Tensor]:
    """Yield spectra as their branch, `name`, sees them, (n, samples) each."""
    spectrum = stars.inputs.spectra[name]
    rows = torch.nonzero(stars.has(name))[:, 0]
    for some in torch.split(rows, _BATCH):
        columns = network_columns(stars.take(some), scaling, (name,))[name]
        yield columns[:, 0] if spectrum.kind == "lines" else columns[:, : spectrum.samples]


def principal_axes(batches: Callable[[], Iterable[Tensor]], count: int) -> tuple[Tensor, Tensor]:
    """Return the mean spectrum, (samples,), and whitening axes, (samples, count).

    The spectra's components along the axes, the strongest first, have a deviation of 1.

    Parameters
    ----------
    batches : callable
        Yields the spectra, (n, samples) each time; called twice, so that they never are in memory
        all together in double precision.
    count : int
        Number of axes.
    """
    # On the CPU whatever the device: it is done once and its bits should not depend on it.
    total, stars = torch.zeros((), dtype=torch.float64), 0
    for spectra in batches():
        total = total + spectra.double().cpu().sum(dim=0)
        stars += len(spectra)
    centre = total / stars
    products = torch.zeros(len(centre), len(centre), dtype=torch.float64)
    for spectra in batches():
        values = spectra.double().cpu() - centre
        products += values.mT @ values
    variances, vectors = torch.linalg.eigh(products / stars)
    strongest = torch.arange(len(variances) - 1, len(variances) - 1 - count, -1)
    vectors = vectors[:, strongest]
    # The sign of an eigenvector is the library's choice; ours is that its largest element is > 0.
    peak = vectors.abs().argmax(dim=0)
    vectors = vectors * vectors[peak, torch.arange(count)].sign()
    # What no star shows, rounding aside, must not be blown up to size 1.
    least = max(1e-8 * float(variances[-1]), 1e-12)
    deviations = variances[strongest].clamp_min(least).sqrt()
    return centre.float(), (vectors / deviations).float()
