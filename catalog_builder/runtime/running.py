"""Which tasks are being worked on: a mark beside the receipts while a worker is at it.

Marks are for people (``status``, warnings of a stall) and never proof of anything: a killed worker
leaves its mark, and the next attempt writes over it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from catalog_builder.ground.documents import DocumentError, parse_json, read_document
from catalog_builder.runtime.identity import describe_self, is_alive
from catalog_builder.runtime.workdir import Workdir, remove_tree


class Mark(BaseModel):
    """A task, and who has been at it since when (seconds since 1970)."""

    model_config = ConfigDict(frozen=True)

    stage: str
    task: str
    host: str
    pid: int
    since: float
    #: Who it is, in a way that outlives a reuse of its pid.
    process: dict[str, Any]

    @property
    def in_words(self) -> str:
        """Return what is being done, for how long, and by which process."""
        seconds = max(0.0, time.time() - self.since)
        return f"{self.stage}/{self.task} for {seconds:.0f} s, process {self.pid} on {self.host}"


@contextmanager
def mark(workdir: Workdir, stage: str, task: str) -> Iterator[None]:
    """Mark a task as being worked on."""
    file = workdir.running / stage / f"{task}.json"
    me = describe_self()
    content = Mark(
        stage=stage, task=task, host=me["host"], pid=me["pid"], since=time.time(), process=me
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    # Plainly written, not atomically: a reader of half a mark passes over it.
    file.write_text(content.model_dump_json(), encoding="utf-8")
    try:
        yield
    finally:
        clear(workdir, stage, task)


def tell(workdir: Workdir, stage: str, task: str, share: float) -> None:
    """Write down which share of a marked task is done: of one that leaves nothing else to see."""
    _share_file(workdir, stage, task).write_text(f"{share:.3f}", encoding="utf-8")


def told(workdir: Workdir, stage: str, task: str) -> float | None:
    """Return what `tell` wrote down; None if there is nothing, or it is being written."""
    try:
        return float(_share_file(workdir, stage, task).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def running(workdir: Workdir) -> list[Mark]:
    """Return the marks of those who are at work, as far as can be seen; the longest first."""
    marks = [_read(file) for file in workdir.running.glob("*/*.json")]
    alive = [found for found in marks if found and is_alive(found.process) is not False]
    return sorted(alive, key=lambda each: each.since)


def clear(workdir: Workdir, stage: str | None = None, task: str = "") -> None:
    """Remove the mark of one task, or all that an earlier run left."""
    if stage is None:
        remove_tree(workdir.running)
    else:
        for file in (workdir.running / stage / f"{task}.json", _share_file(workdir, stage, task)):
            file.unlink(missing_ok=True)


def _share_file(workdir: Workdir, stage: str, task: str) -> Path:
    return workdir.running / stage / f"{task}.share"


def _read(file: Path) -> Mark | None:
    try:
        return Mark.model_validate(parse_json(read_document(file)))
    except (OSError, DocumentError, ValidationError):
        return None
