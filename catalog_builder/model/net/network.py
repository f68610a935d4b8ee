"""The network: one branch per input, summed where present, a residual trunk, one Gaussian out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Generator, Tensor, nn

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import SpectrumInput
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.net.layers import (
    FlatConvolution,
    FlatLinear,
    ResidualBlock,
    Whitening,
    flat,
)
from catalog_builder.model.net.slices import sliced, whole_slices
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.design import shown
from catalog_builder.training.shapes import (
    FLUX_KERNELS,
    FLUX_STRIDES,
    LINE_KERNELS,
    LINE_STRIDES,
    samples_left,
    table_width,
    tables_of,
)


def _convolutions(
    channels: Sequence[int], kernels: Sequence[int], strides: Sequence[int]
) -> nn.ModuleList:
    return nn.ModuleList(
        FlatConvolution(channels[i], channels[i + 1], kernel, stride, padding=kernel // 2)
        for i, (kernel, stride) in enumerate(zip(kernels, strides, strict=True))
    )


class LineBranch(nn.Module):
    """A spectrum of lines by two ways, whitened components and convolutions: to (b, width)."""

    def __init__(self, settings: ModelSettings, spectrum: SpectrumInput) -> None:
        super().__init__()
        components = settings.components(spectrum)
        self.whitening = Whitening(spectrum.samples, components)
        self.components = nn.Linear(components, settings.width)
        channels = (2, *settings.line_channels)
        self.convolutions = _convolutions(channels, LINE_KERNELS, LINE_STRIDES)
        samples = samples_left(spectrum.samples, LINE_STRIDES)
        self.out = FlatLinear(channels[-1], samples, settings.width)
        self.normalisation = nn.Linear(2, settings.width)
        #: Stars that go through the convolutions at a time; None is all.
        self.slice: int | None = None

    def forward(self, spectra: Tensor, told: Tensor) -> Tensor:
        """Embed spectra (b, 2, samples), told which of two normalisations each has, (b, 2)."""
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


class LowResolutionBranch(nn.Module):
    """A spectrum of low resolution by two ways, components and convolutions: to (b, width)."""

    def __init__(self, settings: ModelSettings, spectrum: SpectrumInput) -> None:
        super().__init__()
        self.samples = spectrum.samples
        components = settings.components(spectrum)
        self.whitening = Whitening(self.samples, components)
        self.components = nn.Linear(components, settings.width)
        self.noise = nn.Linear(1, settings.width)
        filters = settings.flux_filters
        channels = (1, filters, 2 * filters, 2 * filters)
        self.convolutions = _convolutions(channels, FLUX_KERNELS, FLUX_STRIDES)
        left = samples_left(self.samples, FLUX_STRIDES)
        self.out = nn.Linear(channels[-1] * left, settings.width)

    def forward(self, columns: Tensor) -> Tensor:
        """Embed standardised columns, (b, samples + 1)."""
        flux, noise = columns[:, : self.samples], columns[:, self.samples :]
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


class HybridNet(nn.Module):
    """Labels and their covariance from any subset of the inputs it was built for.

    Parameters
    ----------
    settings : ModelSettings
        Sizes of the layers.
    contract : Contract
        What labels and inputs there are.
    inputs : sequence of str
        Those of the contract's to build branches for; others are ignored when given.
    """

    built: Tensor

    def __init__(self, settings: ModelSettings, contract: Contract, inputs: Sequence[str]) -> None:
        super().__init__()
        known = contract.inputs.names
        if not inputs or not set(inputs) <= set(known):
            raise ModelError(
                f"a network cannot be built for the inputs {list(inputs)}.",
                f"Give at least one of {', '.join(known)}.",
            )
        self.contract = contract
        self.inputs = tuple(name for name in known if name in inputs)
        self.width = width = settings.width
        self.tables = {
            name: owners
            for name, owners in tables_of(contract.inputs).items()
            if set(owners) <= set(self.inputs)
        }
        self.branches = self._branches(settings)
        built = torch.tensor([name in self.inputs for name in known])
        self.register_buffer("built", built, persistent=False)
        self.presence = nn.Linear(len(known), width)
        self.trunk = nn.ModuleList(
            ResidualBlock(width, settings.dropout) for _ in range(settings.depth)
        )
        self.normalise = nn.LayerNorm(width)
        self.head = nn.Linear(width, contract.outputs)

    def _branches(self, settings: ModelSettings) -> nn.ModuleDict:
        """Build the branches; random weights are drawn in their order."""
        seen = self.contract.inputs
        branches: dict[str, nn.Module] = {}
        for name, spectrum in seen.spectra.items():
            if name in self.inputs:
                kind = LineBranch if spectrum.kind == "lines" else LowResolutionBranch
                branches[name] = kind(settings, spectrum)
        for name in self.tables:
            branches[name] = nn.Linear(table_width(seen, name), self.width)
        self.names = tuple(branches)
        # A module cannot be called as a method of torch's: no input has a name with a hyphen.
        return nn.ModuleDict(
            {
                f"input-{name}" if hasattr(nn.ModuleDict, name) else name: branch
                for name, branch in branches.items()
            }
        )

    def named_branches(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the branches with the names of their inputs or tables, in order."""
        return zip(self.names, self.branches.values(), strict=True)

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
        return {
            name: branch.whitening
            for name, branch in self.named_branches()
            if isinstance(branch, LineBranch | LowResolutionBranch)
        }

    def usable(self, present: Tensor) -> Tensor:
        """Return `present` (b, i) without the inputs this network was not built for."""
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
            (b, i) bool, in the order of the contract's inputs: what the network may use.
        generator : Generator, optional
            Source of the dropout; without it nothing is dropped.

        Returns
        -------
        Tensor
            (b, outputs).
        """
        usable = self.usable(present)
        return self.answer(self.embed(columns, usable), usable, generator)

    def embed(self, columns: Mapping[str, Tensor], usable: Tensor) -> dict[str, Tensor]:
        """Return what each branch makes of its input, (b, width); 0 where it is not `usable`."""
        embedded: dict[str, Tensor] = {}
        seen = self.contract.inputs
        for name, branch in self.named_branches():
            if isinstance(branch, LineBranch):
                told = columns[f"{name}.class"]
                has = usable[:, seen.place(name)]
                embedded[name] = self._embed_lines(branch, columns[name], told, has)
            else:
                owners = self.tables.get(name, (name,))
                embedded[name] = _where_shown(branch(columns[name]), shown(usable, seen, owners))
        return embedded

    def _embed_lines(
        self, branch: LineBranch, spectra: Tensor, told: Tensor, usable: Tensor
    ) -> Tensor:
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
        """Return means and Cholesky elements, (b, outputs), from what the branches made.

        Embeddings left out, with `usable` to match, hide an input without the cost of a branch.
        """
        hidden: Tensor = self.presence(usable.to(torch.float32))
        for values in embedded.values():
            hidden = hidden + values
        for block in self.trunk:
            hidden = block(hidden, generator)
        out: Tensor = self.head(self.normalise(hidden))
        return out


def _where_shown(embedded: Tensor, present: Tensor) -> Tensor:
    """Return (b, width) with 0 where an input is not present, (b, 1)."""
    # Mostly all have it, and a processor multiplies no faster than it computes a small layer. A GPU
    # would stall to find out.
    if present.device.type == "cpu" and bool(present.all()):
        return embedded
    return embedded * present
