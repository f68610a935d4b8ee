"""What a schema declares, as the report asks for it: the bits that stars carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.flags import masks_of
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.flags.bits import training_range_string

Block = Mapping[str, NDArray[Any]]


def flagged(block: Block, schema: CatalogSchema, name: str) -> NDArray[np.bool_]:
    """Tell which stars of a block have a bit."""
    return np.asarray(schema.flags.test(block, name))


def undeclared(block: Block, schema: CatalogSchema) -> NDArray[np.bool_]:
    """Tell which stars of a block have a bit that no declaration knows."""
    known = {**dict.fromkeys(schema.flags.columns, 0), **masks_of(schema.flags.bits)}
    found = [(block[name] & ~mask) != 0 for name, mask in known.items()]
    return np.asarray(np.any(found, axis=0))


def range_digits(block: Block, schema: CatalogSchema) -> NDArray[np.uint8]:
    """Return the digits of the training-range string as characters, shape (n, digits)."""
    digits = training_range_string(block, schema.flags, schema.contract)
    return digits.view(np.uint8).reshape(len(digits), -1)
