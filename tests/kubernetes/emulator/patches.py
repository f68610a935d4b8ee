"""The two ways of changing a part of an object."""

from __future__ import annotations

import copy
from typing import Any

from tests.kubernetes.emulator.objects import ApiError, Object


def merged(old: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = copy.deepcopy(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value)
    return made


def patched(old: Object, operations: list[Object]) -> Object:
    """Apply a JSON patch (RFC 6902): add, replace, remove and test."""
    made = copy.deepcopy(old)
    for operation in operations:
        *path, last = (
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        )
        target: Any = made
        for part in path:
            target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
        _apply(operation, target, last)
    return made


def _apply(operation: Object, target: Any, last: str) -> None:
    place: Any = last
    if isinstance(target, list):
        place = len(target) if last == "-" else int(last)
    match operation["op"]:
        case "test":
            if (target[place] if isinstance(target, list) else target.get(place)) != operation[
                "value"
            ]:
                raise ApiError(422, "Invalid", f"the test of {operation['path']} failed")
        case "remove":
            target.pop(place)
        case "add" if isinstance(target, list):
            target.insert(place, operation["value"])
        case "add" | "replace":
            target[place] = operation["value"]
        case other:
            raise ApiError(400, "BadRequest", f"no JSON patch operation {other}")
