"""Receipts: what a task was made from, what it made, and how many rows it lost and why.

A receipt is the only proof that a task is done. It is written last and atomically, it carries
its own digest (so a hand-edited or truncated one is recognised) and the key of its inputs (so a
stale one is), and an inventory of the output's files with their sizes and checksums (so a damaged
output is).
"""

from __future__ import annotations

import base64
import os
import zlib
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, Final

import google_crc32c
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from catalog_builder.ground.digests import digest_json
from catalog_builder.ground.documents import DocumentError, parse_json, read_document
from catalog_builder.runtime.workdir import write_json

#: The pattern of a task that wrote all of its output.
EVERYTHING = "**/*"
_READ_BYTES: Final = 1 << 20

#: The note of a receipt whose task worked on simulated stars.
SIMULATED = "simulated"


class TaskState(StrEnum):
    """What a receipt, or its absence, says of a task."""

    DONE = "done"
    MISSING = "missing"
    STALE = "stale"
    DAMAGED_RECEIPT = "damaged receipt"
    DAMAGED_OUTPUT = "damaged output"


class Receipt(BaseModel):
    """One finished task. Rows balance: ``rows_in == rows_out + sum(rejected.values())``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    task: str
    stage_version: int
    key: str = Field(description="Digest of all that the output depends on.")
    rows_in: int = Field(ge=0)
    rows_out: int = Field(ge=0)
    rejected: dict[str, int] = {}
    inputs: dict[str, dict[str, Any]] = {}
    output: str = Field(description="Path of the output, relative to the workdir.")
    pattern: str = Field(description="Which files of the output are this task's own.")
    output_digest: str = Field(description="Digest of the data in the output.")
    inventory: str = Field(description="Sizes, checksums and names of the output's files.")
    notes: dict[str, Any] = {}
    seconds: float
    digest: str = ""

    @field_validator("output")
    @classmethod
    def _stays_in_the_workdir(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("an output lies inside the workdir")
        return value

    @property
    def simulated(self) -> bool:
        """Whether any star that the task worked on is simulated."""
        return bool(self.notes.get(SIMULATED))

    def sealed(self) -> Receipt:
        """Return the receipt with its own digest filled in."""
        return self.model_copy(update={"digest": self.content_digest()})

    def content_digest(self) -> str:
        """Return the digest of everything but the digest itself."""
        return digest_json(self.model_dump(mode="json", exclude={"digest"}))

    def balances(self) -> bool:
        """Say whether every row that went in came out or was rejected."""
        return self.rows_in == self.rows_out + sum(self.rejected.values())


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt: the last act of a task."""
    write_json(path, receipt.sealed().model_dump(mode="json"))


def read_receipt(path: Path) -> Receipt | None:
    """Return the receipt in a file; None if it is truncated, edited or not a receipt.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    try:
        receipt = Receipt.model_validate(parse_json(read_document(path)))
    except (DocumentError, ValidationError):
        return None
    return receipt if receipt.digest == receipt.content_digest() else None


def find_receipt(
    path: Path, root: Path, stage: str, task: str, key: str
) -> tuple[TaskState, Receipt | None]:
    """Say what state a planned task is in, and return its receipt if it is done.

    Parameters
    ----------
    path : Path
        Where its receipt would lie.
    root : Path
        The workdir.
    stage, task, key : str
        What the receipt must say.
    """
    try:
        receipt = read_receipt(path)
    except FileNotFoundError:
        return TaskState.MISSING, None
    if receipt is None or (receipt.stage, receipt.task) != (stage, task):
        return TaskState.DAMAGED_RECEIPT, None
    if receipt.key != key:
        return TaskState.STALE, None
    if not is_intact(root / receipt.output, receipt.pattern, receipt.inventory):
        return TaskState.DAMAGED_OUTPUT, None
    return TaskState.DONE, receipt


def inventory_of(path: Path, pattern: str = EVERYTHING, *, checksums: bool = True) -> str:
    """Return sizes, checksums and names of a file, or of a folder's files, packed into a string.

    Packed is the list, not a digest of it: so that :func:`is_intact` need not search the folders
    for their files. A run's start looks at every output there is.

    Parameters
    ----------
    path : Path
        A file or a folder.
    pattern : str
        Glob of the files below a folder; where many tasks write one store, each has its own.
    checksums : bool
        Whether to read the files for their CRC-32C; not needed where they have others.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    """
    if path.is_file():
        files = {"": path}
    else:
        found = (file for file in path.glob(pattern) if file.is_file())
        files = {file.relative_to(path).as_posix(): file for file in found}
    if not files and not path.exists():
        raise FileNotFoundError(path)
    lines = []
    for name, file in sorted(files.items()):
        checksum = f":{file_checksum(file)}" if checksums else ""
        lines.append(f"{file.stat().st_size}{checksum} {name}")
    return base64.b64encode(zlib.compress("\n".join(lines).encode(), level=6)).decode()


def read_inventory(inventory: str) -> dict[str, tuple[int, str]]:
    """Return the size and the checksum (empty if there is none) of each file, by name.

    Raises
    ------
    ValueError, zlib.error
        If it is not an inventory.
    """
    lines = zlib.decompress(base64.b64decode(inventory, validate=True)).decode().split("\n")
    facts = {}
    for said, _, name in (line.partition(" ") for line in lines):
        size, _, checksum = said.partition(":")
        facts[name] = int(size), checksum
    return facts


def file_checksum(path: Path) -> str:
    """Return the CRC-32C of a file, 8 hexadecimal digits."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            checksum = google_crc32c.extend(checksum, block)
    return f"{checksum:08x}"


def is_intact(path: Path, pattern: str, inventory: str) -> bool:
    """Say whether an output has the files, of the sizes, that its inventory lists.

    It finds what is missing or truncated, and additions to the output's own folder, without
    reading the data; what it cannot find (a flipped bit) is found when they are needed
    (:mod:`catalog_builder.runtime.damage`).
    """
    try:
        facts = read_inventory(inventory)
        root = str(path)
        for name, (size, _) in facts.items():
            if os.stat(f"{root}/{name}" if name else root).st_size != size:  # noqa: PTH116 - speed
                return False
        if pattern != EVERYTHING or "" in facts:
            return True
        return set(os.listdir(root)) == {name.partition("/")[0] for name in facts}  # noqa: PTH208
    except (OSError, ValueError, zlib.error):
        return False
