"""The alarms of sealed catalogues, for `status`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from catalog_builder.catalog.release_json import read_release
from catalog_builder.ground.errors import CatalogueError


def alarms_in(catalogues: Iterable[str]) -> dict[str, list[str]]:
    """Return the alarms in words of those sealed catalogues that have any.

    A catalogue that cannot be read has none here: `validate` says what is wrong with it.
    """
    found: dict[str, list[str]] = {}
    for path in catalogues:
        try:
            compared = read_release(Path(path)).alarms
        except (CatalogueError, OSError):
            continue
        if compared is not None and compared.alarms:
            found[path] = [alarm.words for alarm in compared.alarms]
    return found
