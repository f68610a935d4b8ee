"""What one worker needs in memory for each stage, before anything is started.

Each figure is a bound by construction: blocks and chunks of rows times what exists of them at once.
Only two things grow with the data: columns of scalars with the largest partition, and the training
set with the label survey. Measured beside them: ``docs/scale.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil
from dask.utils import format_bytes, parse_bytes

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers.content import read_head
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableSpec
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.store import arrays_of, bytes_of
from catalog_builder.ground.errors import InputError, ResourceError
from catalog_builder.inference.rows import CHUNK_ROWS
from catalog_builder.run.config import RunConfig

#: Bytes of a worker before it holds any row: Python, Dask, NumPy, numba; and with torch.
BASE_MEMORY = 300 << 20
TORCH_MEMORY = 500 << 20
#: A block of rows exists at most this many times over while it is converted (float64 copies).
BLOCK_COPIES = 8
#: Bytes for each row of a partition: the books of what was lost; and copies of its columns.
PARTITION_ROW_BYTES, COLUMN_COPIES = 600, 6
#: Bytes of a worker that trains or calibrates; and copies of the spectra of each labelled star:
#: its arrays, the network's inputs, predictions. Measured on 10 000, 21 000 and 42 000 of DR3.
TRAINING_MEMORY, LABELLED_STAR_COPIES = 800 << 20, 3
#: Stars whose features and intermediate results a worker predicts at once, and how many times the
#: spectra of each. (The 9 944 bytes of DR3's make 60 kB.)
PREDICT_ROWS, PREDICT_STAR_COPIES = 8192, 6
#: Matrices of the labels that a star has while it is predicted: covariances, factors, products.
LABEL_MATRICES = 12

_HEADER_BYTES = 1 << 17


def stage_budgets(
    config: RunConfig,
    release: ReleaseSpec,
    row_bytes: Mapping[str, int],
    largest_partition: int,
    labelled: int,
    schema: CatalogSchema,
) -> dict[str, int]:
    """Return the bytes that a worker needs at most, by step.

    Parameters
    ----------
    config : RunConfig
        Sizes of blocks and chunks.
    release : ReleaseSpec
        Spectra on their model grids, and columns of sources.
    row_bytes : mapping of str to int
        Bytes of a row of each driving table in memory.
    largest_partition : int
        Rows of the longest table of the largest partition.
    labelled : int
        Stars of the label survey that may be in the archive; 0 where nothing is learnt.
    schema : CatalogSchema
        Columns of the catalogue, and its labels.
    """
    feature_bytes = spectra_bytes(release.inputs)
    # A model grid may have more samples than the archive's.
    block = BLOCK_COPIES * config.ingest.block_rows * max(feature_bytes, *row_bytes.values())
    # Rows wait until they fill a chunk, and exist once more while it is written.
    waiting = 2 * config.ingest.store_chunk_rows * feature_bytes
    columns = sum(row_size(release.tables[table]) for table in release.looked_up)
    partition = (PARTITION_ROW_BYTES + COLUMN_COPIES * columns) * largest_partition
    # Columns as they are, as they are stored, and as they wait.
    chunk = 4 * sum(column.numpy_dtype.itemsize for column in schema.columns)
    answer = LABEL_MATRICES * 8 * len(schema.labels) ** 2
    return {
        "ingest": BASE_MEMORY + block + waiting + partition,
        "training-set": BASE_MEMORY + 4 * config.training.chunk_rows * feature_bytes + partition,
        "train": _training_bytes(labelled, release.inputs) if labelled else 0,
        "predict": TORCH_MEMORY
        + (PREDICT_STAR_COPIES * feature_bytes + answer)
        * max(PREDICT_ROWS, config.predict.batch_size)
        + partition
        + chunk * CHUNK_ROWS,
        "publish": BASE_MEMORY + chunk * config.publish.chunk_rows,
    }


def spectra_bytes(inputs: Inputs) -> int:
    """Return the bytes of all spectra of a star, on their model grids."""
    return sum(map(bytes_of, arrays_of(inputs).values()))


def row_size(table: TableSpec) -> int:
    """Return the bytes of a row of a table in memory."""
    return sum(
        column.numpy_dtype.itemsize * (column.length or 1) for column in table.columns.values()
    )


def refuse_large_training(config: RunConfig, stars: int, inputs: Inputs) -> None:
    """Refuse to train on more stars than a local worker's memory can hold.

    Raises
    ------
    ResourceError
        Naming the limit that would do.
    """
    needed = _training_bytes(stars, inputs)
    if config.cluster.kind != "local" or needed <= parse_bytes(config.cluster.memory_limit):
        return
    raise ResourceError(
        f"Training on {stars} stars needs about {format_bytes(needed)} of a worker, its limit is"
        f" {config.cluster.memory_limit}.",
        f"Set cluster.memory_limit to {needed // 2**30 + 1}GiB and take fewer --workers if need"
        " be; what is done is kept.",
    )


def _training_bytes(stars: int, inputs: Inputs) -> int:
    return TRAINING_MEMORY + LABELLED_STAR_COPIES * spectra_bytes(inputs) * stars


def label_rows(file: FileRef) -> int | None:
    """Return the rows of a FITS table of labels, from its header; None where it cannot be told."""
    try:
        _, head = read_head(file.url, _HEADER_BYTES)
    except InputError:
        return None  # who reads the labels will say what is wrong with them
    table = head.find(b"XTENSION= 'BINTABLE'")
    rows = re.search(rb"NAXIS2  = +(\d+)", head[table:]) if table >= 0 else None
    return int(rows[1]) if rows else None


def machine_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that this machine has, or that its container may use.

    Parameters
    ----------
    cgroup : Path
        Where the kernel shows the limits of control groups: inside a container, of its own.
    """
    return min(psutil.virtual_memory().total, *_limits(_groups(cgroup)), 1 << 62)


def _groups(cgroup: Path) -> Iterable[Path]:
    """Yield the files that may hold a limit: of this process's group and of those above it."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        group = Path(path.lstrip("/"))
        for place in (group, *group.parents):
            if not controllers:
                yield cgroup / place / "memory.max"
            elif "memory" in controllers.split(","):
                yield cgroup / "memory" / place / "memory.limit_in_bytes"
    yield cgroup / "memory.max"


def _limits(files: Iterable[Path]) -> Iterable[int]:
    for file in files:
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():  # `max` where there is none
            yield int(text)
