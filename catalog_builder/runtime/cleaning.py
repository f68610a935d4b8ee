"""What a workdir can do without: everything that no receipt and no sealed catalogue needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog_builder.runtime.receipts import read_receipt
from catalog_builder.runtime.workdir import Workdir, remove_tree

#: Folders in which tasks leave outputs under names of their own.
_OUTPUTS = ("features", "census", "labels", "matches", "training", "predictions", "models")


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
