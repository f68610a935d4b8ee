"""The publish stages: chunks of the catalogue written side by side, and what they make sealed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.digest import BLOCK_ROWS
from catalog_builder.catalog.exports import formats_of
from catalog_builder.catalog.layout import building_dir, facts_dir
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.side_table import SideTable
from catalog_builder.features.cells import CellGrid
from catalog_builder.ground.digests import digest_json
from catalog_builder.ground.errors import CatalogueError, StoreError
from catalog_builder.inference.rows import read_rows
from catalog_builder.publish.beside import rows_beside, stores_beside
from catalog_builder.publish.building import attributes_of, other_metadata, prepare
from catalog_builder.publish.chunk import Building, make_chunk
from catalog_builder.publish.edition import Edition
from catalog_builder.publish.facts import ChunkFacts, facts_file, read_facts, write_facts
from catalog_builder.publish.gather import SAMPLED, ChunkDamageError
from catalog_builder.publish.labelled import LabelStores, labelled_rows
from catalog_builder.publish.leaves import some_ids
from catalog_builder.publish.pages import add_pages
from catalog_builder.publish.seal import point_latest, seal
from catalog_builder.publish.selection import SelectionPlan, SelectionSum
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.publish.taught_files import TaughtSum
from catalog_builder.report.labelled import Edges
from catalog_builder.runtime.chunks import Piece, Rows
from catalog_builder.runtime.damage import Damage, DamagedStoreError, Need
from catalog_builder.runtime.receipts import Receipt, read_receipt
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir, remove_tree

if TYPE_CHECKING:
    from catalog_builder.verdict.facts import VerdictFacts

#: Last chunks whose tasks start what the seal needs, on the workers of which one seals.
_WARM: Final = 2


@dataclass(frozen=True)
class PublishContext:
    """What all publish tasks share."""

    workdir: Workdir
    schema: CatalogSchema
    settings: PublishSettings
    edition: Edition
    #: Facts for RELEASE.json; only the sealing task needs them.
    record: Mapping[str, Any]
    #: Checksums of the store's metadata by file, as `prepare_store` left them; no receipt has them.
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: Of rows at equal distances, if a format asks for them.
    ids: tuple[int, ...] = ()
    #: What the checks know of the run; there are none without it.
    verdict: VerdictFacts | None = None
    #: In which rows are counted for the selection function, if there will be one.
    cells: CellGrid | None = None
    #: Tables beside it that have a row for each of its rows.
    tables: tuple[SideTable, ...] = ()
    #: The table of those that taught, if there will be one; and the labels of their survey.
    taught: SideTable | None = None
    survey_labels: tuple[str, ...] = ()

    @functools.cached_property
    def building(self) -> Building:
        """Return the catalogue that is being built."""
        rows = self.record["accounting"]["published"]
        return Building(
            building_dir(self.edition.folder(self.workdir)),
            self.schema,
            self.record,
            rows,
            min(self.settings.chunk_rows, rows),
            formats_of(self.settings.formats, self.schema),
            self.settings.report or self.verdict is not None,
            self.ids,
            self.verdict.edges if self.verdict is not None and self.verdict.survey_labels else None,
            Edges((), ()) if self.verdict is None else self.verdict.edges,
            self.cells,
            self.tables,
            self.taught,
        )

    @property
    def facts(self) -> Path:
        """Return the folder of what the tasks say of their chunks."""
        return facts_dir(self.edition.folder(self.workdir))


def _write_chunk(context: PublishContext, task: Task) -> Outcome:
    root, payload = context.workdir.root, task.payload
    _refuse_other_metadata(context)
    building = context.building
    columns = _rows(context, payload["pieces"])
    beyond = _rows(context, payload["beyond"]) if payload["beyond"] else {}
    labelled, ids = None, columns["source_id"]
    if payload.get("labels"):
        labelled = labelled_rows(
            root,
            payload["labels"],
            ids,
            context.survey_labels,
            context.schema.contract.labels.names,
        )
    beside = rows_beside(root, payload.get("beside", {}), context.tables, ids)
    facts = make_chunk(building, payload["index"], columns, beyond, labelled, beside)
    rows_in = len(ids)
    # The largest things here, before anything else is imported.
    del columns, beyond, labelled, beside, ids
    file = facts_file(context.facts, facts.index)
    digest = write_facts(file, facts)
    if context.settings.report and facts.index >= building.chunks - _WARM:
        import catalog_builder.report.page  # noqa: F401 - matplotlib starts beside the last chunks
    return Outcome(
        rows_in=rows_in,
        rows_out=facts.rows,
        output=str(file.relative_to(root)),
        output_digest=digest,
    )


def _rows(context: PublishContext, pieces: Sequence[Sequence[Any]]) -> dict[str, NDArray[Any]]:
    root = context.workdir.root
    read = [read_rows(root / path, start, stop) for path, start, stop in pieces]
    return {name: np.concatenate([piece[name] for piece in read]) for name in context.schema.names}


def _seal(context: PublishContext, task: Task) -> Outcome:
    folder = context.edition.folder(context.workdir)
    if not folder.exists():
        _refuse_other_metadata(context)
        plan: SelectionPlan | None = task.payload.get("selection")
        root = context.workdir.root
        counts = None if plan is None else SelectionSum(context.building, plan, root)
        facts_of = known = _facts_of(context, task)
        if counts is not None:
            facts_of = counts.heard(facts_of)
        taught = None
        if context.taught is not None:
            summed = TaughtSum(context.building, context.taught)
            facts_of, taught = summed.heard(facts_of), functools.partial(summed.finish, known)
        pages = functools.partial(add_pages, context.settings, context.verdict, counts, taught)
        try:
            seal(context.building, folder, facts_of, pages)
        except ChunkDamageError as error:
            file = facts_file(context.facts, error.index).relative_to(context.workdir.root)
            chunk = task.needs[error.index]
            # Without its facts the chunk is written again, in every format.
            damage = Damage(chunk.stage, chunk.task, str(file), f"is not true: {error.what}")
            raise DamagedStoreError.of([damage]) from error
    elif findings := validate_catalog(folder, sample=SAMPLED):
        raise CatalogueError(
            f"{folder} stands in the way and is damaged: {findings[0]}.",
            "See `catalog-builder validate`, then remove the folder or choose another --version.",
        )
    else:  # a killed run sealed it before the receipt was written
        point_latest(folder)
    remove_tree(context.facts)
    sealed = read_release(folder)
    return Outcome(
        rows_in=sealed.accounting.requested,
        rows_out=sealed.accounting.published,
        rejected=sealed.accounting.rejected,
        output=str(folder.relative_to(context.workdir.root)),
        output_digest=digest_json(sealed.columns),
        notes={"seal": sealed.seal},
    )


def _facts_of(context: PublishContext, task: Task) -> Callable[[int], ChunkFacts]:
    """Return what reads the facts of a chunk, as its receipt says that they are."""
    workdir = context.workdir

    def read(index: int) -> ChunkFacts:
        need = task.needs[index]
        receipt = read_receipt(workdir.receipt_file(need.stage, need.task))
        file = facts_file(context.facts, index)
        if receipt is None or receipt.output != str(file.relative_to(workdir.root)):
            raise StoreError(
                f"The receipt of {need.stage}/{need.task} is damaged.",
                "Give the same command again: the chunk is written anew.",
            )
        facts = read_facts(file, receipt.output_digest)
        if receipt.rows_out != facts.rows:
            raise CatalogueError(
                f"{need.stage}/{need.task} says {receipt.rows_out} rows, and wrote {facts.rows}.",
                f"Remove {file} and give the same command again.",
            )
        return facts

    return read


CHUNKS = Stage("publish-chunks", version=8, work=_write_chunk)
SEAL = Stage("publish", version=9, work=_seal, sealed=True)


def edition_of(
    predictions: Sequence[Receipt],
    books: Mapping[str, Any],
    inputs: Mapping[str, str],
    model_digest: str,
    schema: CatalogSchema,
    settings: PublishSettings,
    release: str,
    version: str,
    origin: Mapping[str, Any],
    checked: Mapping[str, Any] | None = None,
) -> Edition:
    """Return the edition that these rows make."""
    key = {
        "version": [CHUNKS.version, SEAL.version],
        "rows": [receipt.output_digest for receipt in predictions],
        "accounting": books,
        "inputs": dict(inputs),
        "model": model_digest,
        "schema": schema.digest,
        "settings": settings.model_dump(mode="json"),
        "release": release,
        "name": version,
        "origin": dict(origin),
        **({"checked": dict(checked)} if checked else {}),
    }
    return Edition(release, version, digest_json(key))


def plan_chunk_tasks(
    edition: Edition,
    predictions: Sequence[Receipt],
    settings: PublishSettings,
    labels: Mapping[str, LabelStores] | None = None,
    beside: Mapping[str, Mapping[str, Receipt]] | None = None,
) -> list[Task]:
    """Return a task for each chunk of the catalogue.

    Parameters
    ----------
    edition : Edition
        The catalogue.
    predictions : sequence of Receipt
        Its rows.
    settings : PublishSettings
        How it is cut.
    labels : mapping of str to LabelStores, optional
        Where the labels of a partition's stars are, by its name.
    beside : mapping of str to mapping of str to Receipt, optional
        By the name of a table beside the catalogue, and of a partition: where its values are.
    """
    known = labels or {}
    rows = Rows([receipt.rows_out for receipt in predictions])
    tasks = []
    for index, start in enumerate(range(0, len(rows), settings.chunk_rows)):
        stop = min(start + settings.chunk_rows, len(rows))
        # The last block that begins in the chunk is digested by its task, wherever it ends.
        first, end = (-(-row // BLOCK_ROWS) * BLOCK_ROWS for row in (start, stop))
        end = min(end, len(rows)) if end > first else stop
        pieces, beyond = list(rows.between(start, stop)), list(rows.between(stop, end))
        payload: dict[str, Any] = {
            "index": index,
            "pieces": [_described(piece, predictions) for piece in pieces],
            "beyond": [_described(piece, predictions) for piece in beyond],
        }
        used = dict.fromkeys(piece.partition for piece in (*pieces, *beyond))
        needs = [Need(predictions[n].stage, predictions[n].task) for n in used]
        parts = dict.fromkeys(predictions[piece.partition].task for piece in pieces)
        if stores := [known[part] for part in parts if part in known]:
            payload["labels"] = [one.payload for one in stores]
            needs += [need for one in stores for need in one.needs]
        if beside:
            payload["beside"], more = stores_beside(beside, parts)
            needs += more
        key = digest_json([edition.digest, index])
        tasks.append(Task(CHUNKS.name, f"{edition.name}-{index:06d}", key, payload, tuple(needs)))
    return tasks


def _described(piece: Piece, predictions: Sequence[Receipt]) -> tuple[str, int, int]:
    return predictions[piece.partition].output, piece.start, piece.stop


def plan_seal(
    edition: Edition,
    chunks: Sequence[Task],
    selection: SelectionPlan | None = None,
) -> list[Task]:
    """Return the one task that exports and seals what the tasks of chunks wrote."""
    # Whatever is wrong with a chunk is seen when the chunks are put together.
    needs = [Need(chunk.stage, chunk.name, checked="nothing") for chunk in chunks]
    if selection is not None:
        needs += [Need(piece.stage, piece.task) for piece in selection.pieces]
    payload = {"selection": selection}
    return [Task(SEAL.name, edition.name, edition.digest, payload, tuple(needs))]


def prepare_store(context: PublishContext, predictions: Sequence[Receipt]) -> PublishContext:
    """Create what chunk tasks fill, or what is missing of an earlier attempt's.

    Parameters
    ----------
    context : PublishContext
        Of this catalogue.
    predictions : sequence of Receipt
        Whose rows it has, as `plan_chunk_tasks` takes them.

    Returns
    -------
    PublishContext
        The context of the tasks that fill and seal it: it knows what its metadata are, and the
        ids that its formats plan with.

    Raises
    ------
    CatalogueError
        If there is no row to publish.
    """
    formats = formats_of(context.settings.formats, context.schema).values()
    if any(one.by_chunks is not None and one.by_chunks.needs_ids for one in formats):
        context = replace(context, ids=some_ids(context.workdir, context.schema, predictions))
    metadata = prepare(
        context.building, context.facts, attributes_of(context.record, context.edition.name)
    )
    return replace(context, metadata=metadata)


def _refuse_other_metadata(context: PublishContext) -> None:
    """Compare the store's metadata, which no receipt and no checksum covers, with what is meant."""
    store, root = context.building.store, context.workdir.root
    if other := other_metadata(context.metadata, store):
        raise DamagedStoreError.of(
            Damage(CHUNKS.name, "metadata", str((store / name).relative_to(root)), "is damaged")
            for name in other
        )
