"""Features of stars given by their source ids: of an archive's files, or of a run's stores."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.layout import Partition, list_partitions
from catalog_builder.archive.marks import is_marked, is_marked_archive
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.ledger import REASONS
from catalog_builder.features.matrices import place_matrices
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import Block, FeatureStore
from catalog_builder.ground.errors import InputError, StoreError
from catalog_builder.runtime.receipts import Receipt, read_receipt
from catalog_builder.runtime.workdir import Workdir

Ids = NDArray[np.int64]

#: Stars whose features are read at a time.
_STARS = 4096
#: How a partition is named in receipts.
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True)
class Piece:
    """Features of stars of one partition.

    Attributes
    ----------
    ids : ndarray of int64
        Whose features come, in their order.
    blocks : iterable of Block
        Of whole batches, as a run has them, or of the wanted stars alone.
    rejected : dict of int to str
        Wanted stars that have no features, and why.
    simulated : bool
        Whether any of its stars is.
    """

    ids: Ids
    blocks: Iterable[Block]
    rejected: dict[int, str]
    simulated: bool


def refuse_strange(ids: Ids, release: ReleaseSpec) -> None:
    """Refuse numbers that are no source ids of a release.

    Raises
    ------
    InputError
        Naming the first.
    """
    rule = release.partition
    wrong = ids <= 0
    if rule.ids_tell:
        wrong |= (ids >> rule.source_id_shift) >= rule.n_pixels
    if wrong.any():
        raise InputError(
            f"{ids[wrong][0]} is no source id of {release.title}: it lies in no pixel of the sky.",
            "Give it as the archive does, all its digits: a float or a spreadsheet rounds it.",
        )


# --- an archive -----------------------------------------------------------------------------------


def pieces_of_archive(
    ids: Ids, archive: str, release: ReleaseSpec, settings: IngestSettings
) -> Iterator[Piece]:
    """Yield the features of stars, from the files of an archive that may hold them.

    Parameters
    ----------
    ids : ndarray of int64
        Sorted, each once.
    archive : str
        Path or URL.
    release : ReleaseSpec
        What the archive looks like.
    settings : IngestSettings
        As in a run.

    Raises
    ------
    InputError
        If the archive is not there, or not as described.
    """
    readable = place_matrices(release, archive, None)
    simulated = is_marked_archive(archive)
    for partition in list_partitions(archive, release):
        wanted = ids[_in(ids, partition.start, partition.stop, release)]
        if wanted.size:
            with tempfile.TemporaryDirectory(prefix="catalog-builder-") as folder:
                out = Path(folder) / "features.zarr"
                piece = _ingested(partition, readable, settings, out, wanted)
                yield replace(piece, simulated=True) if simulated else piece


def _ingested(
    partition: Partition, release: ReleaseSpec, settings: IngestSettings, out: Path, wanted: Ids
) -> Piece:
    result = ingest_partition(partition, release, settings, out, wanted)
    store = FeatureStore(out)
    rejected = _reasons(store, list(release.tables))
    lost = result.notes["file_rejects"]
    if lost:
        why = "; ".join(f"{name}: {facts['detail']}" for name, facts in sorted(lost.items()))
        found = {*store.column("source_id").tolist(), *rejected}
        rejected |= {int(each): why for each in wanted if int(each) not in found}
    starts = range(0, len(store), _STARS)
    blocks = (store.read(slice(start, start + _STARS)) for start in starts)
    read = result.notes["rows_read"]
    simulated = any(
        is_marked(file, was_read=read.get(table, 0) > 0)
        for table, files in partition.files.items()
        for file in files
    )
    return Piece(store.column("source_id"), blocks, rejected, simulated)


# --- a run's feature stores -----------------------------------------------------------------------


def pieces_of_workdir(
    ids: Ids, workdir: Workdir, release: ReleaseSpec, batch_size: int
) -> Iterator[Piece]:
    """Yield the features of stars, in the batches in which a run predicts them.

    Parameters
    ----------
    ids : ndarray of int64
        Sorted, each once.
    workdir : Workdir
        With feature stores.
    release : ReleaseSpec
        Of the run.
    batch_size : int
        Of the run.

    Raises
    ------
    StoreError
        If nothing was ingested there, or the stores were cleaned away.
    """
    receipts = [
        receipt
        for path in sorted((workdir.receipts / "ingest").glob("[!.]*.json"))
        if (receipt := read_receipt(path)) is not None
    ]
    if not receipts:
        raise StoreError(f"Nothing was ingested in {workdir.root} yet.", "Give --archive instead.")
    for receipt in receipts:
        span = _RANGE.fullmatch(receipt.task)
        near = _in(ids, int(span[1]), int(span[2]), release) if span else np.ones(ids.size, bool)
        if near.any():
            yield _stored(receipt, workdir, release, ids[near], batch_size)


def _stored(
    receipt: Receipt, workdir: Workdir, release: ReleaseSpec, wanted: Ids, batch_size: int
) -> Piece:
    path = workdir.root / receipt.output
    if not path.exists():
        raise StoreError(
            f"{path} is no longer there: `clean --intermediate` removes feature stores.",
            "Give --archive instead, or let the run make them again.",
        )
    store = FeatureStore(path)
    ids = store.column("source_id")
    # With the same company a star gets the same bits as in the catalogue.
    starts = np.unique(np.flatnonzero(np.isin(ids, wanted)) // batch_size) * batch_size
    batches = [slice(int(start), int(start) + batch_size) for start in starts]
    company = np.concatenate([np.empty(0, np.int64), *(ids[batch] for batch in batches)])
    rejected = _reasons(store, list(release.tables))
    own = {each: rejected[each] for each in rejected.keys() & set(wanted.tolist())}
    return Piece(company, map(store.read, batches), own, receipt.simulated)


def _in(ids: Ids, start: int, stop: int, release: ReleaseSpec) -> NDArray[np.bool_]:
    rule = release.partition
    if not rule.ids_tell:
        return np.ones(ids.size, bool)
    pixel = ids >> rule.source_id_shift
    return np.asarray((pixel >= start) & (pixel <= stop))


def _reasons(store: FeatureStore, tables: list[str]) -> dict[int, str]:
    """Return why sources without features have none, by the first reason met."""
    ids, reasons, table = (
        store.column(f"rejected_{name}").tolist() for name in ("source_id", "reason", "table")
    )
    published = set(store.column("source_id").tolist())
    found: dict[int, str] = {}
    for source, reason, place in zip(ids, reasons, table, strict=True):
        if source not in published:
            found.setdefault(source, f"{tables[place]}: {REASONS[reason].sentence}")
    return found
