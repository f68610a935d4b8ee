"""One small function per kind of flag bit: arrays in, one boolean per star out.

A function added to :data:`PREDICATES` can be named as the ``test`` of a bit in
``schemas/flags.yaml``; its keyword arguments are the bit's ``parameters``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.ground.errors import ConfigError

Bools = NDArray[np.bool_]
Range = tuple[float, float]


@dataclass(frozen=True)
class FlagContext:
    """All that a predicate may look at, for n stars.

    Attributes
    ----------
    contract : Contract
        Labels and inputs.
    mean : ndarray of float, shape (n, labels)
        Labels as published, NaN where null.
    inputs_used : ndarray of bool, shape (n, inputs)
        Which inputs the labels were derived from.
    features : mapping of str to ndarray of shape (n, ...)
        The feature block: magnitudes in mag, parallaxes in mas.
    label_range : mapping of str to (float, float)
        Smallest and largest training label; a label that was not trained may be absent.
    magnitude_range, parallax_range : (float, float), optional
        The same for the training stars' magnitude and parallax in mas; None if none had any.
    distances : mapping of str to ndarray of float, shape (n,)
        How unlike the training stars, by the name of the distance, in units of its limit; NaN
        where there was nothing to test.
    """

    contract: Contract
    mean: NDArray[np.floating[Any]]
    inputs_used: Bools
    features: Mapping[str, NDArray[Any]]
    label_range: Mapping[str, Range] = field(default_factory=dict)
    magnitude_range: Range | None = None
    parallax_range: Range | None = None
    distances: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)

    def column(self, key: str) -> NDArray[Any]:
        """Return a column of numbers from the archive, (n,); all NaN where the release has none."""
        return self.features.get(key, np.full(len(self.mean), np.nan))


Predicate = Callable[..., Bools]


def input_used(context: FlagContext, *, modality: str) -> Bools:
    """Tell where this input took part in the prediction."""
    place = _position(context.contract.inputs.names, modality)
    return np.asarray(context.inputs_used[:, place], dtype=bool)


def label_outside_range(context: FlagContext, *, label: str) -> Bools:
    """Tell where a label lies outside the range of the training labels; null lies nowhere."""
    return _outside(_label(context, label), context.label_range.get(label))


def magnitude_outside_range(context: FlagContext) -> Bools:
    """Tell where the magnitude lies outside the training range; a missing one lies nowhere."""
    column = context.contract.inputs.magnitude
    if column is None:
        return np.zeros(len(context.mean), dtype=bool)
    return _outside(context.features[column], context.magnitude_range)


def parallax_outside_range(context: FlagContext) -> Bools:
    """Tell where the parallax lies outside the training range; a missing one lies nowhere.

    The zero point is subtracted where it is known; of a few hundredths of a mas, it is no reason
    to leave a star without a test.
    """
    corrected = context.features["parallax_corrected"]
    parallax = np.where(np.isfinite(corrected), corrected, context.features["parallax"])
    return _outside(parallax, context.parallax_range)


def parallax_fallback(context: FlagContext) -> Bools:
    """Tell where the parallax's zero point is that of the release's fallback."""
    return np.asarray(context.features["parallax_fallback"], dtype=bool)


def low_sig_to_noise(context: FlagContext, *, spectrum: str, threshold: float) -> Bools:
    """Tell where a spectrum was used and has a known S/N below the threshold."""
    used = input_used(context, modality=spectrum)
    found = context.contract.inputs.spectra.get(spectrum)
    if found is None or found.sig_to_noise is None:
        raise ConfigError(
            f"flags.yaml asks for the S/N of {spectrum!r}, for which no column is declared.",
            "Correct the parameters of the bit.",
        )
    low: Bools = used & (context.features[found.sig_to_noise] < threshold)
    return low


def beyond_limit(context: FlagContext, *, distance: str) -> Bools:
    """Tell where a distance to the training stars is beyond its limit; untested is not beyond."""
    if distance not in context.distances:
        raise ConfigError(
            f"flags.yaml asks for the distance {distance!r}, which is none of "
            f"{', '.join(context.distances)}.",
            "Correct the parameters of the bit.",
        )
    beyond: Bools = context.distances[distance] > 1.0
    return beyond


def label_not_available(context: FlagContext, *, label: str) -> Bools:
    """Tell where a label is null."""
    null: Bools = ~np.isfinite(_label(context, label))
    return null


def not_predicted(context: FlagContext) -> Bools:
    """Tell where all labels are null."""
    unknown: Bools = ~np.isfinite(context.mean).any(axis=1)
    return unknown


PREDICATES: Final[Mapping[str, Predicate]] = {
    predicate.__name__: predicate
    for predicate in (
        input_used,
        label_outside_range,
        magnitude_outside_range,
        parallax_outside_range,
        parallax_fallback,
        low_sig_to_noise,
        beyond_limit,
        label_not_available,
        not_predicted,
    )
}


def _label(context: FlagContext, label: str) -> NDArray[np.floating[Any]]:
    return context.mean[:, _position(context.contract.labels.names, label)]


def _position(names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise ConfigError(
            f"flags.yaml asks for {name!r}, which is none of {', '.join(names)}.",
            "Correct the parameters of the bit.",
        )
    return names.index(name)


def _outside(values: NDArray[Any], limits: Range | None) -> Bools:
    if limits is None:
        return np.zeros(values.shape, dtype=bool)
    low, high = limits
    # Comparisons with NaN are false: a missing value is inside and outside of nothing.
    outside: Bools = (values < low) | (values > high)
    return outside
