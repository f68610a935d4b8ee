"""What each stage was last asked for: its tasks and their keys.

The driver writes it before the stage begins, so that ``status`` can tell from any shell which
receipts count, which are of an earlier plan, and how much is left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from catalog_builder.ground.documents import DocumentError, parse_json, read_document
from catalog_builder.runtime.tasks import Task
from catalog_builder.runtime.workdir import Workdir, write_atomically


def write_plan(workdir: Workdir, stage: str, tasks: Sequence[Task]) -> None:
    """Keep a stage's tasks and keys; nothing is written where they are as before."""
    content = json.dumps({task.name: task.key for task in tasks}, indent=0).encode()
    file = _file(workdir, stage)
    if not file.exists() or file.read_bytes() != content:
        write_atomically(file, content)


def read_plan(workdir: Workdir, stage: str) -> dict[str, str] | None:
    """Return the keys of a stage's tasks by name; None if it was never planned."""
    try:
        content = parse_json(read_document(_file(workdir, stage)))
    except (OSError, DocumentError):
        return None
    return content if isinstance(content, dict) else None


def planned_stages(workdir: Workdir) -> set[str]:
    """Return the stages that have a plan."""
    return {file.stem for file in workdir.plans.glob("[!.]*.json")}


def _file(workdir: Workdir, stage: str) -> Path:
    return workdir.plans / f"{stage}.json"
