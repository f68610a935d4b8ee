"""A status in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from catalog_builder.looking.status import RunStatus, StageStatus
from catalog_builder.runtime.estimate import duration
from catalog_builder.runtime.tasks import grouped

#: Failed or quarantined tasks that are named, of each stage.
NAMED = 5


def in_words(status: RunStatus) -> str:
    """Return everything as a table and lines below it."""
    return "\n".join(
        [
            f"{status.workdir}: {_who(status)}",
            "",
            f"{'stage':<15}{'state':<10}{'tasks':>13}{'rows in':>14}{'rows out':>14}"
            f"{'rejected':>10}{'rows/s':>9}{'left':>9}",
            *(_row(stage) for stage in status.stages),
            *(line for stage in status.stages for line in _remarks(stage)),
            *_examples(status),
            "",
            *_end(status),
        ]
    )


def _who(status: RunStatus) -> str:
    run = f"run {status.run}" if status.run else "no log"
    if status.driver is None:
        return f"not running ({run})"
    driver = status.driver
    return (
        f"running, process {driver.get('pid')} on {driver.get('host')} since {driver.get('since')}"
        f" ({run})"
    )


def _row(stage: StageStatus) -> str:
    tasks = f"{stage.done}" if stage.planned is None else f"{stage.done}/{stage.planned}"
    rate = "" if stage.rate is None else f"{stage.rate:,.0f}"
    left = "" if stage.seconds_left is None else duration(stage.seconds_left)
    return (
        f"{stage.stage:<15}{stage.state:<10}{tasks:>13}{stage.rows_in:>14,}{stage.rows_out:>14,}"
        f"{sum(stage.rejected.values()):>10,}{rate:>9}{left:>9}"
    )


def _remarks(stage: StageStatus) -> Iterator[str]:
    lines = [
        f"{len(stage.running)} running, the longest {mark['task']} for"
        f" {duration(mark['seconds'])} (process {mark['pid']} on {mark['host']})"
        for mark in stage.running[:1]
    ]
    if stage.progress:
        lines.append(stage.progress)
    if stage.planned is not None and stage.planned > 1 and stage.slowest:
        slowest = ", ".join(f"{task} {duration(seconds)}" for task, seconds in stage.slowest)
        lines.append(f"slowest: {slowest}")
    for what, counts in (("rejected", stage.rejected), ("rows left out", stage.rejected_rows)):
        lines += [f"{what}, {reason}: {count:,}" for reason, count in sorted(counts.items())]
    lines += _named("failed", stage.failed)
    lines += _named("in quarantine", stage.quarantined)
    if stage.damaged:
        lines.append(f"damaged receipts: {', '.join(stage.damaged[:NAMED])}")
    if stage.stale:
        lines.append(f"{stage.stale} receipts of earlier plans")
    if lines:
        yield ""
        yield f"{stage.stage}"
        yield from (f"  {line}" for line in lines)


def _named(what: str, tasks: dict[str, str]) -> Iterator[str]:
    yield from (f"{what}: {line}" for line in grouped(tasks, NAMED))


def _examples(status: RunStatus) -> Iterator[str]:
    if not status.reject_examples:
        return
    yield ""
    yield "rejected rows, for example"
    for reason, rows in status.reject_examples.items():
        for row in rows:
            where = f"row {row['row']} of {row['table']}" if row["row"] >= 0 else str(row["table"])
            yield f"  {reason}: source_id {row['source_id']}, {where}, partition {row['partition']}"


def _end(status: RunStatus) -> Iterator[str]:
    if status.stalled_seconds is not None:
        yield f"warning: nothing was finished for {duration(status.stalled_seconds)}"
    if status.last_error:
        yield f"last error: {status.last_error}"
    if not status.catalogues:
        yield "no catalogue yet"
    for path in status.catalogues:
        yield f"catalogue: {path}"
        yield from (f"  ALARM: {words}" for words in status.alarms.get(path, ()))
