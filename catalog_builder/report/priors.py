"""How much of the answers is the training population's: sums of the column ``prior_share``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.schema import PRIOR_SHARE, CatalogSchema
from catalog_builder.report.histogram import Axis, Counts, Histogram, quantiles

SHARE: Final = Axis(0.0, 1.0, 100, clip=True)
MAGNITUDE: Final = Axis(0.0, 23.0, 23)
#: Eight bins a decade, as the sums of stars with labels have four.
RATIO: Final = Axis(1.0, 10000.0, 32, log=True)
#: Inputs that subsets are made of: of more there would be too many, and few stars of each.
_MOST: Final = 8


class Priors:
    """Histograms of fixed size, which lie in a `Summary`.

    Attributes
    ----------
    inputs : tuple of str
        Of which it is looked at which were used.
    by_inputs : Histogram or None
        Subset of the inputs, a bit for each, and share; None without the column.
    by_ratio : Histogram or None
        S/N of the first spectrum of lines, where it was used, and share.
    by_magnitude : Histogram or None
        Magnitude and share, of stars without that spectrum; of all, where there is none.
    """

    def __init__(self, schema: CatalogSchema) -> None:
        inputs = schema.inputs
        self._schema, self.inputs = schema, inputs.names[:_MOST]
        self.line = next(iter(inputs.lines), None)
        self._ratio = None if self.line is None else inputs.spectra[self.line].sig_to_noise
        self.by_inputs = self.by_ratio = self.by_magnitude = None
        if PRIOR_SHARE not in schema.names:
            return
        subsets = 1 << len(self.inputs)
        self.by_inputs = Histogram(Axis(0.0, float(subsets), subsets), SHARE)
        if self._ratio is not None:
            self.by_ratio = Histogram(RATIO, SHARE)
        if inputs.magnitude is not None:
            self.by_magnitude = Histogram(MAGNITUDE, SHARE)

    @property
    def histograms(self) -> list[Histogram]:
        """Return all there are."""
        found = self.by_inputs, self.by_ratio, self.by_magnitude
        return [one for one in found if one is not None]

    def add(self, block: Mapping[str, NDArray[Any]]) -> None:
        """Add the rows of a block."""
        if self.by_inputs is None:
            return
        share, subset = block[PRIOR_SHARE], np.zeros(len(block[PRIOR_SHARE]))
        with_line = np.zeros(len(share), dtype=bool)
        for place, name in enumerate(self.inputs):
            used = self._schema.flags.test(block, f"{name}_used")
            subset += used * float(1 << place)
            if name == self.line:
                with_line = used
        self.by_inputs.add(subset + 0.5, share)
        if self.by_ratio is not None:
            self.by_ratio.add(block[str(self._ratio)], share, where=with_line)
        if self.by_magnitude is not None:
            magnitude = block[str(self._schema.inputs.magnitude)]
            self.by_magnitude.add(magnitude, share, where=~with_line)

    def subsets(self) -> list[tuple[tuple[str, ...], Counts]]:
        """Return which inputs were used together, and the shares then; most stars first."""
        if self.by_inputs is None:
            return []
        counts = self.by_inputs.counts
        found = np.flatnonzero(counts.sum(axis=1))
        order = found[np.argsort(-counts[found].sum(axis=1), kind="stable")]
        return [
            (tuple(n for at, n in enumerate(self.inputs) if place >> at & 1), counts[place])
            for place in order.tolist()
        ]


def of_share(counts: Counts) -> tuple[float, float, float]:
    """Return 16, 50 and 84 % of shares."""
    low, middle, high = quantiles(counts, SHARE, 0.16, 0.5, 0.84)
    return float(low), float(middle), float(high)
