"""One partition's prediction: features in, rows of the catalogue out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.store import Block, FeatureStore
from catalog_builder.galaxy.settings import GalaxySettings
from catalog_builder.inference.columns import (
    Columns,
    catalogue_columns,
    refuse_other_contract,
    unanswered,
)
from catalog_builder.inference.rows import CHUNK_ROWS, RowWriter
from catalog_builder.inference.taught import Taught
from catalog_builder.model.ensemble import Estimator
from catalog_builder.model.population import AnswerCounts, Answers
from catalog_builder.training.arrays import completed

#: Stars read at a time, at least one batch: some chunks of the feature store, 40 MB of spectra.
READ_ROWS = 4096


@dataclass(frozen=True)
class PartitionPrediction:
    """What was predicted for one partition: rows made, and sources that got no finite answer."""

    rows: int
    failed: int
    digest: str
    labelled: dict[str, int]
    answers: AnswerCounts


def predict_partition(
    features: Path,
    estimator: Estimator,
    schema: CatalogSchema,
    batch_size: int,
    out: Path,
    *,
    source_id_release: str,
    galaxy: GalaxySettings | None = None,
    known: Path | None = None,
) -> PartitionPrediction:
    """Predict all stars of a partition, batch by batch.

    A star without usable inputs has a row of nulls. One that has inputs and gets no finite answer,
    for they or the weights overflow, has none: it is counted and its id is kept.

    Batches are counted from the first row of the partition, so that every star is always in the
    same batch, on any worker. Those that taught the model are in it too, and what it says of
    them is replaced by what models say that were trained without their fold, many at a time.

    Parameters
    ----------
    features : Path
        Feature store.
    estimator : Estimator
        The model.
    schema : CatalogSchema
        Columns to make; derived (string) columns are left to the export.
    batch_size : int
        Stars per batch.
    out : Path
        New store of catalogue rows.
    source_id_release : str
        The archive release that the ids of the sources are of.
    galaxy : GalaxySettings, optional
        Where the Sun is, and how it moves.
    known : Path, optional
        Store of the stars that taught a model of another release (`model.crossing`).
    """
    refuse_other_contract(schema.contract, estimator.contract)
    store = FeatureStore(features)
    taught = Taught.of(store.stars(), estimator, source_id_release, known)
    writer = RowWriter(out, schema, len(store))
    labelled = dict.fromkeys(schema.labels.names, 0)
    answers = Answers(schema)
    size = block_size(batch_size)
    blocks = (store.read(slice(start, start + size)) for start in range(0, len(store), size))
    for columns, failed in predicted(blocks, taught, estimator, schema, batch_size, galaxy):
        writer.fail(columns["source_id"][failed])
        kept = {name: values[~failed] for name, values in columns.items()}
        for label in labelled:
            labelled[label] += int(np.isfinite(kept[label]).sum())
        answers.add(kept)
        writer.write(len(writer), kept)
    made = len(writer)
    lost = len(store) - made
    return PartitionPrediction(made, lost, writer.finish(), labelled, answers.counts())


def block_size(batch_size: int) -> int:
    """Return how many stars are read at a time: some whole batches."""
    return max(1, READ_ROWS // batch_size) * batch_size


def predicted(
    blocks: Iterable[Block],
    taught: Taught,
    estimator: Estimator,
    schema: CatalogSchema,
    batch_size: int,
    galaxy: GalaxySettings | None = None,
) -> Iterator[tuple[Columns, NDArray[np.bool_]]]:
    """Yield the catalogue's columns of stars, block by block, and which got no finite answer.

    Parameters
    ----------
    blocks : iterable of dict of str to ndarray
        Feature blocks, each cut into batches from its first star on.
    taught : Taught
        Of the same stars, in their order.
    estimator, schema, batch_size, galaxy
        See `predict_partition`.
    """
    waiting: list[_Waiting] = []

    def answered() -> Iterator[tuple[Columns, NDArray[np.bool_]]]:
        own = taught.answers(schema, batch_size, galaxy)
        for start, columns, failed in waiting:
            own.replace(start, columns, failed)
            yield columns, failed
        waiting.clear()

    start = 0
    for read in blocks:
        block = taught.hold(start, completed(read, estimator.contract.inputs))
        prediction = estimator.predict(block, batch_size)
        columns = catalogue_columns(block, prediction, estimator, schema, galaxy)
        waiting.append(_Waiting(start, columns, unanswered(columns, prediction, estimator)))
        start += len(columns["source_id"])
        # One by one they would cost a forward pass each; but spectra and rows take memory.
        if len(taught) >= READ_ROWS or start - waiting[0].start >= CHUNK_ROWS:
            yield from answered()
    yield from answered()


class _Waiting(NamedTuple):
    """Rows from `start` on, whose stars that taught are not answered yet."""

    start: int
    columns: Columns
    failed: NDArray[np.bool_]
