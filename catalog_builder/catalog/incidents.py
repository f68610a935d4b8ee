"""What went wrong with the input, at its grain: for RELEASE.json, beside the accounting."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from catalog_builder.runtime.receipts import Receipt


def collect_incidents(
    features: Iterable[Receipt], given_up: Mapping[str, str], archive: str
) -> dict[str, Any]:
    """Sum up what the receipts of ingest tell of bad input.

    Parameters
    ----------
    features : iterable of Receipt
        Of the partitions that were ingested.
    given_up : mapping of str to str
        Partitions that were not, and why.
    archive : str
        Root of the archive, left out of the reasons: a catalogue names no folder of the machine
        it was made on.

    Returns
    -------
    dict
        The fields of :class:`~catalog_builder.catalog.release_json.Incidents`.
    """
    files: dict[str, dict[str, str]] = {}
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    cells: Counter[str] = Counter()
    for receipt in features:
        files.update(receipt.notes.get("file_rejects", {}))
        cells.update(receipt.notes.get("cell_nulls", {}))
        for table, reasons in receipt.notes.get("row_rejects", {}).items():
            rows[table].update(reasons)
    root = f"{archive.rstrip('/')}/"
    return {
        "partitions": {name: why.replace(root, "") for name, why in sorted(given_up.items())},
        "files": dict(sorted(files.items())),
        "rows": {table: dict(sorted(counts.items())) for table, counts in sorted(rows.items())},
        "cells": dict(sorted(cells.items())),
    }
