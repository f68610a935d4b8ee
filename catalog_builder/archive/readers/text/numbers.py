"""Text to numbers in compiled code: correctly rounded, whatever the bytes.

A decimal of up to 19 significant digits is rounded correctly to float64 by the method of Eisel and
Lemire (Lemire 2021, doi:10.1002/spe.2984; without a fallback by Mushtak and Lemire 2023,
doi:10.1002/spe.3198), after the exact short cut of Clinger (1990) for short ones. Digits after the
19th are dropped, which is right to one unit in the last place.

Functions take a buffer in which some byte at or after the position is a newline: every scan stops
there, so none needs to know the buffer's end.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from catalog_builder.archive.readers.text.words import (
    compiled,
    float_of_bits,
    high_product,
    leading_zeros,
    load_byte,
    load_word,
    trailing_zeros,
)

OK: Final = 0
NULL: Final = 1
BAD: Final = 2
WORD: Final = 3

NEWLINE: Final = 10
BLANK: Final = 32
RETURN: Final = 13
QUOTE: Final = 34
COMMA: Final = 44
PLUS: Final = 43
MINUS: Final = 45
POINT: Final = 46
LETTER_E: Final = 101  # of both cases, with bit 5 set

MAX_DIGITS: Final = 19
_MIN_POWER: Final = -342
_MAX_POWER: Final = 308
_EXACT_POWER: Final = 22
_EXACT_MANTISSA: Final = 1 << 53


_ASCII_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_TOP_BITS = np.uint64(0x8080808080808080)
PAIRS = np.uint64(0x000000FF000000FF)
WEIGHTS_ODD = np.uint64((1_000_000 << 32) + 100)
WEIGHTS_EVEN = np.uint64((10_000 << 32) + 1)
_FRACTION = np.uint64((1 << 52) - 1)
WHOLE_POWERS = np.array([10**power for power in range(16)], np.uint64)

#: Ends a table of tokens.
NO_TOKEN: Final = 255


def _power_table() -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """128-bit mantissas of 5**e as (high, low) words: truncated, but above for e < 0."""
    table = np.empty((_MAX_POWER - _MIN_POWER + 1, 2), np.uint64)
    for row, power in enumerate(range(_MIN_POWER, _MAX_POWER + 1)):
        if power >= 0:
            mantissa = 5**power << 128
        else:
            divisor = 5**-power
            bits = (divisor - 1).bit_length()
            mantissa = (1 << (bits + 127 if power >= -27 else 2 * bits + 128)) // divisor + 1
        mantissa >>= mantissa.bit_length() - 128
        table[row] = mantissa >> 64, mantissa & 0xFFFF_FFFF_FFFF_FFFF
    return table


_POWERS = _power_table()
EXACT_POWERS = np.array([10.0**power for power in range(_EXACT_POWER + 1)])


@compiled
def decimal_to_float(mantissa: np.uint64, power: int) -> float:
    """Return mantissa * 10**power, >= 0."""
    if mantissa < np.uint64(_EXACT_MANTISSA) and -_EXACT_POWER <= power <= _EXACT_POWER:
        # Signed, for that converts in one instruction.
        exact = float(np.int64(mantissa))
        return float(exact / EXACT_POWERS[-power] if power < 0 else exact * EXACT_POWERS[power])
    if mantissa == np.uint64(0) or power < _MIN_POWER:
        return 0.0
    if power > _MAX_POWER:
        return np.inf
    return _eisel_lemire(mantissa, power)


@compiled
def _eisel_lemire(mantissa: np.uint64, power: int) -> float:
    one, full = np.uint64(1), np.uint64(0x1FF)
    zeros = leading_zeros(mantissa)
    word = mantissa << np.uint64(zeros)
    row = power - _MIN_POWER
    high, low = high_product(word, _POWERS[row, 0]), word * _POWERS[row, 0]
    if high & full == full:
        more = high_product(word, _POWERS[row, 1])
        low += more
        if more > low:
            high += one
    top = high >> np.uint64(63)
    shift = top + np.uint64(9)
    bits = high >> shift
    # 217706 / 2**16 is log2(10); then the bias of float64.
    exponent = ((217706 * power) >> 16) + 63 + np.int64(top) - zeros + 1023
    if exponent <= 0:
        if exponent <= -63:
            return 0.0
        bits >>= np.uint64(1 - exponent)
        # Rounding up may make it a normal number; its exponent bit is then set by itself.
        return float(float_of_bits((bits + (bits & one)) >> one))
    # Exactly half way is possible for these powers only, and goes to the even neighbour.
    if low <= one and -4 <= power <= 23 and bits & np.uint64(3) == one and bits << shift == high:
        bits &= ~one
    bits = (bits + (bits & one)) >> one
    if bits >> np.uint64(53) != np.uint64(0):
        bits >>= one
        exponent += 1
    if exponent >= 0x7FF:
        return np.inf
    return float(float_of_bits((np.uint64(exponent) << np.uint64(52)) | (bits & _FRACTION)))


@compiled
def add_digits(text: int, at: int, mantissa: np.uint64) -> tuple[np.uint64, int]:
    """Append the digits at a position to a mantissa, up to eight at a time.

    Eight bytes are compared and combined as one word (Lemire, "Quickly parsing eight digits",
    2022). A mantissa of more than 19 digits overflows silently: the caller counts.
    """
    while True:
        word = load_word(text, at) ^ _ASCII_ZEROS
        # The top bit of a byte is set from the first byte on that is no digit.
        others = ((word + _ABOVE_NINE) | word) & _TOP_BITS
        count = trailing_zeros(others) >> 3
        if count == 0:
            return mantissa, at
        word <<= np.uint64(64 - 8 * count)
        word = word * np.uint64(10) + (word >> np.uint64(8))
        word = (
            (word & PAIRS) * WEIGHTS_ODD + ((word >> np.uint64(16)) & PAIRS) * WEIGHTS_EVEN
        ) >> np.uint64(32)
        mantissa = mantissa * WHOLE_POWERS[count] + word
        at += count
        # Asked of the next byte, not of the count: seven digits or eight is a coin toss, which
        # the processor would lose; nine are rare.
        if np.uint64(load_byte(text, at)) - np.uint64(48) >= np.uint64(10):
            return mantissa, at


@compiled
def parse_number(text: int, at: int) -> tuple[float, int, int]:
    """Parse a number at a position of the text at an address.

    Returns
    -------
    tuple
        Value (NaN unless OK), position, and OK, BAD, or WORD for a token that begins with no
        digit. Where OK the position is at the byte that ends the token.
    """
    start = at
    byte = load_byte(text, at)
    negative = byte == MINUS
    if negative or byte == PLUS:
        at += 1
    first = at
    mantissa = np.uint64(load_byte(text, at)) - np.uint64(48)
    if mantissa < np.uint64(10):
        at += 1
        byte = load_byte(text, at)
        if byte != POINT:
            mantissa, at = add_digits(text, at, mantissa)
            byte = load_byte(text, at)
    else:
        mantissa = np.uint64(0)
        byte = load_byte(text, at)
    count = at - first
    power = 0
    if byte == POINT:
        first_decimal = at + 1
        mantissa, at = add_digits(text, first_decimal, mantissa)
        power = first_decimal - at
        count -= power
        byte = load_byte(text, at)
    if count == 0:
        return np.nan, start, WORD
    if count > MAX_DIGITS:
        mantissa, power = _long_mantissa(text, first)
    if byte | 32 == LETTER_E:
        shift, at, good = parse_exponent(text, at + 1)
        if not good:
            return np.nan, at, BAD
        power += shift
        byte = load_byte(text, at)
    if not ends_token(byte):
        return np.nan, at, BAD
    value = decimal_to_float(mantissa, power)
    return (-value if negative else value), at, OK


@compiled
def parse_value(text: int, at: int, nulls: int) -> tuple[float, int, int]:
    """Parse a number, infinity or null token; the status is OK, NULL or BAD."""
    value, at, status = parse_number(text, at)
    if status == WORD:
        return parse_word(text, at, nulls)
    return value, at, status


@compiled
def parse_exponent(text: int, at: int) -> tuple[int, int, bool]:
    """Parse what follows an ``e``: the power, the position behind it, and whether it is one."""
    negative = load_byte(text, at) == MINUS
    if negative or load_byte(text, at) == PLUS:
        at += 1
    first = at
    shift = 0
    while 48 <= load_byte(text, at) <= 57:
        # Beyond any float64 the value no longer matters, but it must not overflow.
        if shift < 100_000:
            shift = shift * 10 + int(load_byte(text, at)) - 48
        at += 1
    return (-shift if negative else shift), at, at > first


@compiled
def _long_mantissa(text: int, at: int) -> tuple[np.uint64, int]:
    """Read the first 19 significant digits; the rest only moves the point."""
    mantissa = np.uint64(0)
    power = count = 0
    decimals = False
    while 48 <= load_byte(text, at) <= 57 or (load_byte(text, at) == POINT and not decimals):
        if load_byte(text, at) == POINT:
            decimals = True
        elif count < MAX_DIGITS:
            mantissa = mantissa * np.uint64(10) + np.uint64(load_byte(text, at) - 48)
            count += 1 if mantissa > np.uint64(0) else 0
            power -= 1 if decimals else 0
        else:
            power += 0 if decimals else 1
        at += 1
    return mantissa, power


@compiled
def parse_word(text: int, at: int, nulls: int) -> tuple[float, int, int]:
    """Parse a token that has no digits: null, NaN, infinity or nonsense."""
    end = token_end(text, at)
    if is_token(text, at, end, nulls):
        return np.nan, end, NULL
    negative = load_byte(text, at) == MINUS
    if negative or load_byte(text, at) == PLUS:
        at += 1
    if is_infinity(text, at, end):
        return (-np.inf if negative else np.inf), end, OK
    return np.nan, end, BAD


@compiled
def is_infinity(text: int, start: int, end: int) -> bool:
    """Whether the token is ``inf`` or ``infinity`` in any case."""
    if end - start != 3 and end - start != 8:
        return False
    for place in range(end - start):
        # "infinity", letter by letter
        expected = (105, 110, 102, 105, 110, 105, 116, 121)[place]
        if load_byte(text, start + place) | 32 != expected:
            return False
    return True


@compiled
def parse_integer(text: int, at: int, nulls: int) -> tuple[int, int, int]:
    """Parse an integer, or a number with a whole value such as ``31.0``; 0 where null or bad."""
    start = at
    negative = load_byte(text, at) == MINUS
    if negative or load_byte(text, at) == PLUS:
        at += 1
    first = at
    value, at = add_digits(text, at, np.uint64(0))
    digits = at - first
    if digits > 0 and ends_token(load_byte(text, at)):
        # 19 digits cannot overflow 64 bits; what exceeds int64 has the top bit set.
        if digits > MAX_DIGITS or value >> np.uint64(63) != np.uint64(0):
            return 0, at, BAD
        whole = int(np.int64(value))
        return (-whole if negative else whole), at, OK
    number, at, status = parse_value(text, start, nulls)
    if status != OK:
        return 0, at, status
    if not (abs(number) < _EXACT_MANTISSA and number == math.floor(number)):
        return 0, at, BAD
    return int(number), at, OK


@compiled
def is_token(text: int, start: int, end: int, tokens: int) -> bool:
    """Say whether the text is a token of a table (see `reader.pack_tokens`), in any case."""
    while load_byte(tokens, 0) != NO_TOKEN:
        size = int(load_byte(tokens, 0))
        if size == end - start:
            place = 0
            while place < size:
                byte = load_byte(text, start + place)
                if 65 <= byte <= 90:
                    byte = byte + 32
                if byte != load_byte(tokens, 1 + place):
                    break
                place += 1
            if place == size:
                return True
        tokens += 1 + size
    return False


@compiled
def token_end(text: int, at: int) -> int:
    """Position of the first byte that can follow a token."""
    while not ends_token(load_byte(text, at)):
        at += 1
    return at


@compiled
def ends_token(byte: int) -> bool:
    """Whether a byte ends a token: comma, closing bracket, quote, blank or newline."""
    return byte in (COMMA, 93, 41, QUOTE, 32, NEWLINE, RETURN, 9)


@compiled
def skip_blanks(text: int, at: int) -> int:
    """Position of the first byte that is neither blank nor tab."""
    while load_byte(text, at) == 32 or load_byte(text, at) == 9:
        at += 1
    return at
