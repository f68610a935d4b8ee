"""Layers with their weights laid out for this processor beforehand: for prediction alone.

Where torch has oneDNN, its operators take weights that were rearranged once, compute with the
widest instructions that the processor has, and apply the activation as they write. They are those
that ``torch.compile`` uses, which itself would need a compiler where the program runs. Elsewhere
the layers stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from catalog_builder.model.net.layers import (
    FlatConvolution,
    FlatLinear,
    SiluLinear,
    Whitening,
    squash,
)
from catalog_builder.model.net.network import HybridNet, LineBranch
from catalog_builder.model.net.slices import SLICE

_NEEDED = (
    "_linear_pointwise",
    "_convolution_pointwise",
    "_reorder_linear_weight",
    "_reorder_convolution_weight",
)


def can_pack() -> bool:
    """Tell whether torch has the operators that packed layers use."""
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(there) and all(hasattr(torch.ops.mkldnn, name) for name in _NEEDED)


#: Stars per forward pass for which layouts are chosen; other numbers work as well.
_BATCH = 1024


def pack(network: HybridNet) -> HybridNet:
    """Replace the layers of a trained network on a CPU by packed ones, where that can be done.

    Parameters
    ----------
    network : HybridNet
        Changed in place; it can no longer be trained or saved.
    """
    if not can_pack() or next(network.parameters()).device.type != "cpu":
        return network
    with torch.no_grad():
        for parent in list(network.modules()):
            if isinstance(parent, LineBranch):
                parent.slice = SLICE
            for name, layer in parent.named_children():
                packed = _packed(layer)
                if packed is not None:
                    setattr(parent, name, packed)
    return network


class PackedLinear(nn.Module):
    """A layer, with or without SiLU behind it."""

    def __init__(self, weight: Tensor, bias: Tensor | None, act: str) -> None:
        super().__init__()
        dense = weight.detach().contiguous()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(dense, _BATCH)
        self._bias = None if bias is None else bias.detach()
        self._act = act

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (b, out) of (b, in)."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(
            hidden, self._weight, self._bias, self._act, [], ""
        )
        return out


class PackedFlatLinear(PackedLinear):
    """`FlatLinear`: its weights follow the samples as they lie, not as they would be flattened."""

    def __init__(self, layer: FlatLinear) -> None:
        by_sample = layer.weight.view(layer.out_features, layer.channels, -1).mT.flatten(1)
        super().__init__(by_sample, layer.bias, "none")

    def forward(self, images: Tensor) -> Tensor:
        """Return (b, out) of images (b, channels, 1, samples)."""
        return super().forward(images.permute(0, 2, 3, 1).flatten(1))


class PackedConvolution(nn.Module):
    """`FlatConvolution`."""

    def __init__(self, layer: FlatConvolution) -> None:
        super().__init__()
        self._stride, self._padding = [1, *layer.stride], [0, *map(int, layer.padding)]
        self._bias = None if layer.bias is None else layer.bias.detach()
        # The length is for the choice of a layout only; any serves.
        samples = 64 * layer.stride[0]
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(
            layer.weight.detach()[:, :, None].contiguous(),
            self._padding,
            self._stride,
            [1, 1],
            1,
            [_BATCH, layer.in_channels, 1, samples],
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return (b, channels, 1, samples), in the layout of the images."""
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            images,
            self._weight,
            self._bias,
            self._padding,
            self._stride,
            [1, 1],
            1,
            "swish",
            [],
            "",
        )
        return out


class PackedWhitening(nn.Module):
    """`Whitening`."""

    def __init__(self, whitening: Whitening) -> None:
        super().__init__()
        self.centre = whitening.centre
        self._axes = PackedLinear(whitening.axes.mT, None, "none")

    def forward(self, centred: Tensor) -> Tensor:
        """Return the components, (b, components), of spectra less the centre, (b, samples)."""
        return squash(self._axes(centred))


def _packed(layer: nn.Module) -> nn.Module | None:
    match layer:
        case FlatConvolution():
            return PackedConvolution(layer)
        case FlatLinear():
            return PackedFlatLinear(layer)
        case SiluLinear():
            return PackedLinear(layer.weight, layer.bias, "swish")
        case nn.Linear():
            return PackedLinear(layer.weight, layer.bias, "none")
        case Whitening():
            return PackedWhitening(layer)
        case _:
            return None
