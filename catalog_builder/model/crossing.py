"""Stages that carry labels, and stars that taught a model, from one release to another.

Each partition's table of neighbours is read once, by a task of its own; what is kept are the pairs
of stars with labels or that taught, and their rivals. They are few: one task each decides on them.
A star may have neighbours on both sides of a border, so no partition could decide alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.archive.crosswalks import CrosswalkRule
from catalog_builder.archive.files import FileRef
from catalog_builder.archive.folders import TableFolder
from catalog_builder.archive.marks import is_marked
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.ground.digests import digest_json
from catalog_builder.labels.crosswalk import Crosswalk, Pairs, read_pairs
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import SIMULATED, Receipt
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.stores.whole_store import WholeStore, named
from catalog_builder.training.match import OLD_ID, LabelStore, write_arrays

#: Why a label found no star, as receipts and RELEASE.json count it.
OUTSIDE: Final = "outside_archive"
NO_NEIGHBOUR: Final = "no_neighbour"
UNLIKELY: Final = "no_likely_neighbour"
SPLIT: Final = "several_likely_neighbours"
MERGED: Final = "shares_its_neighbour"


@dataclass(frozen=True)
class CrossingContext:
    """What all tasks of these stages share."""

    workdir: Workdir
    release: ReleaseSpec
    rule: CrosswalkRule
    #: A model whose stars that taught are to be known again.
    model: Path | None = None


def _read(context: CrossingContext, task: Task) -> Outcome:
    root, files = context.workdir.root, task.payload["files"]
    tests: list[Callable[[Pairs], NDArray[np.bool_]]] = []
    if task.payload["labels"] is not None:
        ids = LabelStore(root / task.payload["labels"]).ids()
        tests.append(lambda pairs: np.isin(pairs.old, ids))
    if context.model is not None:
        from catalog_builder.model.taught import taught_by  # torch

        taught = taught_by(context.model)
        tests.append(lambda pairs: taught.knows(pairs.old))

    def wanted(pairs: Pairs) -> NDArray[np.bool_]:
        return functools.reduce(np.logical_or, (test(pairs) for test in tests))

    pairs, bad = read_pairs(files, context.release, context.rule, wanted)
    out = context.workdir.new_output("crosswalks", task.name)
    digest = write_arrays(out, pairs._asdict())
    notes = {"unreadable_rows": bad} if bad else {}
    if any(is_marked(file, was_read=True) for file in files):
        notes[SIMULATED] = True
    return Outcome(
        rows_in=len(pairs.old),
        rows_out=len(pairs.old),
        inputs=_inputs(files),
        output=str(out.relative_to(root)),
        output_digest=digest,
        notes=notes,
    )


def _translate(context: CrossingContext, task: Task) -> Outcome:
    root = context.workdir.root
    labels = LabelStore(root / task.payload["labels"]).between(0, np.iinfo(np.int64).max)
    old = labels["source_id"]
    walk = Crosswalk.of(_all_pairs(root, task), context.rule, old)
    new, _ = walk.translate(old)
    known = np.flatnonzero(new)
    rows = known[np.argsort(new[known])]
    columns = {name: values[rows] for name, values in labels.items()}
    columns |= {"source_id": new[rows], OLD_ID: old[rows]}
    out = context.workdir.new_output("translated", task.name)
    return Outcome(
        rows_in=len(old),
        rows_out=len(rows),
        rejected=_reasons(walk, old, task.payload["ranges"], context.release),
        output=str(out.relative_to(root)),
        output_digest=write_arrays(out, columns),
    )


def _reasons(
    walk: Crosswalk, old: NDArray[np.int64], ranges: Sequence[tuple[int, int]], release: ReleaseSpec
) -> dict[str, int]:
    """Count the old stars without a match by reason."""
    known = (walk.old, walk.ambiguous_old, walk.unlikely_old)
    lost = old[~np.isin(old, np.concatenate(known))]
    pixel = lost >> release.partition.source_id_shift  # as of the older release's own ids
    inside = np.zeros(len(lost), bool)
    for start, stop in ranges:
        inside |= (pixel >= start) & (pixel <= stop)
    reasons = {
        OUTSIDE: int((~inside).sum()),
        NO_NEIGHBOUR: int(inside.sum()),
        UNLIKELY: len(walk.unlikely_old),
        SPLIT: len(walk.ambiguous_old) - len(walk.merged_old),
        MERGED: len(walk.merged_old),
    }
    return {reason: count for reason, count in reasons.items() if count}


def _translate_taught(context: CrossingContext, task: Task) -> Outcome:
    from catalog_builder.model.taught import taught_by  # torch

    if context.model is None:
        raise RuntimeError("no model is given")
    taught = taught_by(context.model)
    pairs = _all_pairs(context.workdir.root, task)
    # Each star that may be the one that taught counts as it: no doubt makes a star a stranger.
    pairs = pairs.take(pairs.likely(context.rule))
    known = taught.find(pairs.old, taught.source_id_release)
    mine = known.split > 0
    pairs, split, fold = pairs.take(mine), known.split[mine], known.fold[mine]
    # Of two that are one star now, the one that fitted networks rather than one that tested them.
    order = np.lexsort((split, pairs.new))
    new, first = np.unique(pairs.new[order], return_index=True)
    place = order[first]
    columns: dict[str, NDArray[Any]] = {
        "source_id": new,
        "split": split[place],
        "fold": fold[place],
    }
    found = len(np.unique(pairs.old))
    out = context.workdir.new_output("taught", task.name)
    return Outcome(
        rows_in=len(taught.ids),
        rows_out=found,
        rejected={"not_here": len(taught.ids) - found} if found < len(taught.ids) else {},
        output=str(out.relative_to(context.workdir.root)),
        output_digest=write_arrays(out, columns),
        notes={"stars_here": len(new)},
    )


CANDIDATES = Stage("neighbours", version=1, work=_read)
TRANSLATE = Stage("crosswalk", version=1, work=_translate)
TAUGHT = Stage("taught", version=1, work=_translate_taught)
#: The one task that finds those who taught.
TAUGHT_TASK: Final = "model"


def plan_candidates(
    folder: TableFolder,
    context: CrossingContext,
    older: str,
    labels: Receipt | None,
    model_digest: str | None,
) -> list[Task]:
    """Return a task for each range of the table of neighbours."""
    release, rule = context.release, context.rule
    shared = digest_json(
        {
            "version": CANDIDATES.version,
            "rule": rule.model_dump(mode="json"),
            "table": release.tables[rule.table].model_dump(mode="json"),
            "text": release.text.model_dump(mode="json"),
            "labels": labels and labels.output_digest,
            "model": model_digest,
        }
    )
    return [
        Task(
            CANDIDATES.name,
            f"{older}-{name}",
            digest_json([shared, _inputs(files)]),
            {"files": tuple(files), "labels": labels and labels.output},
            needs=() if labels is None else _needs(labels),
            work=float(sum(file.size for file in files) or 1),
        )
        for name, files in folder.by_range(release.partition).values()
    ]


def plan_translation(
    folder: TableFolder, context: CrossingContext, pairs: Sequence[Receipt], labels: Receipt
) -> list[Task]:
    """Return the one task that gives labels the identifiers of this release."""
    ranges = list(folder.by_range(context.release.partition))
    key = [TRANSLATE.version, *_of(context, pairs), labels.output_digest, ranges]
    payload = {"pairs": _outputs(pairs), "labels": labels.output, "ranges": ranges}
    needs = _needs(labels, *pairs)
    return [Task(TRANSLATE.name, labels.task, digest_json(key), payload, needs)]


def plan_taught(
    context: CrossingContext, pairs: Sequence[Receipt], model_digest: str
) -> list[Task]:
    """Return the one task that finds the stars that taught a model of another release."""
    key = [TAUGHT.version, *_of(context, pairs), model_digest]
    payload = {"pairs": _outputs(pairs)}
    return [Task(TAUGHT.name, TAUGHT_TASK, digest_json(key), payload, _needs(*pairs))]


def _of(context: CrossingContext, pairs: Sequence[Receipt]) -> list[Any]:
    rule, shift = context.rule, context.release.partition.source_id_shift
    return [rule.model_dump(mode="json"), shift, [receipt.output_digest for receipt in pairs]]


def _outputs(receipts: Sequence[Receipt]) -> list[str]:
    return [receipt.output for receipt in receipts]


def _needs(*receipts: Receipt) -> tuple[Need, ...]:
    return tuple(Need(receipt.stage, receipt.task) for receipt in receipts)


def _all_pairs(root: Path, task: Task) -> Pairs:
    parts = []
    for output in task.payload["pairs"]:
        with named(root / output, "store of neighbours"):
            group = zarr.open_group(WholeStore(root / output), mode="r")
            columns: list[Any] = [np.asarray(group[name][:]) for name in Pairs._fields]  # type: ignore[index]
            parts.append(Pairs(*columns))
    return Pairs.together(parts)


def _inputs(files: Sequence[FileRef]) -> dict[str, dict[str, Any]]:
    return {
        f"neighbours-{number}": {
            "file": file.name,
            "size": file.size,
            "mtime": file.mtime,
            "checksum": file.checksum,
        }
        for number, file in enumerate(files)
    }
