"""Pages that are sealed with a catalogue: report, checks, drift, selection function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from catalog_builder.catalog.layout import REPORT_NAME, STORE_NAME
from catalog_builder.publish.chunk import Building
from catalog_builder.publish.selection import SelectionSum
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.report.others import LEFT_OUT
from catalog_builder.report.tally import Tally

if TYPE_CHECKING:
    from catalog_builder.comparing.outside.mapping import OtherTable as Mapped
    from catalog_builder.report.other_figures import OtherTable
    from catalog_builder.verdict.facts import VerdictFacts


def add_pages(
    settings: PublishSettings,
    facts: VerdictFacts | None,
    counts: SelectionSum | None,
    taught: Callable[[], dict[str, Any]] | None,
    building: Building,
    tally: Tally | None,
) -> Mapping[str, Any]:
    """Write the pages that are sealed with a catalogue; return what RELEASE.json says of them."""
    told: dict[str, Any] = {}
    chosen = None
    if counts is not None:
        selection = counts.finish()
        told["selection"], chosen = selection.model_dump(), counts.by_light(selection)
    if taught is not None and (tables := taught()):
        told["tables"] = tables
    if settings.drift_from is not None:
        from catalog_builder.comparing.drift import make_drift

        store, crosswalk = building.folder / STORE_NAME, settings.drift_crosswalk
        told |= make_drift(settings.drift_from, store, building.schema, building.record, crosswalk)
    if tally is None:
        return told
    summary, labelled = tally.summary(), tally.labelled
    if facts is not None:
        from catalog_builder.verdict.verdict import verdict  # SciPy

        so_far = {**building.record, **told}
        checks = verdict(summary, labelled, so_far, facts)
        told["checks"] = [check.model_dump() for check in checks]
    if settings.report:
        from catalog_builder.report.known import Known  # matplotlib
        from catalog_builder.report.page import write_report

        record = {**building.record, **told}
        known = Known(
            labelled,
            None if facts is None else facts.card,
            chosen,
            tuple(_others(tally, record)),
            folds=facts is None or facts.folds > 0,
        )
        write_report(summary, record, building.schema, building.folder / REPORT_NAME, known)
    return told


def _others(tally: Tally, record: Mapping[str, Any]) -> Iterator[OtherTable]:
    """Yield what other labels of the archive say, where any star has them."""
    from catalog_builder.comparing.outside.mapping import load_mapping
    from catalog_builder.report.other_figures import OtherTable  # matplotlib

    drawn = bool(record.get("simulated"))
    for name, kept in tally.others.items():
        if name.startswith(LEFT_OUT):
            continue
        mapping = load_mapping(name)
        sums, notes = kept, mapping.notes
        if not kept.labels and (left_out := tally.others.get(f"{LEFT_OUT}{name}")):
            # That no star has such a value is known of the whole alone.
            sums, notes = kept.with_left_out(left_out), (*notes, _uncut(mapping))
        if sums.labels:
            yield OtherTable(name, mapping.title, notes, sums, simulated=drawn)


def _uncut(mapping: Mapped) -> str:
    columns = dict.fromkeys(
        cut.column if isinstance(cut.column, str) else " or ".join(cut.column)
        for cut in mapping.cuts
        if cut.rejects == "star"
    )
    names = ", ".join(f"`{name}`" for name in columns)
    return f"The archive given has no values of {names}: doubtful stars are not left out."
