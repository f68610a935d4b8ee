"""Text to numbers in compiled code: correctly rounded, whatever the bytes.

A decimal of up to 19 significant digits is rounded correctly to float64 by the method of Eisel and
Lemire (Lemire 2021, "Number parsing at a gigabyte per second", doi:10.1002/spe.2984), after the
exact short cut of Clinger (1990) for short ones. More digits than 19, subnormal results and the
rare cases that the method leaves undecided are right to one unit in the last place.

Functions take a buffer in which some byte at or after the position is a newline: every scan stops
there, so none needs to know the buffer's end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba
import numpy as np

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

OK: Final = 0
NULL: Final = 1
BAD: Final = 2

NEWLINE: Final = 10
RETURN: Final = 13
QUOTE: Final = 34
COMMA: Final = 44

_MAX_DIGITS: Final = 19
_MIN_POWER: Final = -342
_MAX_POWER: Final = 308
_EXACT_POWER: Final = 22
_EXACT_MANTISSA: Final = 1 << 53


def _power_table() -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """128-bit mantissas of 10**e, rounded down, as (high, low) words."""
    table = np.empty((_MAX_POWER - _MIN_POWER + 1, 2), np.uint64)
    for row, power in enumerate(range(_MIN_POWER, _MAX_POWER + 1)):
        if power >= 0:
            value = 10**power
            shift = value.bit_length() - 128
            mantissa = value >> shift if shift > 0 else value << -shift
        else:
            value = 10**-power
            mantissa = (1 << (value.bit_length() + 127)) // value
        table[row] = mantissa >> 64, mantissa & 0xFFFF_FFFF_FFFF_FFFF
    return table


_POWERS = _power_table()
_EXACT_POWERS = np.array([10.0**power for power in range(_EXACT_POWER + 1)])


def compiled(function: FunctionT) -> FunctionT:
    """Compile without the interpreter lock; keep the machine code on disk where that is possible.

    Numba caches beside the module, or in the user's cache folder where that is read-only; a
    system with neither compiles once per process.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


@compiled
def multiply_64(left: np.uint64, right: np.uint64) -> tuple[np.uint64, np.uint64]:
    """High and low word of the 128-bit product."""
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a_low, a_high = left & mask, left >> half
    b_low, b_high = right & mask, right >> half
    low = a_low * b_low
    middle = a_high * b_low + (low >> half)
    cross = a_low * b_high + (middle & mask)
    return a_high * b_high + (middle >> half) + (cross >> half), left * right


@compiled
def decimal_to_float(mantissa: np.uint64, power: int) -> float:
    """Return mantissa * 10**power, >= 0."""
    if mantissa < np.uint64(_EXACT_MANTISSA) and -_EXACT_POWER <= power <= _EXACT_POWER:
        if power < 0:
            return np.float64(mantissa) / _EXACT_POWERS[-power]
        return np.float64(mantissa) * _EXACT_POWERS[power]
    if mantissa == np.uint64(0) or power < _MIN_POWER:
        return 0.0
    if power > _MAX_POWER:
        return np.inf
    return _eisel_lemire(mantissa, power)


@compiled
def _eisel_lemire(mantissa: np.uint64, power: int) -> float:
    one, full = np.uint64(1), np.uint64(0x1FF)
    zeros = _leading_zeros(mantissa)
    word = mantissa << np.uint64(zeros)
    # floor(power * log2(10)) in fixed point, then the bias of float64.
    exponent = ((217706 * power) >> 16) + 64 + 1023 - zeros
    row = power - _MIN_POWER
    high, low = multiply_64(word, _POWERS[row, 0])
    if high & full == full and low + word < word:
        more_high, more_low = multiply_64(word, _POWERS[row, 1])
        low_before = low
        low = low + more_high
        if low < low_before:
            high += one
        if high & full == full and low + one == np.uint64(0) and more_low + word < word:
            return _inexact(mantissa, power)
    top = high >> np.uint64(63)
    bits = high >> (top + np.uint64(9))
    exponent -= 1 - np.int64(top)
    if low == np.uint64(0) and high & full == np.uint64(0) and bits & np.uint64(3) == one:
        return _inexact(mantissa, power)
    bits = (bits + (bits & one)) >> one
    if bits >> np.uint64(53) != np.uint64(0):
        bits >>= one
        exponent += 1
    if exponent < 1:
        return _inexact(mantissa, power)
    if exponent >= 0x7FF:
        return np.inf
    return math.ldexp(np.float64(bits), exponent - 1075)


@compiled
def _inexact(mantissa: np.uint64, power: int) -> float:
    # In two steps, for 10**-342 is no float64 while the product may be one.
    half = power // 2
    return np.float64(mantissa) * 10.0**half * 10.0 ** (power - half)


@compiled
def _leading_zeros(word: np.uint64) -> int:
    zeros = 0
    for step in (32, 16, 8, 4, 2, 1):
        if word >> np.uint64(64 - step) == np.uint64(0):
            word <<= np.uint64(step)
            zeros += step
    return zeros


