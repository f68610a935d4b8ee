"""What a workdir can do without: everything that no receipt and no sealed catalogue needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from catalog_builder.runtime.receipts import read_receipt
from catalog_builder.runtime.running import clear
from catalog_builder.runtime.workdir import Workdir, remove_tree, remove_unfinished

#: Folders in which tasks leave outputs under names of their own.
_SUFFIX = "[0-9a-f]" * 8
_OUTPUTS = (
    *("features", "census", "labels", "crosswalks", "translated", "matches", "training", "models"),
    *("taught", "predictions", "comparisons", "measures", "repeated"),
)


@dataclass(frozen=True)
class Surplus:
    """Something that can go, its size, and why."""

    path: Path
    size: int
    reason: str


def find_surplus(workdir: Workdir, *, intermediate: bool = False) -> list[Surplus]:
    """List what can be removed.

    Parameters
    ----------
    workdir : Workdir
        Whose driver must not be at work.
    intermediate : bool
        Also list the outputs that receipts name (features, training set, predictions): the sealed
        catalogues stay whole without them, but a rerun would have to make them again. Models stay.
    """
    wanted = _named_by_receipts(workdir)
    found = [
        Surplus(path, _size(path), "left by an attempt that no receipt names")
        for path in _outputs(workdir)
        # A finished model stays: sealed catalogues name it, and other runs may predict with it.
        if path not in wanted and not (path / "model.json").is_file()
    ]
    found += [
        Surplus(path, _size(path), "a catalogue that was never sealed")
        for path in sorted(workdir.catalogs.glob("*/.building-*"))
    ]
    if workdir.scratch.is_dir():
        found.append(Surplus(workdir.scratch, _size(workdir.scratch), "spill space of workers"))
    if intermediate:
        found += [
            Surplus(path, _size(path), "intermediate; a rerun would make it again")
            for path in sorted(wanted)
            if path.exists()
            and path.parent.name not in ("models", "members", "catalogs")
            and workdir.catalogs not in path.parents
        ]
    return found


def remove(surplus: list[Surplus]) -> None:
    """Remove what was listed."""
    for item in surplus:
        remove_tree(item.path)


def tidy_after_interruption(workdir: Workdir) -> None:
    """Remove what the tasks left that were cut short; their workers are gone, the lock is held.

    What a later run goes on from stays: checkpoints of models in training, and the chunks of a
    catalogue. Nothing is read but what belongs to these tasks, whatever the size of the workdir.
    """
    for mark in workdir.running.glob("*/*.json"):
        receipts = (read_receipt(file) for file in workdir.receipts.glob(f"*/{mark.stem}.json"))
        kept = {workdir.root / receipt.output for receipt in receipts if receipt is not None}
        for path in _attempts(workdir, mark.stem):
            if path not in kept:
                remove_tree(path)
    for path in workdir.catalogs.glob("*/.building-*/.*.partial"):
        remove_tree(path)  # of a seal that was cut short
    clear(workdir)
    remove_unfinished(workdir.receipts)
    remove_tree(workdir.unfinished_archive)
    # Dask may be removing its part of this at the same time.
    shutil.rmtree(workdir.scratch, ignore_errors=True)


def _attempts(workdir: Workdir, task: str) -> Iterator[Path]:
    for name in _OUTPUTS:
        yield from (workdir.root / name).glob(f"{escape(task)}-{_SUFFIX}*")
    for path in workdir.models.glob(f"model-{_SUFFIX}"):
        if not (path / "model.json").is_file():
            yield path


def _named_by_receipts(workdir: Workdir) -> set[Path]:
    receipts = map(read_receipt, workdir.receipts.glob("*/[!.]*.json"))
    return {workdir.root / receipt.output for receipt in receipts if receipt is not None}


def _outputs(workdir: Workdir) -> Iterator[Path]:
    for name in _OUTPUTS:
        for path in sorted((workdir.root / name).glob("*")):
            if path == workdir.models / "members":
                yield from sorted(path.glob("*"))
            else:
                yield path


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
