"""The measures of how good the labels are, in all and per regime of S/N or brightness."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.labels import Labels
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.arrays import Block, signal_to_noise

Array = NDArray[np.float64]

# Standard deviations within which 95 % of a Gaussian lie.
GAUSSIAN_95 = 1.959963984540054
# 1.4826 x the median absolute deviation is the standard deviation of a Gaussian.
MAD_TO_SIGMA = 1.482602218505602


class Edges(Protocol):
    """What separates the regimes: the settings of a model, or what is known of them."""

    @property
    def snr_edges(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def magnitude_edges(self) -> tuple[float, ...]: ...  # noqa: D102


def regime_names(settings: Edges, inputs: Inputs) -> list[str]:
    """Return the names of the regimes, in the order of `regimes`."""
    bright = _bin_names(inputs.magnitude or "magnitude", settings.magnitude_edges)
    line = next(iter(inputs.lines), None)
    if line is None:
        return bright
    quantity = inputs.spectra[line].sig_to_noise or f"{line}_sig_to_noise"
    snr, title = _bin_names(quantity, settings.snr_edges), inputs.title(line)
    return [
        *(f"with {title}, {name}" for name in snr),
        *(f"without {title}, {name}" for name in bright),
    ]


def regimes(
    block: Block, used: NDArray[np.bool_], settings: Edges, inputs: Inputs
) -> NDArray[np.int64]:
    """Return each star's regime, (n,), from what was `used` (n, i).

    By the S/N of the first spectrum of lines, or by the magnitude where it was not used. Stars
    whose S/N or magnitude is not known belong to the last bin of their kind, *unknown*.
    """
    unknown = np.full(len(used), np.nan)
    magnitude = unknown if inputs.magnitude is None else block[inputs.magnitude]
    bright = _bins(magnitude, settings.magnitude_edges)
    line = next(iter(inputs.lines), None)
    if line is None:
        return bright
    snr = _bins(signal_to_noise(block, line, inputs), settings.snr_edges)
    return np.where(used[:, inputs.place(line)], snr, len(settings.snr_edges) + 2 + bright)


def label_metrics(
    mean: Array,
    sigma: Array,
    interval95: Array,
    labels: Array,
    label_error: Array,
    *,
    declared: Labels,
) -> dict[str, dict[str, float | int]]:
    """Return how predictions compare with labels, per label.

    Returns
    -------
    dict
        For each label with a star: ``stars``, ``robust_scatter`` (1.4826 x the median absolute
        deviation about the median), ``bias`` (median difference), ``rmse``, ``coverage_68``, the
        share of stars within sqrt(sigma^2 + e_label^2), and ``coverage_95``, the share within
        the 95 % interval widened by 1.96 e_label in quadrature. Units are those of the labels.
    """
    metrics: dict[str, dict[str, float | int]] = {}
    for column, name in enumerate(declared.names):
        difference = mean[:, column] - labels[:, column]
        known = np.isfinite(difference)
        if not known.any():
            continue
        d = difference[known]
        error = np.nan_to_num(label_error[known, column])
        within_68 = np.abs(d) <= np.hypot(sigma[known, column], error)
        within_95 = np.abs(d) <= np.hypot(interval95[known, column], GAUSSIAN_95 * error)
        metrics[name] = {
            "stars": int(known.sum()),
            "robust_scatter": float(MAD_TO_SIGMA * np.median(np.abs(d - np.median(d)))),
            "bias": float(np.median(d)),
            "rmse": float(np.sqrt(np.mean(d**2))),
            "coverage_68": float(np.mean(within_68)),
            "coverage_95": float(np.mean(within_95)),
        }
    return metrics


def metrics_by_regime(
    mean: Array,
    sigma: Array,
    interval95: Array,
    labels: Array,
    label_error: Array,
    regime: NDArray[np.int64],
    *,
    settings: ModelSettings,
    contract: Contract,
) -> dict[str, Any]:
    """Return `label_metrics` of each regime that has stars, by its name."""
    result = {}
    for number, name in enumerate(regime_names(settings, contract.inputs)):
        stars = regime == number
        if stars.any():
            result[name] = label_metrics(
                mean[stars],
                sigma[stars],
                interval95[stars],
                labels[stars],
                label_error[stars],
                declared=contract.labels,
            )
    return result


def _bins(values: NDArray[np.generic], edges: tuple[float, ...]) -> NDArray[np.int64]:
    numbers = np.asarray(values, dtype=np.float64)
    found = np.searchsorted(np.array(edges), numbers, side="right")
    return np.where(np.isfinite(numbers), found, len(edges) + 1)


def _bin_names(quantity: str, edges: tuple[float, ...]) -> list[str]:
    if not edges:
        return [f"{quantity} known", f"{quantity} unknown"]
    inner = [f"{edges[i]:g} <= {quantity} < {edges[i + 1]:g}" for i in range(len(edges) - 1)]
    outer = (f"{quantity} < {edges[0]:g}", f"{quantity} >= {edges[-1]:g}")
    return [outer[0], *inner, outer[1], f"{quantity} unknown"]
