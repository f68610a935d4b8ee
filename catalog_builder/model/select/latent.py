"""Principal components of one input's spectra, fitted with their noise: place and residual.

A spectrum is taken as the mean of the training spectra plus a few Gaussian components plus noise
(probabilistic principal components, Tipping & Bishop 1999, J. R. Stat. Soc. B 61, 611). Its place
in the space of the components is their posterior mean, so that noise pulls a poor spectrum towards
the middle and not out of the populated region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from catalog_builder.model.select.axes import is_wide, strongest_of_wide
from catalog_builder.model.select.gauge import Gauge

# Deviations above the ordinary at which a training spectrum is left out of the components: label
# surveys hold spoilt spectra too, and a component that describes them would make them ordinary.
_CLIP = 5.0
_ROUNDS = 2
# Share of a component's variance that is believed to be signal where noise seems to explain all.
_LEAST_SIGNAL = 1e-3
# A component is real if its variance in other spectra is at least this share of that in its own.
_SHARED = 0.75
# At least this many always are, temperature, gravity and metals among them, of however few spectra.
_LEAST_COMPONENTS = 4
# A masked sample is filled with its reconstruction, which needs the components, which need it.
_FILLS = 2
_LEAST_SHAPE, _LEAST_ERROR = 1e-6, 1e-9
# Squared distances below are rounding.
_LEAST_SQUARE = 1e-4


class Spectra(NamedTuple):
    """Spectra of n stars: flux, its error, and where it is usable, (n, p) each."""

    flux: Tensor
    error: Tensor
    mask: Tensor

    def take(self, rows: Tensor) -> Spectra:
        """Return some of the stars."""
        return Spectra(self.flux[rows], self.error[rows], self.mask[rows])


class Placed(NamedTuple):
    """Spectra of n stars in a component model.

    Attributes
    ----------
    components : Tensor
        (n, k), of deviation 1 among training stars without noise, the strongest first.
    residual : Tensor
        (n, p), spectrum less reconstruction over its expected deviation; 0 where masked.
    samples : Tensor
        (n,), usable samples.
    noise : Tensor
        (n,), typical error of a sample in the units of the flux.
    """

    components: Tensor
    residual: Tensor
    samples: Tensor
    noise: Tensor


class Nearest(NamedTuple):
    """The nearest landmarks of n stars: squared distances, rising, and numbers, (n, 3) each."""

    square: Tensor
    number: Tensor


@dataclass(frozen=True)
class SpectrumModel:
    """The components of one input; all arrays are float32.

    Attributes
    ----------
    centre : Tensor
        (p,), mean spectrum.
    shape : Tensor
        (p,), typical error of each sample relative to the spectrum's own, root mean square 1.
    axes : Tensor
        (p, k), orthonormal directions in units of `shape`.
    deviations : Tensor
        (k,), noise-free deviation of the components.
    scatter : Tensor
        (p,), deviation of training spectra from their reconstruction beyond noise.
    """

    centre: Tensor
    shape: Tensor
    axes: Tensor
    deviations: Tensor
    scatter: Tensor

    @classmethod
    def fit(cls, spectra: Spectra, components: int) -> tuple[Self, Tensor, Tensor]:
        """Fit the components to training spectra.

        Spectra far from ordinary, by residual or place, are left out in a second and third round.
        Of the components, the leading ones that half of the spectra share with the other half are
        kept: the others describe the noise of these very spectra.

        Parameters
        ----------
        spectra : Spectra
            Of the training stars.
        components : int
            At most.

        Returns
        -------
        SpectrumModel
            The model.
        Tensor
            (n, k), the places of the spectra that it was fitted to in the end.
        Tensor
            (n,), which of the spectra those are.
        """
        model, numbers = cls._fit_once(spectra, components), torch.arange(len(spectra.flux))
        for _ in range(_ROUNDS):
            placed = model.place(spectra)
            misfit = (placed.residual**2).sum(dim=1) / placed.samples
            odd = (placed.components**2).sum(dim=1)
            statistics = torch.stack([misfit, odd], dim=1).double().numpy()
            noise = placed.noise.double().numpy()
            gauge = Gauge.fit(statistics, noise, rate=0.01)
            kept = torch.from_numpy((gauge.deviations(statistics, noise) < _CLIP).all(axis=1))
            spectra, numbers = spectra.take(kept), numbers[kept]
            model = cls._fit_once(spectra, components)
        model = model._leading(cls._shared(spectra, components))
        model = replace(model, scatter=model._scatter(spectra))
        return model, model.place(spectra).components, numbers

    @classmethod
    def _shared(cls, spectra: Spectra, components: int) -> int:
        """Return how many leading components are as strong in spectra that did not make them."""
        rows = torch.arange(len(spectra.flux))
        halves = [spectra.take(rows % 2 == half) for half in (0, 1)]
        model = cls._fit_once(halves[0], components)
        own, other = (model.place(half).components.var(dim=0) for half in halves)
        alone = torch.nonzero(other < _SHARED * own)[:, 0]
        shared = int(alone[0]) if len(alone) else components
        return min(max(shared, _LEAST_COMPONENTS), components)

    def _leading(self, count: int) -> Self:
        axes = self.axes[:, :count].contiguous()
        return replace(self, axes=axes, deviations=self.deviations[:count].clone())

    @classmethod
    def _fit_once(cls, spectra: Spectra, components: int) -> Self:
        usable = spectra.mask.double()
        count = usable.sum(dim=0).clamp_min(1.0)
        flux = spectra.flux.double()
        centre = (flux * usable).sum(dim=0) / count
        variance = (spectra.error.double() * usable) ** 2
        level = variance.sum(dim=1) / usable.sum(dim=1).clamp_min(1.0)
        # Good spectra tell more, but none of them should tell alone what stars look like.
        weight = 1.0 / (level + level.median())
        shape = (variance / level[:, None] * usable).sum(dim=0) / count
        shape = (shape / shape.mean()).clamp_min(_LEAST_SHAPE).sqrt()
        scaled = (flux - centre) / shape * usable
        total = weight.sum()
        if is_wide(scaled):
            values, vectors = strongest_of_wide(
                scaled * (weight / total).sqrt()[:, None], components
            )
        else:
            covariance = (scaled * weight[:, None]).mT @ scaled / total
            values, vectors = torch.linalg.eigh(covariance)
        strongest = torch.arange(len(values) - 1, len(values) - 1 - components, -1)
        values, vectors = values[strongest], vectors[:, strongest]
        # The sign of an eigenvector is the library's choice; ours: its largest element is > 0.
        peak = vectors.abs().argmax(dim=0)
        vectors = vectors * vectors[peak, torch.arange(components)].sign()
        noise = (weight * level).sum() / total
        signal = torch.maximum(values - noise, _LEAST_SIGNAL * values).clamp_min(1e-12)
        parts = (centre, shape, vectors, signal.sqrt(), torch.zeros_like(centre))
        return cls(*(part.float().contiguous() for part in parts))

    def _scatter(self, spectra: Spectra) -> Tensor:
        """Return (p,) what spectra deviate from their reconstruction beyond their noise.

        The components take up part of the noise and errors are never quite right: the noisiest
        quarter of the spectra tells which part of the error is left, the best what lies beyond.
        """
        noise = self.place(spectra).noise
        order, quarter = torch.argsort(noise, stable=True), max(1, len(noise) // 4)
        squares, known = [], []
        for rows in (order[:quarter], order[-quarter:]):
            part = spectra.take(rows)
            count = part.mask.sum(dim=0).clamp_min(1)
            squares.append(((self.place(part).residual * part.error) ** 2).sum(dim=0) / count)
            known.append((part.error**2 * part.mask).sum(dim=0) / count)
        left = (squares[1] / known[1].clamp_min(_LEAST_ERROR**2)).clamp_max(1.0)
        return (squares[0] - left * known[0]).clamp_min(0.0).sqrt()

    def place(self, spectra: Spectra) -> Placed:
        """Place spectra among the components."""
        flux, error, mask = spectra
        scaled = (flux - self.centre) / self.shape * mask
        samples = mask.sum(dim=1).to(flux.dtype).clamp_min(1.0)
        level = ((error / self.shape) ** 2 * mask).sum(dim=1) / samples
        power = self.deviations**2
        trust = power / (power + level[:, None])
        components = scaled @ self.axes * trust
        if not bool(mask.all()):
            for _ in range(_FILLS):
                filled = torch.where(mask, scaled, components @ self.axes.mT)
                components = filled @ self.axes * trust
        residual = (scaled - components @ self.axes.mT) * self.shape * mask
        residual = residual / torch.sqrt(error**2 + self.scatter**2).clamp_min(_LEAST_ERROR)
        return Placed(components / self.deviations, residual, samples, level.sqrt())

    def residual_of(self, flux: Tensor, error: float) -> Tensor:
        """Return the residual (n, p) of noise-free spectra as if all errors were `error`."""
        everywhere = torch.ones_like(flux, dtype=torch.bool)
        return self.place(Spectra(flux, torch.full_like(flux, error), everywhere)).residual

    def reconstruct(self, components: Tensor) -> Tensor:
        """Return noise-free spectra (n, p) at places (n, k)."""
        return self.centre + (components * self.deviations) @ self.axes.mT * self.shape

    def arrays(self) -> dict[str, Tensor]:
        """Return the arrays by name, to be saved."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Tensor]) -> Self:
        """Build the model from `arrays`."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def nearest(components: Tensor, landmarks: Tensor) -> Nearest:
    """Find near landmarks (m, l), m >= 3, in the space of the first l components.

    The landmarks, in an order of chance, are cut in three groups and the nearest of each group is
    found, which takes a fraction of the time of a sort and is as good: one landmark that is odd
    itself makes no star ordinary.
    """
    leading = components[:, : landmarks.shape[1]]
    closeness = leading @ landmarks.mT - 0.5 * (landmarks**2).sum(dim=1)
    groups = closeness.tensor_split(3, dim=1)
    best = [group.max(dim=1) for group in groups]
    starts = np.cumsum([0, *(group.shape[1] for group in groups[:-1])])
    closest = torch.stack([found.values for found in best], dim=1)
    square = (leading**2).sum(dim=1, keepdim=True) - 2.0 * closest
    numbers = [found.indices + int(start) for found, start in zip(best, starts, strict=True)]
    square, order = square.clamp_min(_LEAST_SQUARE).sort(dim=1)
    return Nearest(square, torch.stack(numbers, dim=1).gather(1, order))
