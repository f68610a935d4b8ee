"""Stores that rotted on disk: found by the task that needs them, discarded, made again.

Every receipt has the sizes and checksums of its output's files. Before a task begins, those that
nothing else protects are checked: the metadata of stores, for chunks have checksums of their own
and zarr looks at them. When a task fails, those that its error names are read from front to back:
if one is not what its receipt says, that was the reason. Where the error names none, as that of a
library may not, all of them are looked at, as far as that takes no longer than a task.
"""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from catalog_builder.ground.errors import (
    CatalogBuilderError,
    ClusterError,
    ConfigError,
    InputError,
    ResourceError,
    StoreError,
)
from catalog_builder.runtime.receipts import Receipt, file_checksum, read_inventory, read_receipt
from catalog_builder.runtime.workdir import Workdir

#: Files of a store that no checksum inside it protects.
_METADATA: Final = "zarr.json"
#: Errors that say whose fault it was, and that it was not a store's.
_NOT_OURS: Final = (InputError, ConfigError, ClusterError, ResourceError, MemoryError)
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
#: Bytes of inputs that are read for an error that names none of them; of the others, which may be
#: all features there are, sizes and metadata are looked at.
UNNAMED_BYTES: Final = 1 << 30


@dataclass(frozen=True)
class Need:
    """The output of an earlier task that a task reads.

    Attributes
    ----------
    stage, task : str
        Who made it.
    checked : {"metadata", "everything", "nothing"}
        What is checked before the task begins, besides that all files are there.
    """

    stage: str
    task: str
    checked: Literal["metadata", "everything", "nothing"] = "metadata"


@dataclass(frozen=True)
class Damage:
    """One file that is not as its task left it; `file` is relative to the workdir."""

    stage: str
    task: str
    file: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file} {self.problem}"


class DamagedStoreError(StoreError):
    """Outputs of earlier tasks are damaged; a run discards them and has them made again."""

    damage: tuple[Damage, ...] = ()

    @classmethod
    def of(cls, damage: Iterable[Damage]) -> Self:
        """Return the error that names these files."""
        found = tuple(dict.fromkeys(damage))
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        error = cls(
            f"Damaged on disk: {'; '.join(map(str, found[:3]))}{more}.",
            "Give the same command again: what is damaged is made anew.",
        )
        error.damage = found
        return error


def refuse_damaged(workdir: Workdir, needs: Sequence[Need]) -> None:
    """Check what a task needs before it begins.

    Raises
    ------
    DamagedStoreError
        If something is not as its receipt says.
    """
    damage = [
        damage
        for need in needs
        if need.checked != "nothing"
        for damage in _damage(workdir, need, everything=need.checked == "everything")
    ]
    if damage:
        raise DamagedStoreError.of(damage)


def blame_damage(workdir: Workdir, needs: Sequence[Need], error: Exception) -> None:
    """Find out whether a task failed because something it needs is damaged.

    Raises
    ------
    DamagedStoreError
        From the error, if so.
    """
    if isinstance(error, DamagedStoreError):
        raise error
    if isinstance(error, _NOT_OURS) or _is_of_a_full_disk(error):
        return
    said = str(error)
    receipts = [(need, receipt) for need in needs if (receipt := _receipt(workdir, need))]
    # A training set has thousands of inputs: those that the error speaks of come first.
    named = [need for need, receipt in receipts if receipt.output in said]
    damage = [one for need in named for one in _damage(workdir, need, everything=True)]
    # Our own errors name what they are about.
    if not damage and not isinstance(error, CatalogBuilderError):
        others = [(need, receipt) for need, receipt in receipts if need not in named]
        damage = list(_damage_within(workdir, others, UNNAMED_BYTES))
    if damage:
        raise DamagedStoreError.of(damage) from error


def _is_of_a_full_disk(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            return True
        error = error.__cause__
    return False


def _damage_within(
    workdir: Workdir, receipts: Iterable[tuple[Need, Receipt]], most: int
) -> Iterator[Damage]:
    """Yield damage in outputs: of the first `most` bytes by content, then by metadata alone."""
    for need, receipt in receipts:
        most -= sum(size for size, _ in read_inventory(receipt.inventory).values())
        yield from _damage(workdir, need, everything=most >= 0)


def all_damage(errors: Iterable[BaseException]) -> DamagedStoreError | None:
    """Return one error for the damage that several tasks met; None if they met none."""
    damage = [
        one for error in errors if isinstance(error, DamagedStoreError) for one in error.damage
    ]
    return DamagedStoreError.of(damage) if damage else None


def damaged_twice(damage: Sequence[Damage], workdir: Workdir) -> CatalogBuilderError:
    """Return the error for what was made anew and is damaged once more."""
    return StoreError(
        f"Damaged again after it was made anew: {'; '.join(map(str, damage[:3]))}.",
        f"The disk of {workdir.root}, or the memory of a machine that writes to it, is failing:"
        " have both checked, or give another --workdir.",
    )


def _damage(workdir: Workdir, need: Need, *, everything: bool) -> Iterator[Damage]:
    receipt = _receipt(workdir, need)
    if receipt is None:
        return  # the next plan finds that out
    output = workdir.root / receipt.output
    for name, (size, checksum) in read_inventory(receipt.inventory).items():
        file = output / name if name else output
        wanted = checksum if everything or file.name == _METADATA else ""
        if problem := _problem(file, size, wanted):
            place = file.relative_to(workdir.root).as_posix()
            yield Damage(need.stage, need.task, place, problem)


def _problem(file: Path, size: int, checksum: str) -> str:
    try:
        found = file.stat().st_size
        if found != size:
            return f"has {found} bytes instead of {size}"
        if checksum and file_checksum(file) != checksum:
            return "has changed since it was written: its checksum does not hold"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""


def _receipt(workdir: Workdir, need: Need) -> Receipt | None:
    try:
        receipt = read_receipt(workdir.receipt_file(need.stage, need.task))
        if receipt is not None:
            read_inventory(receipt.inventory)
    except (OSError, ValueError, zlib.error):
        return None
    return receipt
