"""What a schema declares, as the report asks for it: the contract, and the bits of stars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.flags.bits import training_range_string
from catalog_builder.labels.agreed import default_contract
from catalog_builder.schema import CatalogSchema

Block = Mapping[str, NDArray[Any]]


def contract_of_schema(schema: CatalogSchema) -> Contract:
    """Return labels and inputs of the catalogues that a schema describes."""
    # Schemas do not carry a contract of their own yet.
    del schema
    return default_contract()


def flagged(block: Block, schema: CatalogSchema, name: str) -> NDArray[np.bool_]:
    """Tell which stars of a block have a bit."""
    return np.asarray((block["flags"] & schema.flags[name].mask) != 0)


def undeclared(block: Block, schema: CatalogSchema) -> NDArray[np.bool_]:
    """Tell which stars of a block have a bit that no declaration knows."""
    known = sum(bit.mask for bit in schema.flags.bits)
    return np.asarray((block["flags"] & ~known) != 0)


def range_digits(block: Block, schema: CatalogSchema) -> NDArray[np.uint8]:
    """Return the digits of the training-range string as characters, shape (n, digits)."""
    digits = training_range_string(block["flags"], schema.flags)
    return digits.view(np.uint8).reshape(len(digits), -1)
