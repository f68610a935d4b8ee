"""What the task of a chunk says of what it wrote: all that the seal needs to know of its rows."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.exports import Part, Written
from catalog_builder.ground.errors import StoreError
from catalog_builder.runtime.workdir import write_atomically

_STATE: Final = "report_"
_CELLS: Final = "cells_"
_TAUGHT: Final = "taught_"
DIGEST_BYTES: Final = 32


@dataclass(frozen=True)
class ChunkFacts:
    """What a chunk is.

    Attributes
    ----------
    index, start, rows : int
        Which chunk of the store, its first row, and how many it has.
    first_id, last_id : int
        Its first and last ``source_id``; they increase from row to row.
    sizes : ndarray of int64, shape (columns,)
        Bytes of the files of the zarr store, in the order of the schema's columns.
    digests : ndarray of uint8, shape (columns, 32)
        Their SHA-256.
    blocks : ndarray of uint8, shape (blocks, columns, 32)
        Digests of the blocks of rows that begin in it (`catalog_builder.catalog.digest`).
    written : dict of str to Written
        What was written of each format that is written by chunks.
    report : dict of str to ndarray
        What `catalog_builder.report.tally.Tally` adds up; empty without a report.
    cells : dict of str to ndarray
        What `catalog_builder.publish.selection.SelectionSum` adds up; empty without one.
    taught : dict of str to ndarray of shape (m,)
        Columns of the m rows of the table of those that taught; empty without one.
    """

    index: int
    start: int
    rows: int
    first_id: int
    last_id: int
    sizes: NDArray[np.int64]
    digests: NDArray[np.uint8]
    blocks: NDArray[np.uint8]
    written: Mapping[str, Written]
    report: Mapping[str, NDArray[Any]]
    cells: Mapping[str, NDArray[Any]]
    taught: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def facts_file(folder: Path, index: int) -> Path:
    """Return where the facts of a chunk lie."""
    return folder / f"{index:06d}.npz"


def write_facts(file: Path, facts: ChunkFacts) -> str:
    """Write facts; return the SHA-256 of the file, which is the same for the same facts."""
    numbers = [facts.index, facts.start, facts.rows, facts.first_id, facts.last_id]
    written = {name: asdict(one) for name, one in facts.written.items()}
    arrays = {
        "numbers": np.array(numbers, dtype=np.int64),
        "sizes": facts.sizes,
        "digests": facts.digests,
        "blocks": facts.blocks,
        "written": np.frombuffer(json.dumps(written, sort_keys=True).encode(), dtype=np.uint8),
        **{f"{_STATE}{name}": values for name, values in facts.report.items()},
        **{f"{_CELLS}{name}": values for name, values in facts.cells.items()},
        **{f"{_TAUGHT}{name}": values for name, values in facts.taught.items()},
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type] # of its other keywords none is meant
    content = buffer.getvalue()
    write_atomically(file, content)
    return hashlib.sha256(content).hexdigest()


def read_facts(file: Path, digest: str = "") -> ChunkFacts:
    """Read facts.

    Parameters
    ----------
    file : Path
        As `write_facts` left it.
    digest : str
        What that returned; not compared if empty.

    Raises
    ------
    StoreError
        If they are not there, or not what was written.
    """
    try:
        content = file.read_bytes()
        if digest and hashlib.sha256(content).hexdigest() != digest:
            raise StoreError(f"{file} is damaged: it is not what its receipt says.")
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            arrays = dict(found)
        written = json.loads(arrays["written"].tobytes())
        index, start, rows, first_id, last_id = map(int, arrays["numbers"])
        return ChunkFacts(
            index=index,
            start=start,
            rows=rows,
            first_id=first_id,
            last_id=last_id,
            sizes=arrays["sizes"],
            digests=arrays["digests"],
            blocks=arrays["blocks"],
            written={name: _written(one) for name, one in written.items()},
            report=_called(_STATE, arrays),
            cells=_called(_CELLS, arrays),
            taught=_called(_TAUGHT, arrays),
        )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"{file} cannot be read: {error}.", "Give the same command again: it is made anew."
        ) from error


def _called(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}


def _written(said: Mapping[str, Any]) -> Written:
    return Written(tuple(Part(**part) for part in said["parts"]), said["facts"])
