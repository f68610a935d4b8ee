"""Quantities in dex that compute with numbers."""

from __future__ import annotations

from typing import Any, Final

import astropy.units as u
import numpy as np
from astropy.units.quantity import QuantityInfo, SpecificTypeQuantity

#: Functions in which a number beside a quantity in dex is in dex as well.
_OF_ONE_UNIT: Final = frozenset(
    {
        *(np.add, np.subtract, np.maximum, np.minimum, np.fmax, np.fmin, np.hypot),
        *(np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal),
    }
)


class _Info(QuantityInfo):  # type: ignore[misc] # astropy has no types
    """Writes columns as astropy's own quantities, which every reader of the file knows."""

    def _represent_as_dict(self) -> dict[str, Any]:
        content: dict[str, Any] = super()._represent_as_dict()
        return {**content, "__class__": "astropy.units.quantity.Quantity"}


class DexQuantity(SpecificTypeQuantity):  # type: ignore[misc] # astropy has no types
    """A quantity in dex, in whose company numbers are in dex.

    astropy's own quantities in dex refuse ``logg > 3.5`` and ``10**logg``, and those with the
    unit of the argument (``dex(cm / s2)``) refuse means and absolute values too. Here all of them
    give what is written: comparisons, sums and differences take numbers for dex, and powers of a
    number are those of the value: ``10**logg`` is the gravity in cm s-2, without the unit.
    Everything else is astropy's.
    """

    _equivalent_unit = u.dex
    _default_unit = u.dex
    info = _Info()

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Compute a NumPy function; numbers become dex where that is what they must be."""
        if method == "__call__" and function in _OF_ONE_UNIT:
            inputs = tuple(_in_dex(value, self.dtype) for value in inputs)
        if function is np.power and _is_number(inputs[0]) and isinstance(inputs[1], DexQuantity):
            base, exponent = inputs
            inputs = (base, exponent.value * u.dimensionless_unscaled)
            return getattr(function, method)(*inputs, **kwargs)
        return super().__array_ufunc__(function, method, *inputs, **kwargs)

    # astropy's answer to a comparison with a number is False, without a word.
    def __eq__(self, other: object) -> Any:
        return _compared(np.equal, self, other)

    def __ne__(self, other: object) -> Any:
        return _compared(np.not_equal, self, other)

    __hash__ = None  # type: ignore[assignment] # as of every array


def _compared(function: Any, left: DexQuantity, right: object) -> Any:
    try:
        return function(left, right)
    except u.UnitsError:  # of another kind, so never equal
        return function is np.not_equal
    except TypeError:
        return NotImplemented


def _in_dex(value: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(value, u.function.FunctionQuantity) and value.unit.function_unit == u.dex:
        return u.Quantity(value.value, u.dex)  # the logarithm, whatever it is of
    if isinstance(value, int | float) and not isinstance(value, bool | np.generic):
        return u.Quantity(value, u.dex, dtype=dtype)  # as NumPy does: a number has no precision
    return u.Quantity(value, u.dex) if _is_number(value) else value


def _is_number(value: Any) -> bool:
    if getattr(value, "unit", None) is not None:
        return False
    return np.issubdtype(np.asarray(value).dtype, np.number)
