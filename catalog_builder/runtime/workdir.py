"""The layout of a workdir, and atomic writes into it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog_builder.ground.errors import StoreError


@dataclass(frozen=True)
class Workdir:
    """A run's folder. Every path that a stage writes is made here.

    Outputs of tasks get a fresh random suffix on every attempt and count only once a receipt
    names them: two attempts at one task (a worker presumed dead that is not) never meet in one
    folder, and an output is never overwritten while something may read it.
    """

    root: Path

    @property
    def receipts(self) -> Path:
        """Folder of receipts, one sub-folder per stage."""
        return self.root / "receipts"

    @property
    def plans(self) -> Path:
        """Folder of the stages' plans: which tasks were asked for, with which keys."""
        return self.root / "plans"

    @property
    def running(self) -> Path:
        """Folder of marks of the tasks that workers are at."""
        return self.root / "running"

    @property
    def progress_file(self) -> Path:
        """What the driver wrote down of the stage at work, for ``status``."""
        return self.running / "progress.json"

    @property
    def logs(self) -> Path:
        """Folder of the event logs (JSON lines)."""
        return self.root / "logs"

    @property
    def models(self) -> Path:
        """Folder of trained models and of the checkpoints of models in training."""
        return self.root / "models"

    @property
    def catalogs(self) -> Path:
        """Folder of sealed catalogues, ``<release>/<version>`` below it."""
        return self.root / "catalogs"

    @property
    def matrices(self) -> Path:
        """Copies of the release's matrices, by their digests, for the workers."""
        return self.root / "matrices"

    @property
    def lock_file(self) -> Path:
        """Lock of the one driver that may work here."""
        return self.root / "driver.lock"

    @property
    def scratch(self) -> Path:
        """Spill space of the Dask workers."""
        return self.root / "scratch"

    @property
    def unfinished_archive(self) -> Path:
        """Where the sky of a demonstration is written until it is whole."""
        return self.root / ".archive.partial"

    def receipt_file(self, stage: str, name: str) -> Path:
        """Path of a task's receipt."""
        return self.receipts / stage / f"{name}.json"

    def new_output(self, stage: str, name: str, suffix: str = ".zarr") -> Path:
        """Return a path that no other attempt uses, in an existing folder."""
        folder = self.root / stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}-{secrets.token_hex(4)}{suffix}"

    def create(self) -> None:
        """Make the folder, or say why it cannot be a workdir.

        Raises
        ------
        StoreError
            If the path is a file or the folder cannot be written.
        """
        self.refuse_if_impossible()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{secrets.token_hex(4)}"
            try:
                probe.touch()
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"The workdir {self.root} cannot be written: {error.strerror}.",
                "Give another folder with --workdir.",
            ) from None

    def refuse_if_impossible(self) -> None:
        """Refuse a folder that could not be made or written, without touching it.

        Raises
        ------
        StoreError
            If the path, or what it would be made in, is a file or cannot be written.
        """
        place = self.root
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir():
            reason = f"{place} is a file, not a folder"
        elif not os.access(place, os.W_OK | os.X_OK):
            reason = f"{place} is not this user's to write"
        else:
            return
        raise StoreError(
            f"The workdir {self.root} cannot be written: {reason}.",
            "Give another folder with --workdir.",
        )

    def require(self) -> None:
        """Say what is wrong with a folder that is to be looked at.

        Raises
        ------
        StoreError
            If it is not there, or no run was ever begun in it.
        """
        if self.logs.is_dir() or self.receipts.is_dir():
            return
        if not self.root.exists():
            why = "it is not there"
        elif not self.root.is_dir():
            why = "it is a file"
        else:
            why = "no run was begun in it"
        raise StoreError(
            f"{self.root} is not a workdir of catalog-builder: {why}.",
            "Give the folder of a run with --workdir.",
        )


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file so that a reader, or a crash, sees the old or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, indented, keys in the order given."""
    write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers of small files left: temporaries that never got their name."""
    for temporary in folder.glob("*/.*.json.*"):
        temporary.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a file or folder of the workdir if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
