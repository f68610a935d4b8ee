"""Sigma made honest on stars that trained nothing, and the measures of how good the labels are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.model.inputs import LABELS, Block
from catalog_builder.model.settings import ModelSettings

Array = NDArray[np.float64]

# Share of a Gaussian within 1 sigma.
ONE_SIGMA = 0.682689492137086
# 1.4826 x the median absolute deviation is the standard deviation of a Gaussian.
MAD_TO_SIGMA = 1.482602218505602
# Where label errors explain all scatter the scale could be 0; no sigma is believed below this.
_SMALLEST_SCALE = 0.1


def regime_names(settings: ModelSettings) -> list[str]:
    """Return the names of the calibration regimes, in the order of `regimes`."""
    rvs = _bin_names("rvs_spec_sig_to_noise", settings.rvs_snr_edges)
    bright = _bin_names("phot_g_mean_mag", settings.g_edges)
    return [*(f"with RVS, {name}" for name in rvs), *(f"without RVS, {name}" for name in bright)]


def regimes(
    block: Block, used_rvs: NDArray[np.bool_], settings: ModelSettings
) -> NDArray[np.int64]:
    """Return each star's calibration regime, (n,): by RVS S/N, or by G where RVS was not used.

    Stars whose S/N or G is not known belong to the last bin of their kind, *unknown*.
    """
    snr = _bins(block["rvs_spec_sig_to_noise"], settings.rvs_snr_edges)
    bright = _bins(block["phot_g_mean_mag"], settings.g_edges)
    return np.where(used_rvs, snr, len(settings.rvs_snr_edges) + 2 + bright)


def sigma_scales(
    residual: Array,
    sigma: Array,
    label_error: Array,
    regime: NDArray[np.int64],
    settings: ModelSettings,
) -> Array:
    """Return the factor on sigma per regime and label that makes 68.3 % of stars lie within it.

    A star lies within sqrt((s sigma)^2 + e^2) of its label just when s exceeds its own
    sqrt(max(residual^2 - e^2, 0)) / sigma: the factor is the 0.683 quantile of that, exact for the
    calibration stars and blind to the size of outliers.

    Parameters
    ----------
    residual, sigma, label_error : numpy.ndarray
        (n, 5); NaN residuals are left out.
    regime : numpy.ndarray
        (n,), from `regimes`.

    Returns
    -------
    numpy.ndarray
        (regimes, 5). A regime with fewer stars than `min_regime_stars` has the factor of all stars
        of its kind (with, or without RVS). The kinds differ more than the regimes of one, so a
        quarter of that number is enough for a kind of its own; below it all stars share one
        factor, and where these are fewer still it is 1.
    """
    with np.errstate(invalid="ignore"):
        needed = np.sqrt(np.maximum(residual**2 - np.nan_to_num(label_error) ** 2, 0.0)) / sigma
    first_without = len(settings.rvs_snr_edges) + 2
    names = regime_names(settings)
    scales = np.ones((len(names), len(LABELS)))
    without_rvs = regime >= first_without
    for number in range(len(names)):
        same_kind = without_rvs == (number >= first_without)
        for column in range(len(LABELS)):
            for stars, least in (
                (regime == number, settings.min_regime_stars),
                (same_kind, settings.min_regime_stars // 4),
                (np.ones_like(same_kind), settings.min_regime_stars // 4),
            ):
                values = needed[stars, column]
                values = values[np.isfinite(values)]
                if len(values) >= least:
                    scales[number, column] = np.quantile(values, ONE_SIGMA)
                    break
    return np.maximum(scales, _SMALLEST_SCALE)


def label_metrics(
    mean: Array, sigma: Array, labels: Array, label_error: Array
) -> dict[str, dict[str, float | int]]:
    """Return how predictions compare with labels, per label.

    Returns
    -------
    dict
        For each label with a star: ``stars``, ``robust_scatter`` (1.4826 x the median absolute
        deviation about the median), ``bias`` (median difference), ``rmse``, and the share of
        stars within 1 and 2 of sqrt(sigma^2 + e_label^2), ``coverage_68`` and ``coverage_95``,
        for which a Gaussian has 0.683 and 0.954. Units are those of the labels.
    """
    metrics: dict[str, dict[str, float | int]] = {}
    for column, name in enumerate(LABELS):
        difference = mean[:, column] - labels[:, column]
        known = np.isfinite(difference)
        if not known.any():
            continue
        d = difference[known]
        error = np.nan_to_num(label_error[known, column])
        distance = np.abs(d) / np.hypot(sigma[known, column], error)
        metrics[name] = {
            "stars": int(known.sum()),
            "robust_scatter": float(MAD_TO_SIGMA * np.median(np.abs(d - np.median(d)))),
            "bias": float(np.median(d)),
            "rmse": float(np.sqrt(np.mean(d**2))),
            "coverage_68": float(np.mean(distance <= 1.0)),
            "coverage_95": float(np.mean(distance <= 2.0)),
        }
    return metrics


def metrics_by_regime(
    mean: Array,
    sigma: Array,
    labels: Array,
    label_error: Array,
    regime: NDArray[np.int64],
    *,
    settings: ModelSettings,
) -> dict[str, Any]:
    """Return `label_metrics` of each regime that has stars, by its name."""
    result = {}
    for number, name in enumerate(regime_names(settings)):
        stars = regime == number
        if stars.any():
            result[name] = label_metrics(
                mean[stars],
                sigma[stars],
                labels[stars],
                label_error[stars],
            )
    return result


def _bins(values: NDArray[np.generic], edges: tuple[float, ...]) -> NDArray[np.int64]:
    numbers = np.asarray(values, dtype=np.float64)
    found = np.searchsorted(np.array(edges), numbers, side="right")
    return np.where(np.isfinite(numbers), found, len(edges) + 1)


def _bin_names(quantity: str, edges: tuple[float, ...]) -> list[str]:
    inner = [f"{edges[i]:g} <= {quantity} < {edges[i + 1]:g}" for i in range(len(edges) - 1)]
    outer = (f"{quantity} < {edges[0]:g}", f"{quantity} >= {edges[-1]:g}")
    return [outer[0], *inner, outer[1], f"{quantity} unknown"]
