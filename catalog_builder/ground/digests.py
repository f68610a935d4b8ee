"""Digests of what decides whether work is to be done again."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def in_order(value: Any) -> Any:
    """Return JSON types with each mapping as a list of pairs, so that its order counts in a digest.

    The order of labels and inputs in a description is that of arrays.
    """
    if isinstance(value, dict):
        return [[key, in_order(below)] for key, below in value.items()]
    if isinstance(value, list | tuple):
        return [in_order(below) for below in value]
    return value


def digest_json(value: Any) -> str:
    """Return a short sha256 of a JSON-able value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
