"""The column ``flags`` and its sequels: computed from the declared bits, and read back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.flags import WORD_BITS, FlagBit, FlagSchema
from catalog_builder.contract.places import digits_of
from catalog_builder.flags.predicates import PREDICATES, FlagContext, Predicate
from catalog_builder.ground.errors import ConfigError

#: Masks by the name of their column.
Masks = Mapping[str, NDArray[np.int64]]


def compute_flags(context: FlagContext, schema: FlagSchema) -> dict[str, NDArray[np.int64]]:
    """Set every active bit whose test is true.

    Parameters
    ----------
    context : FlagContext
        Prediction, inputs used, feature block and training ranges of n stars.
    schema : FlagSchema
        The declared bits.

    Returns
    -------
    dict of str to ndarray of int64, shape (n,)
        Each mask of the schema.

    Raises
    ------
    ConfigError
        If a bit names a test or a parameter that does not exist.
    """
    flags = {name: np.zeros(len(context.mean), dtype=np.int64) for name in schema.columns}
    for bit, test in [(bit, _bound(bit)) for bit in schema.active]:
        flags[bit.column][test(context)] |= bit.mask
    return flags


def flag_words(values: Mapping[str, Any], schema: FlagSchema) -> list[str]:
    """Return the names of a star's bits in order of their number; undeclared ones as ``bit_N``.

    Parameters
    ----------
    values : mapping of str to int
        At least the masks of the schema, of one star.
    schema : FlagSchema
    """
    names = {(bit.column, bit.mask): bit.name for bit in schema.bits}
    words = []
    for word, column in enumerate(schema.columns):
        value = int(values[column])
        for place in range(WORD_BITS):
            if value >> place & 1:
                undeclared = f"bit_{word * WORD_BITS + place}"
                words.append(names.get((column, 1 << place), undeclared))
    return words


def training_range_string(
    columns: Masks, schema: FlagSchema, contract: Contract
) -> NDArray[np.bytes_]:
    """Return a digit for each label, the magnitude and the parallax, per star.

    0 is inside the range of the training sample and 1 outside, as in Guiglion et al. 2024
    (A&A 682, A9); 9, where there is nothing to test, is ours.

    Parameters
    ----------
    columns : mapping of str to ndarray of int64, shape (n,)
        At least the masks of the schema.
    schema : FlagSchema
        The declared bits.
    contract : Contract
        What the digits are about.

    Returns
    -------
    ndarray of bytes, shape (n,)
    """
    about = digits_of(contract)
    stars = len(columns[schema.columns[0]])
    digits = np.full((stars, len(about)), ord("0"), dtype=np.uint8)
    for position, digit in enumerate(about):
        absent = schema.test(columns, digit.tested) != digit.value
        digits[absent, position] = ord("9")
        digits[schema.test(columns, digit.outside), position] = ord("1")
    return digits.view(f"S{len(about)}").reshape(stars)


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