@compiled
def parse_number(text: Any, at: int, nulls: Any, null_ends: Any) -> tuple[float, int, int]:
    """Parse a number or null token at a position.

    Returns
    -------
    tuple
        Value (NaN where null or bad), position after the token, and OK, NULL or BAD. The position
        is at a blank, comma, bracket, quote or newline unless BAD.
    """
    start = at
    negative = text[at] == 45
    if negative or text[at] == 43:
        at += 1
    mantissa = np.uint64(0)
    first = at
    digit = np.uint64(text[at]) - np.uint64(48)
    while digit < np.uint64(10):
        mantissa = mantissa * np.uint64(10) + digit
        at += 1
        digit = np.uint64(text[at]) - np.uint64(48)
    count = at - first
    power = 0
    if text[at] == 46:
        at += 1
        first_decimal = at
        digit = np.uint64(text[at]) - np.uint64(48)
        while digit < np.uint64(10):
            mantissa = mantissa * np.uint64(10) + digit
            at += 1
            digit = np.uint64(text[at]) - np.uint64(48)
        power = first_decimal - at
        count -= power
    if count == 0:
        return parse_word(text, start, nulls, null_ends)
    if count > _MAX_DIGITS:
        mantissa, power = _long_mantissa(text, first)
    letter = text[at] | 32
    if letter == 101 or letter == 100:  # e; d is Fortran's
        shift, at, good = _parse_exponent(text, at + 1)
        if not good:
            return np.nan, at, BAD
        power += shift
    value = decimal_to_float(mantissa, power)
    return (-value if negative else value), at, (OK if ends_token(text[at]) else BAD)


@compiled
def _parse_exponent(text: Any, at: int) -> tuple[int, int, bool]:
    negative = text[at] == 45
    if negative or text[at] == 43:
        at += 1
    first = at
    shift = 0
    while 48 <= text[at] <= 57:
        # Beyond any float64 the value no longer matters, but it must not overflow.
        if shift < 100_000:
            shift = shift * 10 + np.int64(text[at]) - 48
        at += 1
    return (-shift if negative else shift), at, at > first


@compiled
def _long_mantissa(text: Any, at: int) -> tuple[np.uint64, int]:
    """Read the first 19 significant digits; the rest only moves the point."""
    mantissa = np.uint64(0)
    power = count = 0
    decimals = False
    while 48 <= text[at] <= 57 or (text[at] == 46 and not decimals):
        if text[at] == 46:
            decimals = True
        else:
            if count < _MAX_DIGITS:
                mantissa = mantissa * np.uint64(10) + np.uint64(text[at] - 48)
                count += 1 if mantissa > np.uint64(0) else 0
                power -= 1 if decimals else 0
            else:
                power += 0 if decimals else 1
        at += 1
    return mantissa, power


@compiled
def parse_word(text: Any, at: int, nulls: Any, null_ends: Any) -> tuple[float, int, int]:
    """Parse a token that has no digits: null, NaN, infinity or nonsense."""
    end = token_end(text, at)
    if find_token(text, at, end, nulls, null_ends) >= 0:
        return np.nan, end, NULL
    negative = text[at] == 45
    if negative or text[at] == 43:
        at += 1
    if is_infinity(text, at, end):
        return (-np.inf if negative else np.inf), end, OK
    return np.nan, end, BAD


@compiled
def is_infinity(text: Any, start: int, end: int) -> bool:
    """Whether the token is ``inf`` or ``infinity`` in any case."""
    if end - start != 3 and end - start != 8:
        return False
    for place in range(end - start):
        # "infinity", letter by letter
        expected = (105, 110, 102, 105, 110, 105, 116, 121)[place]
        if text[start + place] | 32 != expected:
            return False
    return True


@compiled
def parse_integer(text: Any, at: int, nulls: Any, null_ends: Any) -> tuple[int, int, int]:
    """Parse an integer, or a number with a whole value such as ``31.0``; 0 where null or bad."""
    start = at
    negative = text[at] == 45
    if negative or text[at] == 43:
        at += 1
    value = np.uint64(0)
    first = at
    while 48 <= text[at] <= 57:
        value = value * np.uint64(10) + np.uint64(text[at] - 48)
        at += 1
    digits = at - first
    if digits > 0 and ends_token(text[at]):
        # 19 digits cannot overflow 64 bits; what exceeds int64 has the top bit set.
        if digits > _MAX_DIGITS or value >> np.uint64(63) != np.uint64(0):
            return 0, at, BAD
        whole = np.int64(value)
        return (-whole if negative else whole), at, OK
    number, at, status = parse_number(text, start, nulls, null_ends)
    if status != OK:
        return 0, at, status
    if not (abs(number) < _EXACT_MANTISSA and number == math.floor(number)):
        return 0, at, BAD
    return np.int64(number), at, OK


@compiled
def find_token(text: Any, start: int, end: int, tokens: Any, ends: Any) -> int:
    """Number of the listed token (lower case, end to end in `tokens`) that the text is, or -1."""
    begin = 0
    for number in range(ends.size):
        stop = ends[number]
        if stop - begin == end - start:
            same = True
            for place in range(stop - begin):
                byte = text[start + place]
                if 65 <= byte <= 90:
                    byte = byte + 32
                if byte != tokens[begin + place]:
                    same = False
                    break
            if same:
                return number
        begin = stop
    return -1


@compiled
def token_end(text: Any, at: int) -> int:
    """Position of the first byte that can follow a token."""
    while not ends_token(text[at]):
        at += 1
    return at


@compiled
def ends_token(byte: int) -> bool:
    """Whether a byte ends a token: comma, closing bracket, quote, blank or newline."""
    return (
        byte == COMMA
        or byte == 93
        or byte == 41
        or byte == QUOTE
        or byte == 32
        or byte == NEWLINE
        or byte == RETURN
        or byte == 9
    )


@compiled
def skip_blanks(text: Any, at: int) -> int:
    """Position of the first byte that is neither blank nor tab."""
    while text[at] == 32 or text[at] == 9:
        at += 1
    return at
