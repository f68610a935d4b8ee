"""The gate before an ingest: whether an archive contradicts its release description.

One file of each table is looked at, and its first rows. What speaks against the description must
show in a second file as well, where there is one: damage of one file is the ingest's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from catalog_builder.archive.layout import Partition
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.archive.tables import TableName
from catalog_builder.ground.errors import InputError
from catalog_builder.inspecting.bias import check_bias
from catalog_builder.inspecting.columns import check_columns
from catalog_builder.inspecting.finding import Finding, Looked, common
from catalog_builder.inspecting.ids import check_ids
from catalog_builder.inspecting.magnitudes import check_magnitudes
from catalog_builder.inspecting.samples import check_bands, check_lengths, check_lines
from catalog_builder.inspecting.samples_of_lines import TRIPLET_SPECTRA
from catalog_builder.inspecting.view import View, look
from catalog_builder.runtime.events import Events

#: Partitions that are looked at for enough spectra of lines, at most.
_MOST_PARTITIONS: Final = 6
#: Contradictions that are told at once.
_TOLD: Final = 3
#: Files of a table that are tried where they are damaged.
_TRIES: Final = 3


@dataclass(frozen=True)
class GateReport:
    """What the gate looked at, and what it found.

    Attributes
    ----------
    files : list of str
        Names of the files, and of those that could not be looked at, why.
    facts : dict
        What was measured.
    findings : list of Finding
        What contradicts the description.
    """

    files: list[str]
    facts: dict[str, Any]
    findings: list[Finding]

    def refuse(self) -> None:
        """Raise if anything contradicts the description.

        Raises
        ------
        InputError
            Naming the lines of the description, what was seen and what helps.
        """
        if not self.findings:
            return
        told = [f"{found.line}: {found.problem}" for found in self.findings[:_TOLD]]
        more = len(self.findings) - _TOLD
        told += [f"And {more} more: `catalog-builder inspect` shows all."] if more > 0 else []
        cures = list(dict.fromkeys(found.way_out for found in self.findings[:_TOLD]))
        raise InputError(
            "The archive is not what the release description says. " + " ".join(told),
            " ".join(cures) + " `--set ingest.gate=false` goes on without this look.",
        )

    def in_words(self) -> str:
        """Say what was looked at, in one line."""
        count = len(self.findings)
        found = f"{count} contradiction{'s' * (count > 1)}" if count else "nothing against it"
        return f"Looked at {len(self.files)} files: {found}."


def pass_gate(partitions: Sequence[Partition], release: ReleaseSpec, events: Events) -> GateReport:
    """Refuse an archive that is not what the description says; the log has what was seen.

    Raises
    ------
    InputError
        See `GateReport.refuse`.
    """
    begin = time.monotonic()
    report = examine_archive(partitions, release)
    events.record(
        "gate",
        seconds=round(time.monotonic() - begin, 1),
        files=report.files,
        facts=report.facts,
        findings=[f"{found.line}: {found.problem}" for found in report.findings],
    )
    report.refuse()
    events.say(report.in_words(), detail=True)
    return report


def examine_archive(partitions: Sequence[Partition], release: ReleaseSpec) -> GateReport:
    """Compare one file of each table with the release description; nothing is raised.

    Parameters
    ----------
    partitions : sequence of Partition
        Of the archive; a few of them are looked at.
    release : ReleaseSpec
        What it should be.
    """
    order = sorted(partitions, key=lambda part: (-len(part.files), part.name))
    views: dict[str, View] = {}

    def view_of(partition: Partition) -> View:
        if partition.name not in views:
            views[partition.name] = look(partition, release)
        return views[partition.name]

    first = _covering(order, view_of)
    looked = Looked()
    findings = _each(first, release, looked)
    rest = [part for part in order if part.name not in views]
    confirmed: list[Finding] = []
    for found in findings:
        other = _another(found.table, rest, view_of)
        again = [] if other is None else _each([other], release, Looked())
        confirmed += [found] if other is None else common([[found], again])
    for table in _tables_of_lines(release):
        _gather(table, order, view_of, views)
    lines = Looked()
    check_lines(list(views.values()), release, lines)
    for found in common([lines.findings]):
        other, alone = _another(found.table, rest, view_of), Looked()
        enough = other is not None and _spectra(found.table, [other]) >= TRIPLET_SPECTRA
        if other is not None and enough:
            check_lines([other], release, alone)
        if enough and alone.judges(found.line, lines):
            confirmed += common([[found], alone.findings])
        else:  # it cannot tell alone; several files said it together
            confirmed.append(found)
    return GateReport(_names(views), looked.facts | lines.facts, confirmed)


def _each(views: Sequence[View], release: ReleaseSpec, looked: Looked) -> list[Finding]:
    for view in views:
        check_columns(view, release, looked)
        check_lengths(view, release, looked)
        check_bias(view, release, looked)
        check_ids(view, release, looked)
        check_bands(view, release, looked)
        check_magnitudes(view, release, looked)
    return common([looked.findings])


def _covering(order: Sequence[Partition], view_of: Callable[[Partition], View]) -> list[View]:
    """Look at the first partitions that have a sound file of each table between them."""
    tries = dict.fromkeys({table for part in order for table in part.files}, _TRIES)
    chosen = []
    for part in order:
        if not any(tries[table] for table in part.files):
            continue
        view = view_of(part)
        chosen.append(view)
        for table, seen in view.tables.items():
            tries[table] = max(0, tries[table] - 1) if seen.damaged else 0
    return chosen


def _another(
    table: TableName, others: Sequence[Partition], view_of: Callable[[Partition], View]
) -> View | None:
    """Look at another sound file of a table; None where there is none among the next ones."""
    for part in [part for part in others if table in part.files][:_TRIES]:
        view = view_of(part)
        if not view.tables[table].damaged:
            return view
    return None


def _tables_of_lines(release: ReleaseSpec) -> list[TableName]:
    return [
        table
        for table, readings in release.readings.items()
        if any(isinstance(reading.spectrum, LineSpectrum) for reading in readings)
    ]


def _gather(
    table: TableName,
    order: Sequence[Partition],
    view_of: Callable[[Partition], View],
    views: dict[str, View],
) -> None:
    """Look at more partitions until there are enough spectra of a table."""
    more = (part for part in order if table in part.files and part.name not in views)
    while _spectra(table, views.values()) < TRIPLET_SPECTRA and len(views) < _MOST_PARTITIONS:
        part = next(more, None)
        if part is None:
            return
        view_of(part)


def _spectra(table: TableName, views: Iterable[View]) -> int:
    seen = (view.tables[table] for view in views if table in view.tables)
    return sum(len(each.columns.get("source_id", ())) for each in seen)


def _names(views: dict[str, View]) -> list[str]:
    return [
        f"{seen.file.name}: {seen.damaged}" if seen.damaged else seen.file.name
        for view in views.values()
        for seen in view.tables.values()
    ]
