"""What went wrong with the input, at its grain: for RELEASE.json, beside the accounting."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from catalog_builder.features.counts import Count
from catalog_builder.runtime.receipts import Receipt


def collect_incidents(
    features: Sequence[Receipt],
    given_up: Mapping[str, str],
    archive: str,
    labels: Sequence[Receipt] = (),
    matches: Iterable[Receipt] = (),
    counts: Mapping[str, Count] | None = None,
    translated: Receipt | None = None,
) -> dict[str, Any]:
    """Sum up what the receipts of ingest and of the training set tell of bad input.

    Parameters
    ----------
    features : sequence of Receipt
        Of the partitions that were ingested.
    given_up : mapping of str to str
        Partitions that were not, and why.
    archive : str
        Root of the archive, left out of the reasons: a catalogue names no folder of the machine
        it was made on.
    labels : sequence of Receipt
        Of the label survey that was learnt from, if one was.
    matches : iterable of Receipt
        Of its stars in each partition.
    counts : mapping of str to Count, optional
        How sources were counted in partitions with rows that could not be read. A run comes this
        far with one of which nothing is known only where that was accepted.
    translated : Receipt, optional
        Of the labels that went through a crosswalk, if they did.

    Returns
    -------
    dict
        The fields of :class:`~catalog_builder.catalog.release_json.Incidents`.
    """
    files: dict[str, dict[str, str]] = {}
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    cells: Counter[str] = Counter()
    absent: Counter[str] = Counter()
    fallbacks = [n for r in features if (n := r.notes.get("parallax_fallback")) is not None]
    for receipt in features:
        files.update(receipt.notes.get("file_rejects", {}))
        cells.update(receipt.notes.get("cell_nulls", {}))
        absent.update(receipt.notes.get("absent", {}))
        for table, reasons in receipt.notes.get("row_rejects", {}).items():
            rows[table].update(reasons)
    root = f"{archive.rstrip('/')}/"
    return {
        "partitions": {name: why.replace(root, "") for name, why in sorted(given_up.items())},
        "files": dict(sorted(files.items())),
        "rows": {table: dict(sorted(counts.items())) for table, counts in sorted(rows.items())},
        "cells": dict(sorted(cells.items())),
        "absent": dict(sorted(absent.items())),
        "parallax_fallback": sum(fallbacks) if fallbacks else None,
        "labels": label_books(labels[0], matches, translated) if labels else None,
        "counts": {name: count.model_dump() for name, count in counts.items()} if counts else None,
        "accepted_lost": any(count.is_unknown for count in (counts or {}).values()) or None,
    }


def label_books(
    labels: Receipt, matches: Iterable[Receipt], translated: Receipt | None
) -> dict[str, Any]:
    """Sum up what became of the rows of a label survey.

    Parameters
    ----------
    labels : Receipt
        Of the survey.
    matches : iterable of Receipt
        Of its stars in each partition.
    translated : Receipt, optional
        Of the labels that went through a crosswalk, if they did.

    Returns
    -------
    dict
        The fields of :class:`~catalog_builder.catalog.incident_record.LabelBooks`.
    """
    matches = list(matches)
    missing = sum(match.rows_in - match.rows_out for match in matches)
    if any("elsewhere" in match.notes for match in matches):
        known = labels if translated is None else translated
        # A star of several spectra may be met in several pieces.
        found = sum(match.notes.get("stars", match.rows_out) for match in matches)
        missing = max(0, known.rows_out - found)
    lost = {} if translated is None else translated.rejected
    walk = {} if translated is None else {"crosswalk": {"one": translated.rows_out, **lost}}
    return {
        "survey": labels.task,
        "rows": labels.rows_in,
        "rejected": dict(sorted(labels.rejected.items())),
        "nulls": dict(sorted(labels.notes.get("label_nulls", {}).items())),
        "without_spectrum": missing,
        **walk,
    }
