"""Layers of the network that torch does not have, or not as fast."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from catalog_builder.training.design import asinh

# Principal components beyond this many deviations are compressed: an odd spectrum stays odd
# without drowning everything else.
_SQUASH = 5.0


class Whitening(nn.Module):
    """Principal components of a spectrum, each of deviation 1 among the fit stars.

    The faint components hold most of what tells log g and abundances, and a network that meets
    them at their natural size of a thousandth learns them late or never.
    """

    centre: Tensor
    axes: Tensor

    def __init__(self, samples: int, components: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(samples))
        self.register_buffer("axes", torch.zeros(samples, components))

    def set_axes(self, centre: Tensor, axes: Tensor) -> None:
        """Give the mean spectrum, (samples,), and the axes, (samples, components)."""
        self.centre.copy_(centre)
        self.axes.copy_(axes)

    def forward(self, centred: Tensor) -> Tensor:
        """Return the components, (b, components), of spectra less the centre, (b, samples)."""
        # In half precision the faint components would drown in the rounding of the strong ones.
        with torch.autocast(centred.device.type, enabled=False):
            return squash(centred @ self.axes)


def squash(components: Tensor) -> Tensor:
    """Compress what is beyond some deviations, as a logarithm does."""
    return _SQUASH * asinh(components / _SQUASH)


class FlatConvolution(nn.Conv1d):
    """A convolution and SiLU of spectra that are images one sample high, (b, c, 1, samples).

    With the channels side by side in memory, a layout that torch has in two dimensions only, the
    four of a branch for lines take 0.7 of the time.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return (b, channels, 1, samples), in the layout of the images."""
        stride, padding = (1, *self.stride), (0, *map(int, self.padding))
        # Of a single channel torch cannot tell the layout of the images: the kernel's decides.
        kernel = self.weight[:, :, None].contiguous(memory_format=torch.channels_last)
        return functional.silu(functional.conv2d(images, kernel, self.bias, stride, padding))


class FlatLinear(nn.Linear):
    """A layer over all samples of images one sample high: flattened, as they lie in memory."""

    def __init__(self, channels: int, samples: int, width: int) -> None:
        super().__init__(channels * samples, width)
        self.channels = channels

    def forward(self, images: Tensor) -> Tensor:
        """Return (b, width) of images (b, channels, 1, samples)."""
        kernel = self.weight.view(-1, *images.shape[1:])
        return functional.conv2d(images, kernel, self.bias).flatten(1)


class SiluLinear(nn.Linear):
    """A layer and SiLU."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Return silu(W hidden + b)."""
        return functional.silu(super().forward(hidden))


def flat(spectra: Tensor) -> Tensor:
    """Return spectra (b, samples, channels) as images (b, channels, 1, samples), not moved."""
    return spectra[:, None].permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Normalise, two layers, add; starts as the identity."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.normalise = nn.LayerNorm(width)
        self.inner = SiluLinear(width, width)
        self.outer = nn.Linear(width, width)
        self.dropout = dropout

    def forward(self, hidden: Tensor, generator: Generator | None) -> Tensor:
        """Return hidden (b, width) with the block's change added."""
        inner = self.inner(self.normalise(hidden))
        change: Tensor = self.outer(drop(inner, self.dropout, generator))
        return hidden + change


def drop(values: Tensor, share: float, generator: Generator | None) -> Tensor:
    """Dropout from a given generator; torch's own draws from a state all threads share."""
    if generator is None or share == 0.0:
        return values
    kept = torch.rand(values.shape, generator=generator, device=values.device) >= share
    return values * kept / (1.0 - share)
