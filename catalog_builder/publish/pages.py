"""Pages that are sealed with a catalogue: report, checks, drift, selection function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from catalog_builder.catalog.layout import REPORT_NAME, STORE_NAME
from catalog_builder.comparing.drift import make_drift
from catalog_builder.publish.chunk import Building
from catalog_builder.publish.selection import SelectionSum
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.report.tally import Tally
from catalog_builder.verdict.facts import VerdictFacts
from catalog_builder.verdict.verdict import verdict


def add_pages(
    settings: PublishSettings,
    facts: VerdictFacts | None,
    counts: SelectionSum | None,
    taught: Callable[[], dict[str, Any]] | None,
    building: Building,
    tally: Tally | None,
) -> Mapping[str, Any]:
    """Write the pages that are sealed with a catalogue; return what RELEASE.json says of them."""
    told: dict[str, Any] = {} if counts is None else {"selection": counts.finish().model_dump()}
    if taught is not None and (tables := taught()):
        told["tables"] = tables
    if settings.drift_from is not None:
        store, crosswalk = building.folder / STORE_NAME, settings.drift_crosswalk
        told |= make_drift(settings.drift_from, store, building.schema, building.record, crosswalk)
    if tally is None:
        return told
    summary, labelled = tally.summary(), tally.labelled
    if facts is not None:
        known = {**building.record, **told}
        checks = verdict(summary, labelled, known, facts)
        told["checks"] = [check.model_dump() for check in checks]
    if settings.report:
        from catalog_builder.report.page import write_report  # matplotlib

        record = {**building.record, **told}
        card = None if facts is None else facts.card
        target = building.folder / REPORT_NAME
        write_report(summary, record, building.schema, target, labelled, card)
    return told
