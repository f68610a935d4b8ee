"""The column ``flags``: computed from the declared bits, and read back as words and digits."""

from __future__ import annotations

import functools
import inspect
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.errors import ConfigError
from catalog_builder.flags.predicates import PREDICATES, FlagContext, Predicate
from catalog_builder.schema import LABELS, FlagBit, FlagSchema

# Digits of the training-range string: the bit that says outside, and the bit that says whether
# there was anything to test, with the value it then has.
_DIGITS: Final = (
    *((f"{label}_outside_range", f"{label}_not_available", False) for label in LABELS),
    ("g_outside_range", "photometry_used", True),
    ("parallax_outside_range", "parallax_used", True),
)


def compute_flags(context: FlagContext, schema: FlagSchema) -> NDArray[np.int64]:
    """Set every active bit whose test is true.

    Parameters
    ----------
    context : FlagContext
        Prediction, inputs used, feature block and training ranges of n stars.
    schema : FlagSchema
        The declared bits.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    ConfigError
        If a bit names a test or a parameter that does not exist.
    """
    flags = np.zeros(len(context.mean), dtype=np.int64)
    for bit, test in [(bit, _bound(bit)) for bit in schema.active]:
        flags[test(context)] |= bit.mask
    return flags


def flag_words(value: int, schema: FlagSchema) -> list[str]:
    """Return the names of the set bits in order of their number; undeclared ones as ``bit_N``."""
    names = {bit.bit: bit.name for bit in schema.bits}
    return [names.get(n, f"bit_{n}") for n in range(64) if (int(value) >> n) & 1]


def training_range_string(flags: NDArray[np.int64], schema: FlagSchema) -> NDArray[np.bytes_]:
    """Return seven digits per star: teff, logg, m_h, alpha_m, fe_h, G, parallax.

    0 is inside the range of the training sample and 1 outside, as in Guiglion et al. 2024
    (A&A 682, A9); 9, where there is nothing to test, is ours.

    Parameters
    ----------
    flags : ndarray of int64, shape (n,)
    schema : FlagSchema

    Returns
    -------
    ndarray of S7, shape (n,)
    """
    digits = np.full((len(flags), len(_DIGITS)), ord("0"), dtype=np.uint8)
    for position, (outside, tested, tested_value) in enumerate(_DIGITS):
        absent = ((flags & schema[tested].mask) != 0) != tested_value
        digits[absent, position] = ord("9")
        digits[(flags & schema[outside].mask) != 0, position] = ord("1")
    return digits.view(f"S{len(_DIGITS)}").reshape(len(flags))


def _bound(bit: FlagBit) -> Predicate:
    if bit.test not in PREDICATES:
        raise ConfigError(
            f"flags.yaml: bit {bit.bit} ({bit.name}) names the unknown test {bit.test!r}.",
            f"Known are: {', '.join(PREDICATES)}.",
        )
    predicate = PREDICATES[bit.test]
    takes = set(inspect.signature(predicate).parameters) - {"context"}
    if set(bit.parameters) != takes:
        raise ConfigError(
            f"flags.yaml: bit {bit.bit} ({bit.name}) gives its test the parameters "
            f"{sorted(bit.parameters)}.",
            f"{bit.test} takes {sorted(takes)}.",
        )
    return functools.partial(predicate, **bit.parameters)
