"""Digests of what decides whether work is to be done again."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest_json(value: Any) -> str:
    """Return a short sha256 of a JSON-able value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
