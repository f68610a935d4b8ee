"""TSCAL and TZERO of a FITS column: integers stay integers, to the last digit.

FITS has no unsigned integers of more than 8 bits, and no signed ones of 8: they are written with an
offset. Through a float, an identifier of 19 digits would come back as that of another star.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.ground.errors import InputError

_WORDS = 1 << 64
#: The offset of unsigned integers of 64 bits. Headers also have it rounded to 15 digits.
_UNSIGNED = 1 << 63
_ROUNDING = 1e-14
#: Floats from here on are not exact.
_EXACT = 1 << 53


@dataclass(frozen=True)
class Scaling:
    """What the numbers of a column stand for: scale * number + zero.

    Parameters
    ----------
    scale, zero : int or float
        Integers where they are whole.
    null : int, optional
        The stored integer that stands for no value.
    """

    scale: int | float
    zero: int | float
    null: int | None = None

    @classmethod
    def of(cls, column: str, scale: Any, zero: Any, null: Any) -> Scaling:
        """Take what astropy found in the header.

        Raises
        ------
        InputError
            If the scale is zero, or one of them is no finite number.
        """
        numbers = []
        for keyword, value, default in (("TSCAL", scale, 1), ("TZERO", zero, 0)):
            number = default if value in {None, ""} else value
            if not isinstance(number, int | float) or not math.isfinite(number):
                raise InputError(f"{column}: its {keyword} is {value!r}.", "Write a number there.")
            numbers.append(_exact_if_whole(number))
        if numbers[0] == 0:
            raise InputError(f"{column}: its TSCAL is 0.", "Write the scale of the column there.")
        return cls(numbers[0], numbers[1], null if isinstance(null, int) else None)

    @property
    def is_whole(self) -> bool:
        """Whether integers are scaled to integers."""
        return isinstance(self.scale, int) and isinstance(self.zero, int)

    def apply(self, stored: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return what stored numbers stand for, and which of them stand for no value.

        Integers become int64, or uint64 where one is beyond; one beyond both is no value.
        """
        native = stored.astype(stored.dtype.newbyteorder("="))
        if native.dtype.kind == "f":
            none = np.zeros(native.shape, bool)
            if (self.scale, self.zero) == (1, 0):
                return native, none
            return self._floats(native), none
        none = np.zeros(native.shape, bool) if self.null is None else native == self.null
        if not self.is_whole:
            return self._floats(native), none
        values, beyond = self._whole(native)
        return values, none | beyond

    def _floats(self, native: NDArray[Any]) -> NDArray[np.float64]:
        with np.errstate(over="ignore", invalid="ignore"):
            return native.astype(np.float64) * float(self.scale) + float(self.zero)

    def _whole(self, native: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Scale integers to integers, and say which are beyond 64 bits."""
        within = np.zeros(native.shape, bool)
        if native.size == 0 or (self.scale, self.zero) == (1, 0):
            return native, within
        ends = [self._exact(native.min()), self._exact(native.max())]
        for dtype in (np.int64, np.uint64):
            limits = np.iinfo(dtype)
            if limits.min <= min(ends) and max(ends) <= limits.max:
                # Wrapped at 64 bits in between, and right in the end.
                scale, zero = (np.uint64(number % _WORDS) for number in (self.scale, self.zero))
                return (native.astype(np.uint64) * scale + zero).view(dtype), within
        exact = [self._exact(number) for number in native.reshape(-1)]
        beyond = [not -_WORDS // 2 <= number < _WORDS // 2 for number in exact]
        kept = [0 if lost else number for number, lost in zip(exact, beyond, strict=True)]
        return (
            np.array(kept, np.int64).reshape(native.shape),
            np.array(beyond, bool).reshape(native.shape),
        )

    def _exact(self, number: Any) -> int:
        return int(number) * int(self.scale) + int(self.zero)


def _exact_if_whole(number: int | float) -> int | float:
    """Return an integer where a header's number is one to the last digit."""
    if isinstance(number, int):
        return int(number)
    if math.isclose(number, _UNSIGNED, rel_tol=_ROUNDING):
        return _UNSIGNED
    return int(number) if number.is_integer() and abs(number) < _EXACT else number
