"""What is done to fit stars in a step: strangers' spectra, extra noise, what is not told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Generator, Tensor

from catalog_builder.model.inputs import MODALITIES, Stars


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
    fluxes: dict[str, Tensor] = {}
    for name in ("rvs", "xp"):
        flux: Tensor = getattr(stars, f"{name}_flux")
        error: Tensor = getattr(stars, f"{name}_flux_error")
        if not flux.numel():
            continue
        noise = torch.randn(flux.shape, generator=generator, device=flux.device)
        fluxes |= {f"{name}_flux": flux + k * error * noise, f"{name}_flux_error": error * growth}
    return replace(stars, **fluxes)


def swap_rvs(stars: Stars, share: float, generator: Generator) -> Stars:
    """Give a share of the stars the RVS spectrum of another star of nearly the same colour.

    Blends and mistaken identities are rare in a training set and not in an archive. A network that
    has met spectra that contradict the other inputs trusts them less where they do, and says so in
    its sigma.
    """
    if share == 0.0 or not stars.rvs_flux.numel() or not stars.photometry.numel():
        return stars
    order = torch.argsort(stars.photometry[:, 1])
    giver = torch.empty_like(order)
    giver[order] = order.roll(1)
    both = stars.present[:, 0] & stars.present[giver, 0]
    chosen = both & (_uniform((len(stars),), stars, generator) < share)
    rows = torch.where(chosen, giver, torch.arange(len(stars), device=giver.device))
    names = ("rvs_flux", "rvs_flux_error", "rvs_mask", "rvs_class")
    return replace(stars, **{name: getattr(stars, name)[rows] for name in names})


def untell_normalisation(stars: Stars, share: float, generator: Generator) -> Stars:
    """Hide from a share of the stars which of the two normalisations their RVS spectrum has.

    A release that does not say, and spectra of other hands, are *unknown*: without this a network
    meets that for the first time when it is asked about them.
    """
    if share == 0.0 or not stars.rvs_flux.numel():
        return stars
    told = _uniform((len(stars), 1), stars, generator) >= share
    return replace(stars, rvs_class=stars.rvs_class * told)


def hide_inputs(stars: Stars, inputs: Collection[str], share: float, generator: Generator) -> Stars:
    """Leave a share of the stars only a random subset of the inputs that can be used.

    Every input is kept with even odds; a star that would be left with none keeps all.
    """
    if share == 0.0:
        return stars
    usable = stars.present.clone()
    for column in (i for i, name in enumerate(MODALITIES) if name not in inputs):
        usable[:, column] = False
    chosen = _uniform((len(stars), 1), stars, generator) < share
    kept = usable & ((_uniform(usable.shape, stars, generator) < 0.5) | ~chosen)
    return replace(stars, present=torch.where(kept.any(dim=1, keepdim=True), kept, usable))


def _uniform(shape: tuple[int, ...], stars: Stars, generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=stars.present.device)
