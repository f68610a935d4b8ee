"""How good a model's labels are on the stars of this run, where it was trained on another release.

Its rows of stars with labels are compared with these, partition by partition, and measured
together. Those that taught it were answered by models that never saw them, and count by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.contract.labels import Labels
from catalog_builder.contract.schema import label_columns
from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.digests import digest_json
from catalog_builder.ground.errors import InputError
from catalog_builder.inference.rows import read_rows
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.stores.whole_store import WholeStore, named
from catalog_builder.training.match import write_arrays

#: Stars with labels, and those of them that did not teach, without which coverage is not known. Of
#: thirty it is known to 9 %: their number is told beside it.
LEAST_STARS: Final = 100
LEAST_HELD_BACK: Final = 30
#: The groups that are measured: those that the ensemble answers, and those that taught it.
HELD_BACK, TAUGHT = "as_observed", "without_their_fold"


@dataclass(frozen=True)
class MeasureContext:
    """What all tasks of these stages share."""

    workdir: Workdir
    #: Of the model.
    labels: Labels
    #: Names of the survey's labels, in its order.
    survey_labels: tuple[str, ...]


def _compare(context: MeasureContext, task: Task) -> Outcome:
    root = context.workdir.root
    ids = FeatureStore(root / task.payload["features"]).column("source_id")
    with named(root / task.payload["matches"], "store of matches"):
        group = zarr.open_group(WholeStore(root / task.payload["matches"]), mode="r")
        row, labels, errors = (
            np.asarray(group[name][:])  # type: ignore[index]
            for name in ("row", "labels", "label_error")
        )
    made = read_rows(root / task.payload["predictions"], 0, len(ids))
    wanted = ids[row]
    # Both rise with the id; who got no finite answer has no row.
    place = np.searchsorted(made["source_id"], wanted).clip(max=max(len(made["source_id"]) - 1, 0))
    hit = made["source_id"][place] == wanted if len(made["source_id"]) else np.zeros(len(row), bool)
    place = place[hit]
    columns: dict[str, NDArray[Any]] = {"split": made["training_split"][place].astype(np.uint8)}
    answers = [label_columns(name)[:3] for name in context.labels.names]
    for number, kind in enumerate(("mean", "sigma", "interval95")):
        columns[kind] = np.stack([made[names[number]][place] for names in answers], axis=1)
    order = [context.survey_labels.index(name) for name in context.labels.names]
    columns |= {"labels": labels[hit][:, order], "label_error": errors[hit][:, order]}
    out = context.workdir.new_output("comparisons", task.name)
    lost = int((~hit).sum())
    return Outcome(
        rows_in=len(row),
        rows_out=len(row) - lost,
        rejected={"prediction_failed": lost} if lost else {},
        output=str(out.relative_to(root)),
        output_digest=write_arrays(out, columns),
    )


def _measure(context: MeasureContext, task: Task) -> Outcome:
    root = context.workdir.root
    parts = []
    for output in task.payload["comparisons"]:
        with named(root / output, "store of comparisons"):
            group = zarr.open_group(WholeStore(root / output), mode="r")
            parts.append({name: np.asarray(array[:]) for name, array in group.arrays()})
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found = measured(whole, context.labels)
    out = context.workdir.new_output("measures", task.name)
    write_arrays(out, {"split": whole["split"]})
    stars = len(whole["split"])
    return Outcome(
        rows_in=stars,
        rows_out=stars,
        output=str(out.relative_to(root)),
        output_digest=digest_json(found),
        notes=found,
    )


def measured(whole: dict[str, NDArray[Any]], labels: Labels) -> dict[str, Any]:
    """Return the measures of stars with labels, by whether they taught the model.

    Parameters
    ----------
    whole : dict of str to ndarray
        ``split`` (n,), values of the column ``training_split``; ``mean``, ``sigma``,
        ``interval95``, ``labels`` and ``label_error``, (n, l).
    labels : Labels
        What the columns are.

    Returns
    -------
    dict
        ``stars``, ``taught``: how many of each; ``metrics``: of each group with a star.

    Raises
    ------
    InputError
        If there are fewer than `LEAST_STARS`, or fewer than `LEAST_HELD_BACK` did not teach.
    """
    from catalog_builder.model.calibrate.metrics import label_metrics

    split = whole["split"]
    taught = (split > 0) & (split < 4)
    groups = {HELD_BACK: ~taught, TAUGHT: taught}
    if len(split) < LEAST_STARS or (~taught).sum() < LEAST_HELD_BACK:
        raise InputError(
            f"Only {len(split)} stars with labels have a prediction, {int((~taught).sum())} of"
            f" which did not teach the model: too few to measure it on this release;"
            f" {LEAST_STARS} and {LEAST_HELD_BACK} are the least.",
            "Give a larger archive or label survey (--labels), or seal its labels as unverified"
            " with --unverified-model.",
        )
    metrics = {}
    for name, stars in groups.items():
        if stars.any():
            columns = [
                whole[key][stars].astype(np.float64)
                for key in ("mean", "sigma", "interval95", "labels", "label_error")
            ]
            metrics[name] = {"all": label_metrics(*columns, declared=labels), "by_regime": {}}
    return {
        "stars": int((~taught).sum()),
        "taught": int(taught.sum()),
        "metrics": metrics,
    }


COMPARE = Stage("compare", version=1, work=_compare)
MEASURE = Stage("measure", version=1, work=_measure)


def plan_comparisons(
    features: Sequence[Receipt],
    matches: Sequence[Receipt],
    predictions: Sequence[Receipt],
    context: MeasureContext,
) -> list[Task]:
    """Return a task for each partition that has stars with labels, and was predicted."""
    by_name = {receipt.task: receipt for receipt in predictions}
    tasks = []
    for feature, match in zip(features, matches, strict=True):
        prediction = by_name.get(feature.task)
        if prediction is None or not match.rows_out:
            continue
        digests = [each.output_digest for each in (feature, match, prediction)]
        key = [COMPARE.version, *digests, context.labels.names, context.survey_labels]
        payload = {
            "features": feature.output,
            "matches": match.output,
            "predictions": prediction.output,
        }
        needs = tuple(Need(each.stage, each.task) for each in (feature, match, prediction))
        tasks.append(Task(COMPARE.name, feature.task, digest_json(key), payload, needs))
    return tasks


def plan_measure(comparisons: Sequence[Receipt], survey: str) -> list[Task]:
    """Return the one task that measures.

    Raises
    ------
    InputError
        If there is nothing to compare.
    """
    if not comparisons:
        raise InputError(
            "None of the label survey's stars has a prediction in this archive: the model cannot be"
            " measured on this release.",
            "Give a larger archive or label survey (--labels), or seal its labels as unverified"
            " with --unverified-model.",
        )
    key = [MEASURE.version, [receipt.output_digest for receipt in comparisons]]
    payload = {"comparisons": [receipt.output for receipt in comparisons]}
    needs = tuple(Need(each.stage, each.task) for each in comparisons)
    return [Task(MEASURE.name, survey, digest_json(key), payload, needs)]
