"""The network: one branch per input, summed where present, a residual trunk, one Gaussian out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from catalog_builder.errors import ModelError
from catalog_builder.features.rvs import N_PIXELS
from catalog_builder.features.xp import N_SAMPLES
from catalog_builder.model.inputs import LABELS, MODALITIES, WIDTHS, asinh
from catalog_builder.model.settings import ModelSettings
from catalog_builder.model.slices import sliced, whole_slices

# Mean of each label and the lower triangle of a 5 x 5 Cholesky factor.
OUTPUTS = len(LABELS) + len(LABELS) * (len(LABELS) + 1) // 2
_KERNELS = (9, 7, 5, 5)
_STRIDE = 2
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
    four of the RVS branch take 0.7 of the time.
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


class RvsBranch(nn.Module):
    """RVS spectrum by two ways, whitened components and convolutions, (b, 2, 800) -> (b, width)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.whitening = Whitening(N_PIXELS, settings.rvs_components)
        self.components = nn.Linear(settings.rvs_components, settings.width)
        channels = (2, *settings.rvs_channels)
        self.convolutions = nn.ModuleList(
            FlatConvolution(channels[i], channels[i + 1], kernel, _STRIDE, padding=kernel // 2)
            for i, kernel in enumerate(_KERNELS)
        )
        samples = N_PIXELS // _STRIDE ** len(_KERNELS)
        self.out = FlatLinear(channels[-1], samples, settings.width)
        self.normalisation = nn.Linear(2, settings.width)
        #: Stars that go through the convolutions at a time; None is all.
        self.slice: int | None = None

    def forward(self, spectra: Tensor, told: Tensor) -> Tensor:
        """Embed spectra, told which of the two normalisations each has, (b, 2)."""
        depth, trust = spectra[:, 0], spectra[:, 1]
        # A masked sample, of depth and trust 0, is as deep as the mean spectrum there: it says
        # nothing.
        centred = torch.addcmul(depth, trust.sign(), self.whitening.centre, value=-1.0)
        embedded: Tensor = (
            self.components(self.whitening(centred))
            + sliced(self._convolve, self.slice, centred, trust)
            + self.normalisation(told)
        )
        return embedded

    def _convolve(self, centred: Tensor, trust: Tensor) -> Tensor:
        hidden = flat(torch.stack([centred, trust], dim=2))
        for convolution in self.convolutions:
            hidden = convolution(hidden)
        out: Tensor = self.out(hidden)
        return out


class XpBranch(nn.Module):
    """XP spectrum by two ways, whitened components and convolutions, (b, 344) -> (b, width)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.whitening = Whitening(N_SAMPLES, settings.xp_components)
        self.components = nn.Linear(settings.xp_components, settings.width)
        self.noise = nn.Linear(WIDTHS["xp"] - N_SAMPLES, settings.width)
        filters = settings.xp_filters
        self.convolutions = nn.ModuleList(
            [
                FlatConvolution(1, filters, 11, 4, padding=5),
                FlatConvolution(filters, 2 * filters, 7, 3, padding=3),
                FlatConvolution(2 * filters, 2 * filters, 5, 2, padding=2),
            ]
        )
        samples = N_SAMPLES
        for stride in (4, 3, 2):
            samples = math.ceil(samples / stride)
        self.out = nn.Linear(2 * filters * samples, settings.width)

    def forward(self, columns: Tensor) -> Tensor:
        """Embed standardised XP columns."""
        flux, noise = columns[:, :N_SAMPLES], columns[:, N_SAMPLES:]
        centred = flux - self.whitening.centre
        hidden = flat(centred[:, :, None])
        for convolution in self.convolutions:
            hidden = convolution(hidden)
        embedded: Tensor = (
            self.components(self.whitening(centred))
            + self.noise(noise)
            + self.out(hidden.flatten(1))
        )
        return embedded


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


class HybridNet(nn.Module):
    """Labels and their covariance from any subset of the inputs it was built for.

    Parameters
    ----------
    settings : ModelSettings
        Sizes of the layers.
    inputs : sequence of str
        The `MODALITIES` to build branches for; others are ignored when given.
    """

    built: Tensor

    def __init__(self, settings: ModelSettings, inputs: Sequence[str]) -> None:
        super().__init__()
        if not inputs or not set(inputs) <= set(MODALITIES):
            raise ModelError(
                f"a network cannot be built for the inputs {list(inputs)}.",
                f"Give at least one of {', '.join(MODALITIES)}.",
            )
        self.inputs = tuple(name for name in MODALITIES if name in inputs)
        self.width = width = settings.width
        self.branches = nn.ModuleDict()
        if "rvs" in self.inputs:
            self.branches["rvs"] = RvsBranch(settings)
        if "xp" in self.inputs:
            self.branches["xp"] = XpBranch(settings)
        for name in self._tables():
            self.branches[name] = nn.Linear(WIDTHS[name], width)
        built = torch.tensor([name in self.inputs for name in MODALITIES])
        self.register_buffer("built", built, persistent=False)
        self.presence = nn.Linear(len(MODALITIES), width)
        self.trunk = nn.ModuleList(
            ResidualBlock(width, settings.dropout) for _ in range(settings.depth)
        )
        self.normalise = nn.LayerNorm(width)
        self.head = nn.Linear(width, OUTPUTS)

    def _tables(self) -> tuple[str, ...]:
        tables = tuple(name for name in ("photometry", "parallax") if name in self.inputs)
        return (*tables, "luminosity") if len(tables) == 2 else tables

    def initialise(self, generator: Generator) -> None:
        """Draw all weights anew from one generator, free of the process-wide random state."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv1d):
                fan_in = module.weight[0].numel()
                nn.init.normal_(module.weight, std=fan_in**-0.5, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in self.trunk:
            if isinstance(block, ResidualBlock):
                nn.init.zeros_(block.outer.weight)
        nn.init.normal_(self.head.weight, std=1e-2, generator=generator)

    def whitenings(self) -> dict[str, Whitening]:
        """Return the whitening of every branch that has one, to be given its axes."""
        branches = {name: self.branches[name] for name in ("rvs", "xp") if name in self.branches}
        return {
            name: branch.whitening
            for name, branch in branches.items()
            if isinstance(branch, RvsBranch | XpBranch)
        }

    def usable(self, present: Tensor) -> Tensor:
        """Return `present` (b, 4) without the inputs this network was not built for."""
        return present & self.built

    def forward(
        self, columns: Mapping[str, Tensor], present: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """Return means and Cholesky elements of the scaled labels.

        Parameters
        ----------
        columns : mapping of str to Tensor
            As `network_columns` gives them.
        present : Tensor
            (b, 4) bool, in the order of `MODALITIES`: what the network may use.
        generator : Generator, optional
            Source of the dropout; without it nothing is dropped.

        Returns
        -------
        Tensor
            (b, 20).
        """
        usable = self.usable(present)
        return self.answer(self.embed(columns, usable), usable, generator)

    def embed(self, columns: Mapping[str, Tensor], usable: Tensor) -> dict[str, Tensor]:
        """Return what each branch makes of its input, (b, width); 0 where it is not `usable`."""
        embedded: dict[str, Tensor] = {}
        if "rvs" in self.branches:
            embedded["rvs"] = self._embed_rvs(columns, usable[:, 0])
        if "xp" in self.branches:
            embedded["xp"] = _where_shown(self.branches["xp"](columns["xp"]), usable[:, 1:2])
        shown = {
            "photometry": usable[:, 2:3],
            "parallax": usable[:, 3:4],
            "luminosity": usable[:, 2:3] & usable[:, 3:4],
        }
        for name in self._tables():
            embedded[name] = _where_shown(self.branches[name](columns[name]), shown[name])
        return embedded

    def _embed_rvs(self, columns: Mapping[str, Tensor], usable: Tensor) -> Tensor:
        spectra, told, branch = columns["rvs"], columns["rvs_class"], self.branches["rvs"]
        if spectra.device.type != "cpu":
            # To count the spectra would stall a GPU, and costs it more than to embed them all.
            masked: Tensor = branch(spectra, told) * usable[:, None]
            return masked
        # Convolutions are most of the cost: only stars that have a spectrum go through them.
        rows = torch.nonzero(usable)[:, 0]
        if len(rows) == len(usable):
            whole: Tensor = branch(spectra, told)
            return whole
        embedded = spectra.new_zeros(len(usable), self.width)
        if not len(rows):
            return embedded
        asked = rows if branch.slice is None else whole_slices(rows)
        made = branch(spectra[asked], told[asked])[: len(rows)]
        return embedded.index_add(0, rows, made)

    def answer(
        self, embedded: Mapping[str, Tensor], usable: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """Return means and Cholesky elements, (b, 20), from what the branches made.

        Embeddings left out, with `usable` to match, hide an input without the cost of a branch.
        """
        hidden: Tensor = self.presence(usable.to(torch.float32))
        for values in embedded.values():
            hidden = hidden + values
        for block in self.trunk:
            hidden = block(hidden, generator)
        out: Tensor = self.head(self.normalise(hidden))
        return out


def _where_shown(embedded: Tensor, shown: Tensor) -> Tensor:
    """Return (b, width) with 0 where an input is not shown, (b, 1)."""
    # Mostly all have it, and a processor multiplies no faster than it computes a small layer. A GPU
    # would stall to find out.
    if shown.device.type == "cpu" and bool(shown.all()):
        return embedded
    return embedded * shown


def drop(values: Tensor, share: float, generator: Generator | None) -> Tensor:
    """Dropout from a given generator; torch's own draws from a state all threads share."""
    if generator is None or share == 0.0:
        return values
    kept = torch.rand(values.shape, generator=generator, device=values.device) >= share
    return values * kept / (1.0 - share)
