"""The parallax zero point."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.zero_point import (
    ParallaxZeroPoint,
    SolutionBits,
    ZeroPointFallback,
)

Columns = Mapping[str, NDArray[np.generic]]


def zero_point(
    rule: ParallaxZeroPoint | ZeroPointFallback, columns: Columns, rows: int
) -> NDArray[np.float64]:
    """Return the zero point to subtract from each parallax.

    Parameters
    ----------
    rule : ParallaxZeroPoint or ZeroPointFallback
        From the release description: Lindegren et al. 2021 (A&A 649, A4), a column, or none; and
        what is taken where the column is null.
    columns : mapping of str to ndarray of shape (n,)
        Canonical columns of the looked-up tables.
    rows : int
        n.

    Returns
    -------
    ndarray of float64, shape (n,)
        In mas; NaN where an input is missing or outside the range of the calibration.
    """
    if not isinstance(rule, ParallaxZeroPoint) or rule.bias is None:
        return _by_rule(rule, columns, np.ones(rows, bool))
    bias = np.asarray(columns[rule.bias], np.float64)
    found = np.where(np.isfinite(bias), bias if rule.sign == "subtract" else -bias, np.nan)
    if rule.fallback is not None:
        null = np.isnan(found)
        found[null] = _by_rule(rule.fallback, columns, null)
    return found


def by_fallback(
    rule: ParallaxZeroPoint, columns: Columns, zero: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which zero points are those of the fallback, shape (n,).

    Parameters
    ----------
    rule : ParallaxZeroPoint
        With a column and a fallback.
    columns : mapping of str to ndarray of shape (n,)
        Canonical columns of the looked-up tables.
    zero : ndarray of shape (n,)
        From `zero_point`.
    """
    bias = columns[str(rule.bias)].astype(np.float64)
    return np.asarray(~np.isfinite(bias) & np.isfinite(zero))


def _by_rule(
    rule: ParallaxZeroPoint | ZeroPointFallback, columns: Columns, chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the zero points of the chosen rows by a rule that is no column."""
    if rule.rule == "none":
        return np.zeros(int(chosen.sum()))
    inputs = {
        name: np.asarray(columns[column])[chosen].astype(np.float64)
        for name, column in rule.inputs.items()
    }
    # A mask of bits, which is exact in a float64; null is none of them.
    solved = np.nan_to_num(inputs.pop("astrometric_params_solved")).astype(np.int64)
    return _lindegren2021(inputs, solved, rule.bits)


def _lindegren2021(
    inputs: dict[str, NDArray[np.float64]], solved: NDArray[np.int64], bits: SolutionBits
) -> NDArray[np.float64]:
    result = np.full(solved.shape, np.nan)
    given = (solved >> bits.parallax & 1).astype(bool)
    # How Gaia DR3, for which the library was made, calls six parameters and five.
    branch = np.where(solved >> bits.pseudocolour & 1, 95, 31)
    if given.any():
        # Without warnings the library returns NaN outside the range of its calibration.
        result[given] = _tables().get_zpt(
            **{name: values[given] for name, values in inputs.items()},
            astrometric_params_solved=branch[given],
            _warnings=False,
        )
    return result


@functools.cache
def _tables() -> ModuleType:
    from zero_point import zpt

    zpt.load_tables()
    module: ModuleType = zpt
    return module
