"""What is done to fit stars in a step: strangers' spectra, extra noise, what is not told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Generator, Tensor

from catalog_builder.training.design import Stars


def add_noise(stars: Stars, share: float, factor: float, generator: Generator) -> Stars:
    """Give a share of the stars noisier spectra, with errors that say so.

    A chosen star's noise gains k times its flux errors, k uniform in 0..factor, and its errors
    grow by sqrt(1 + k^2): it becomes what the survey would have seen of a fainter twin.
    """
    if share == 0.0 or factor == 0.0:
        return stars
    chosen = _uniform((len(stars), 1), stars, generator) < share
    k = _uniform((len(stars), 1), stars, generator) * factor * chosen
    growth = torch.sqrt(1.0 + k**2)
    noisy: dict[str, Tensor] = {}
    for name in stars.with_samples():
        flux, error = stars[f"{name}.flux"], stars[f"{name}.flux_error"]
        noise = torch.randn(flux.shape, generator=generator, device=flux.device)
        noisy |= {f"{name}.flux": flux + k * error * noise, f"{name}.flux_error": error * growth}
    return stars.changed(noisy)


def swap_spectra(stars: Stars, share: float, generator: Generator) -> Stars:
    """Give a share of the stars the spectrum of lines of another star of nearly the same colour.

    Blends and mistaken identities are rare in a training set and not in an archive. A network that
    has met spectra that contradict the other inputs trusts them less where they do, and says so in
    its sigma. Where there are several spectra of lines, each is another star's for itself.
    """
    photometry = stars.inputs.magnitude_owner
    if share == 0.0 or photometry is None or not stars[photometry].numel():
        return stars
    # The first colour, if there is one; the magnitude stands before it.
    like = stars[photometry][:, :2][:, -1]
    order = torch.argsort(like)
    giver = torch.empty_like(order)
    giver[order] = order.roll(1)
    own = torch.arange(len(stars), device=giver.device)
    swapped: dict[str, Tensor] = {}
    for name in _line_spectra(stars):
        has = stars.has(name)
        chosen = has & has[giver] & (_uniform((len(stars),), stars, generator) < share)
        rows = torch.where(chosen, giver, own)
        kinds = ("flux", "flux_error", "mask", "class")
        swapped |= {f"{name}.{kind}": stars[f"{name}.{kind}"][rows] for kind in kinds}
    return stars.changed(swapped)


def untell_normalisation(stars: Stars, share: float, generator: Generator) -> Stars:
    """Hide from a share of the stars which of the two normalisations a spectrum of lines has.

    A release that does not say, and spectra of other hands, are *unknown*: without this a network
    meets that for the first time when it is asked about them.
    """
    if share == 0.0:
        return stars
    classes: dict[str, Tensor] = {}
    for name in _line_spectra(stars):
        told = _uniform((len(stars), 1), stars, generator) >= share
        classes[f"{name}.class"] = stars[f"{name}.class"] * told
    return stars.changed(classes)


def _line_spectra(stars: Stars) -> list[str]:
    return [name for name in stars.with_samples() if name in stars.inputs.lines]


def hide_inputs(stars: Stars, inputs: Collection[str], share: float, generator: Generator) -> Stars:
    """Leave a share of the stars only a random subset of the inputs that can be used.

    Every input is kept with even odds; a star that would be left with none keeps all.
    """
    if share == 0.0:
        return stars
    usable = stars.present.clone()
    for column in (i for i, name in enumerate(stars.inputs.names) if name not in inputs):
        usable[:, column] = False
    chosen = _uniform((len(stars), 1), stars, generator) < share
    kept = usable & ((_uniform(usable.shape, stars, generator) < 0.5) | ~chosen)
    return replace(stars, present=torch.where(kept.any(dim=1, keepdim=True), kept, usable))


def _uniform(shape: tuple[int, ...], stars: Stars, generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=stars.present.device)
