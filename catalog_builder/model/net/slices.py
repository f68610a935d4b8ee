"""Numbers of stars that networks at work meet: whole batches or whole slices, so few shapes occur.

What lies between two convolutions of a slice of stars stays in a core's cache. And oneDNN keeps
code and buffers for every number of stars that it has met: where it is another one in each batch,
a worker grows by about 5 MB with each partition.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Stars in the convolutions at a time, and in a forward pass of what fills no batch.
SLICE = 128


def sliced(layers: Callable[..., Tensor], size: int | None, *columns: Tensor) -> Tensor:
    """Return what layers make of columns of b stars, `size` stars at a time; None is all."""
    if size is None or len(columns[0]) <= size:
        return layers(*columns)
    parts = zip(*(torch.split(column, size) for column in columns), strict=True)
    return torch.cat([layers(*part) for part in parts])


def whole_slices(rows: Tensor) -> Tensor:
    """Return numbers of stars, at least one, with the last one repeated until slices are whole."""
    missing = -len(rows) % SLICE
    return torch.cat([rows, rows[-1:].expand(missing)]) if missing else rows
