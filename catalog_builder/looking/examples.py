"""A few rejected rows for each reason, so that an operator can look at one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from catalog_builder.archive.release import load_release
from catalog_builder.features.ledger import REASONS
from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.documents import parse_json, read_document
from catalog_builder.ground.errors import CatalogBuilderError
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.workdir import Workdir

#: Rows named for each reason.
EXAMPLES = 3


def reject_examples(
    workdir: Workdir, receipts: Iterable[Receipt]
) -> dict[str, list[dict[str, Any]]]:
    """Return rejected rows by reason: source_id, table, row in the file, partition.

    At most one feature store is opened for each reason. One that is being replaced while it is
    read is passed over: its examples are missing, no more.

    Parameters
    ----------
    workdir : Workdir
        Where the feature stores are.
    receipts : iterable of Receipt
        Of the ingest stage; their notes say which reasons a partition has.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for receipt in receipts:
        reasons = {r for rows in receipt.notes.get("row_rejects", {}).values() for r in rows}
        if not reasons - found.keys():
            continue
        try:
            rows = _rejected(workdir, receipt)
        except (CatalogBuilderError, OSError, KeyError, ValueError):
            continue
        for reason in reasons & rows.keys() - found.keys():
            found[reason] = rows[reason]
    return dict(sorted(found.items()))


def _rejected(workdir: Workdir, receipt: Receipt) -> dict[str, list[dict[str, Any]]]:
    store = FeatureStore(workdir.root / receipt.output)
    tables = _tables(workdir)
    numbers = store.column("rejected_reason")
    columns = {name: store.column(f"rejected_{name}") for name in ("source_id", "row", "table")}
    found = {}
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)[:EXAMPLES]
        found[REASONS[int(number)].value] = [
            {
                "source_id": int(columns["source_id"][row]),
                "table": tables[place] if place < len(tables) else str(place),
                "row": int(columns["row"][row]),
                "partition": receipt.task,
            }
            for row, place in zip(rows, columns["table"][rows].tolist(), strict=True)
        ]
    return found


def _tables(workdir: Workdir) -> list[str]:
    """Return the release's tables in the order by which stores number them."""
    try:
        config = parse_json(read_document(workdir.root / "config.json"))
        return list(load_release(config["release"]).tables)
    except (OSError, ValueError, KeyError, TypeError, CatalogBuilderError):
        return []
