"""Lists of numbers in compiled code: nearly all the bytes of an archive of spectra.

A list is first searched for its commas, 64 bytes at a time; then each element's place is known
before the one ahead of it is read, and the processor works on several at once. What is not a list
of the expected number of plain numbers is read again, element by element, by the general rules.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from catalog_builder.archive.readers.text.numbers import (
    BAD,
    BLANK,
    COMMA,
    EXACT_POWERS,
    LETTER_E,
    MAX_DIGITS,
    MINUS,
    NEWLINE,
    OK,
    PAIRS,
    POINT,
    WEIGHTS_EVEN,
    WEIGHTS_ODD,
    WHOLE_POWERS,
    WORD,
    decimal_to_float,
    is_token,
    parse_exponent,
    parse_number,
    parse_word,
    skip_blanks,
    token_end,
)
from catalog_builder.archive.readers.text.words import (
    compiled,
    count_ones,
    find_bytes,
    load_byte,
    load_word,
    other_bytes,
    store_digits,
    trailing_zeros,
)

# What is wrong with a row, if anything.
GOOD: Final = 0
MALFORMED: Final = 1
BAD_KEY: Final = 2
WRONG_LENGTH: Final = 3
BAD_ELEMENT: Final = 4

#: With the digit before the point they are below 2**53.
_EXACT_DIGITS: Final = 14
#: Room behind the last separator, for the rest of those that are noted at once.
SPARE_MARKS: Final = 8
#: Elements that are taken apart before their values are computed.
_BATCH: Final = 128
#: Of an element whose digits were not gathered.
_UNKNOWN: Final = 1 << 20
#: By number of digits, and from the 16th on with the minus sign.
_DIVISORS = np.concatenate([EXACT_POWERS[:16], -EXACT_POWERS[:16]])


@compiled
def parse_list(
    text: int, at: int, out: Any, largest: float, nulls: int, marks: Any
) -> tuple[int, int, int]:
    """Parse a list in brackets or parentheses, or a null cell, into `out`; NaN where it is bad.

    Elements may be padded with blanks. `marks` is room for the positions of out.size separators
    and `SPARE_MARKS` more.
    Returns GOOD or the reason, the position after the list, and the number of elements.
    """
    opening = load_byte(text, at)
    if opening not in (91, 40):
        stop = token_end(text, at)
        out[:] = np.nan
        null = is_token(text, at, stop, nulls)
        return (GOOD if null else BAD_ELEMENT), stop, 0
    closing: Any = np.uint8(93 if opening == 91 else 41)
    if _mark_separators(text, at + 1, closing, marks, out.size) and _parse_marked(
        text, at + 1, out, largest, nulls, marks
    ):
        return GOOD, marks[out.size - 1] + 1, out.size
    return _parse_any(text, at + 1, closing, out, largest, nulls)


@compiled
def _mark_separators(text: int, at: int, closing: int, marks: Any, length: int) -> bool:
    """Note where `length` elements end, the last at the closing bracket; False if they do not.

    `marks` has room for `SPARE_MARKS` more.
    """
    count = 0
    while True:
        # A list ends before its line does: so does the search.
        ends = find_bytes(text, at, closing, np.uint8(NEWLINE))
        commas = find_bytes(text, at, np.uint8(COMMA), np.uint8(COMMA))
        if ends != np.uint64(0):
            commas &= (ends & (~ends + np.uint64(1))) - np.uint64(1)
        found = count_ones(commas)
        if count + found > length:
            return False
        # Eight at once, whether there are as many or not, because a branch on the number would be
        # guessed wrongly. Surplus places are written over.
        for first in range(0, max(found, 1), 8):
            for place in range(8):
                marks[count + first + place] = at + trailing_zeros(commas)
                commas &= commas - np.uint64(1)
        count += found
        if ends != np.uint64(0):
            marks[count] = at + trailing_zeros(ends)
            return bool(count == length - 1 and load_byte(text, marks[count]) == closing)
        at += 64


@compiled
def _parse_marked(text: int, start: int, out: Any, largest: float, nulls: int, marks: Any) -> bool:
    """Parse elements between separators; False if one of them is no number of this size."""
    digits = np.empty((_BATCH, 2), np.uint64)
    mantissas, divisors = np.empty(_BATCH, np.uint64), np.empty(_BATCH)
    others, powers = np.empty(_BATCH, np.int64), np.empty(_BATCH, np.int64)
    # The last word met: NaN, mostly, and many at the ends of a spectrum.
    word, word_size, word_value = np.uint64(0), 0, 0.0
    for begin in range(0, out.size, _BATCH):
        size = min(_BATCH, out.size - begin)
        n_others = _gather_digits(
            text, start, marks[begin : begin + size], digits, mantissas, divisors, others, powers
        )
        # One loop without branches: the compiler lets it run on eight numbers at once.
        for index in range(size):
            high, low = _eight_digits(digits[index, 0]), _eight_digits(digits[index, 1])
            mantissas[index] += high * np.uint64(100_000_000) + low
            # Signed, for that converts in one instruction.
            out[begin + index] = float(np.int64(mantissas[index])) / divisors[index]
        for other in range(n_others):
            index = others[other]
            if powers[other] != _UNKNOWN:
                value = decimal_to_float(mantissas[index], powers[other])
                out[begin + index] = value if divisors[index] > 0 else -value
                continue
            first = start if index == 0 else marks[begin + index - 1] + 1
            stop = marks[begin + index]
            short = load_word(text, first) << np.uint64(max(0, 8 * (first + 8 - stop)))
            if short == word and stop - first == word_size:
                out[begin + index] = word_value
                continue
            # Without arrays: numba counts references to each at every call.
            value, good = _parse_decimal(text, first, stop, digits.ctypes.data)
            if not good:
                value, good = _parse_element(text, first, stop, nulls)
                if stop - first < 8:
                    word, word_size, word_value = short, stop - first, value
            if not good or largest <= abs(value) < np.inf:
                return False
            out[begin + index] = value
        start = marks[begin + size - 1] + 1
    return True


@compiled
def _gather_digits(
    text: int,
    start: int,
    marks: Any,
    digits: Any,
    wholes: Any,
    divisors: Any,
    others: Any,
    powers: Any,
) -> int:
    """Take elements like 0.98716646, -0.0084130 and 4.3616e-16 apart; note the others.

    The value of the first two, exactly, is (whole * 10**n + its n digits) / 10**n with its sign.
    The third is noted with its power, and what is of no such kind with `_UNKNOWN`. Returns how
    many are noted.
    """
    n_others = 0
    place = digits.ctypes.data
    for index in range(marks.size):
        stop = marks[index]
        start += load_byte(text, start) == BLANK
        negative = load_byte(text, start) == MINUS
        first = start + negative
        whole = np.uint64(load_byte(text, first)) - np.uint64(48)
        decimal = whole < np.uint64(10) and load_byte(text, first + 1) == POINT
        count = stop - first - 2
        if decimal and _are_digits(text, stop, count):
            store_digits(text, stop - 16, count, place + 16 * index)
            wholes[index] = whole * WHOLE_POWERS[np.uint64(count)]
            divisors[index] = _DIVISORS[np.uint64(count + 16 * negative)]
        else:
            others[n_others] = index
            powers[n_others] = _UNKNOWN
            count -= 4
            if (
                decimal
                and load_byte(text, stop - 4) | 32 == LETTER_E
                and load_byte(text, stop - 3) == MINUS
                and _are_digits(text, stop, 2)
                and _are_digits(text, stop - 4, count)
            ):
                store_digits(text, stop - 20, count, place + 16 * index)
                wholes[index] = whole * WHOLE_POWERS[np.uint64(count)]
                divisors[index] = _DIVISORS[np.uint64(count + 16 * negative)]
                tens, ones = load_byte(text, stop - 2), load_byte(text, stop - 1)
                powers[n_others] = 528 - 10 * np.int64(tens) - np.int64(ones) - count
            n_others += 1
        start = stop + 1
    return n_others


@compiled
def _are_digits(text: int, end: int, count: int) -> bool:
    """Say whether the bytes before `end` are 1 to 14 digits."""
    if not 0 < count <= _EXACT_DIGITS:
        return False
    others = other_bytes(text, end - 16) >> np.uint64(16 - count)
    return bool(others == np.uint64(0))


@compiled
def _eight_digits(word: np.uint64) -> np.uint64:
    """Return the number of eight digits in a word (Lemire, Quickly parsing eight digits, 2022)."""
    word = word * np.uint64(10) + (word >> np.uint64(8))
    odd = (word & PAIRS) * WEIGHTS_ODD
    even = ((word >> np.uint64(16)) & PAIRS) * WEIGHTS_EVEN
    return (odd + even) >> np.uint64(32)


@compiled
def _parse_decimal(text: int, start: int, stop: int, room: int) -> tuple[float, bool]:
    """Parse an element like 788.01162165 or 4.3616e-16; False if it is of another kind."""
    negative = load_byte(text, start) == MINUS
    first = start + negative
    n_whole = _count_digits(text, first)
    point = first + n_whole
    n_digits = _count_digits(text, point + 1)
    end = point + 1 + n_digits
    if (
        load_byte(text, point) != POINT
        or not 0 < n_whole < 16
        or not 0 < n_digits < 16
        or n_whole + n_digits > MAX_DIGITS
    ):
        return 0.0, False
    power = -n_digits
    if end != stop and load_byte(text, end) | 32 == LETTER_E:
        shift, end, good = parse_exponent(text, end + 1)
        power += shift
        if not good:
            return 0.0, False
    if end != stop:
        return 0.0, False
    whole = _digits_value(text, first, n_whole, room)
    fraction = _digits_value(text, point + 1, n_digits, room)
    value = decimal_to_float(whole * WHOLE_POWERS[np.uint64(n_digits)] + fraction, power)
    return (-value if negative else value), True


@compiled
def _parse_element(text: int, start: int, stop: int, nulls: int) -> tuple[float, bool]:
    """Parse an element of any kind: NaN, 7, one with blanks around it."""
    start = skip_blanks(text, start)
    value, end, status = parse_number(text, start)
    if status == WORD:
        value, end, status = parse_word(text, start, nulls)
    return value, status != BAD and skip_blanks(text, end) == stop


@compiled
def _count_digits(text: int, at: int) -> int:
    """Count the digits from a position on, up to 16."""
    count: int = trailing_zeros(other_bytes(text, at) | np.uint64(1 << 16))
    return count


@compiled
def _digits_value(text: int, at: int, count: int, room: int) -> np.uint64:
    """Return the number that 1 to 15 digits stand for; `room` is the address of 16 free bytes."""
    store_digits(text, at + count - 16, count, room)
    high, low = _eight_digits(load_word(room, 0)), _eight_digits(load_word(room, 8))
    return high * np.uint64(100_000_000) + low


@compiled
def _parse_any(
    text: int, at: int, closing: int, out: Any, largest: float, nulls: int
) -> tuple[int, int, int]:
    """Parse a list by the general rules, from the first element on."""
    at = skip_blanks(text, at)
    count = 0
    if load_byte(text, at) == closing:
        out[:] = np.nan
        return (GOOD if out.size == 0 else WRONG_LENGTH), at + 1, 0
    while True:
        at = skip_blanks(text, at)
        value, at, status = parse_number(text, at)
        if status == WORD:
            value, at, status = parse_word(text, at, nulls)
        if not abs(value) < largest and (status == BAD or (status == OK and abs(value) < np.inf)):
            out[:] = np.nan
            return BAD_ELEMENT, at, count
        if count < out.size:
            out[count] = value
        count += 1
        at = skip_blanks(text, at)
        if load_byte(text, at) != COMMA:
            break
        at += 1
    closed = load_byte(text, at) == closing
    if closed and count == out.size:
        return GOOD, at + 1, count
    out[:] = np.nan
    return (WRONG_LENGTH if closed else BAD_ELEMENT), at + closed, count
