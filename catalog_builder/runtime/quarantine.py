"""Tasks that were given up: their reason stands beside the receipts until their input changes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from catalog_builder.ground.documents import DocumentError, parse_json, read_document
from catalog_builder.runtime.redaction import redact
from catalog_builder.runtime.tasks import Task
from catalog_builder.runtime.workdir import Workdir, write_json

SUFFIX = ".quarantined"


class GivenUp(BaseModel):
    """Why a task is left out; with another key (a corrected file, a setting) it is tried anew."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    task: str
    key: str
    reason: str


def give_up(workdir: Workdir, task: Task, reason: str) -> GivenUp:
    """Put a task into quarantine."""
    record = GivenUp(stage=task.stage, task=task.name, key=task.key, reason=redact(reason))
    write_json(_file(workdir, task.stage, task.name), record.model_dump())
    return record


def given_up(workdir: Workdir, tasks: Iterable[Task]) -> dict[str, GivenUp]:
    """Return the tasks in quarantine, by name."""
    found = {}
    # One listing of a folder instead of a vain attempt to open a file for each task.
    present: dict[str, set[str]] = {}
    for task in tasks:
        if task.stage not in present:
            present[task.stage] = _listed(workdir.receipts / task.stage)
        if task.name not in present[task.stage]:
            continue
        record = _read(_file(workdir, task.stage, task.name))
        if record is not None and record.key == task.key:
            found[task.name] = record
    return found


def release(workdir: Workdir, tasks: Iterable[Task]) -> None:
    """Let tasks out of quarantine."""
    for task in tasks:
        _file(workdir, task.stage, task.name).unlink(missing_ok=True)


def all_given_up(workdir: Workdir) -> list[GivenUp]:
    """Return everything in quarantine, whatever its key."""
    files = sorted(workdir.receipts.glob(f"*/*{SUFFIX}"))
    return [record for record in map(_read, files) if record is not None]


def _file(workdir: Workdir, stage: str, name: str) -> Path:
    return workdir.receipts / stage / f"{name}{SUFFIX}"


def _listed(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return set()
    return {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)}


def _read(path: Path) -> GivenUp | None:
    try:
        return GivenUp.model_validate(parse_json(read_document(path)))
    except (OSError, DocumentError, ValidationError):
        return None
