"""Sizes that follow from a contract: of tables, of what convolutions leave. Free of torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import PARALLAX, Inputs, SpectrumInput

#: Table of the parallax and the magnitude together. It exists where both do, so that a star without
#: photometry does not see its magnitude by another door.
LUMINOSITY: Final = "luminosity"
#: Scaling of the labels, beside those of the inputs.
LABELS: Final = "labels"

#: Convolutions over spectra of lines, and over those of low resolution: kernels and strides.
LINE_KERNELS: Final = (9, 7, 5, 5)
LINE_STRIDES: Final = (2, 2, 2, 2)
FLUX_KERNELS: Final = (11, 7, 5)
FLUX_STRIDES: Final = (4, 3, 2)

_PARALLAX_WIDTH, _LUMINOSITY_WIDTH = 3, 2


def samples_left(samples: int, strides: Iterable[int]) -> int:
    """Return how many samples convolutions leave of a spectrum."""
    for stride in strides:
        samples = math.ceil(samples / stride)
    return samples


def flux_width(spectrum: SpectrumInput) -> int:
    """Return the columns of a spectrum of low resolution: its flux, and the relative noise."""
    return spectrum.samples + 1


def tables_of(inputs: Inputs) -> dict[str, tuple[str, ...]]:
    """Return the tables of numbers that a network sees, and the inputs that each is made of."""
    tables: dict[str, tuple[str, ...]] = {name: (name,) for name in inputs.photometry}
    if inputs.parallax:
        tables[PARALLAX] = (PARALLAX,)
        if inputs.magnitude_owner is not None:
            tables[LUMINOSITY] = (inputs.magnitude_owner, PARALLAX)
    return tables


def table_width(inputs: Inputs, name: str) -> int:
    """Return the columns of one of `tables_of`."""
    if name in inputs.photometry:
        return inputs.photometry[name].width
    return _LUMINOSITY_WIDTH if name == LUMINOSITY else _PARALLAX_WIDTH


def widths_of(contract: Contract) -> dict[str, int]:
    """Return the columns of all that is standardised: low-resolution flux, tables, the labels.

    Spectra of lines are normalised already and are not standardised.
    """
    inputs = contract.inputs
    return {
        **{name: flux_width(spectrum) for name, spectrum in inputs.low_resolution.items()},
        **{name: table_width(inputs, name) for name in tables_of(inputs)},
        LABELS: len(contract.labels),
    }


def learnt_from(contract: Contract) -> dict[str, Any]:
    """Return, as JSON types, what scaling and weights depend on beside the stars: no words."""
    inputs = contract.inputs
    return {
        "labels": [(label.name, label.learnt_as) for label in contract.labels],
        # Lists, for the order of inputs is that of arrays.
        "spectra": [(name, one.kind, one.samples) for name, one in inputs.spectra.items()],
        "photometry": [
            (name, [(band, one.column) for band, one in bands.bands.items()], bands.colours)
            for name, bands in inputs.photometry.items()
        ],
        "parallax": inputs.parallax,
    }
