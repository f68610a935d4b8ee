"""The training-set stages: labels read once, matched partition by partition, assembled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog_builder.archive.files import FileRef, refuse_if_changed
from catalog_builder.archive.layout import Partition
from catalog_builder.archive.marks import is_marked
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.contract.contract import Contract
from catalog_builder.ground.digests import digest_json, in_order
from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import SIMULATED, Receipt
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.training.labels import collect_labels
from catalog_builder.training.match import match_partition, write_arrays
from catalog_builder.training.settings import TrainingSettings
from catalog_builder.training.shapes import learnt_from


@dataclass(frozen=True)
class TrainingContext:
    """What all tasks of the training-set stages share."""

    workdir: Workdir
    contract: Contract
    survey: LabelSurvey
    settings: TrainingSettings
    seed: int


def _read_labels(context: TrainingContext, task: Task) -> Outcome:
    file: FileRef = task.payload["file"]
    out = context.workdir.new_output("labels", context.survey.name)
    crossmatch: FileRef | None = task.payload.get("crossmatch")
    survey = collect_labels(file, context.survey, crossmatch)
    for each in (file, crossmatch):
        if each is not None:
            refuse_if_changed(each)
    digest = write_arrays(out, survey.columns)
    return Outcome(
        rows_in=survey.rows_in,
        rows_out=len(survey.columns["source_id"]),
        rejected=survey.rejected,
        inputs=_label_inputs(file, crossmatch),
        output=str(out.relative_to(context.workdir.root)),
        output_digest=digest,
        notes={
            "label_nulls": survey.label_nulls,
            **({SIMULATED: True} if is_marked(file, was_read=True) else {}),
        },
    )


def _match(context: TrainingContext, task: Task) -> Outcome:
    root = context.workdir.root
    out = context.workdir.new_output("matches", task.name)
    match = match_partition(
        root / task.payload["features"],
        root / task.payload["labels"],
        task.payload["first_id"],
        task.payload["last_id"],
        out,
    )
    # Where ids do not say who lies here, those who are not found may lie in another partition.
    elsewhere = bool(task.payload.get("elsewhere"))
    missing = 0 if elsewhere else match.rows_in - match.rows_out
    return Outcome(
        rows_in=match.rows_out + missing,
        rows_out=match.rows_out,
        rejected={"no_usable_spectrum": missing} if missing else {},
        output=str(out.relative_to(root)),
        output_digest=match.digest,
        notes={"elsewhere": True, "stars": match.stars} if elsewhere else {},
    )


def _assemble(context: TrainingContext, task: Task) -> Outcome:
    # dask-ml and torch take seconds to import: the driver and most workers do without.
    from catalog_builder.training.assemble import Matched, assemble_training

    root = context.workdir.root
    out = context.workdir.new_output("training", context.survey.name)
    partitions = [
        Matched(root / features, root / matches, rows)
        for features, matches, rows in task.payload["partitions"]
    ]
    made = assemble_training(partitions, context.contract, context.seed, context.settings, out)
    return Outcome(
        rows_in=made.rows,
        rows_out=made.rows,
        output=str(out.relative_to(root)),
        output_digest=made.digest,
        notes={"split_counts": made.split_counts},
    )


LABELS = Stage("labels", version=6, work=_read_labels)
MATCH = Stage("match", version=3, work=_match)
ASSEMBLE = Stage("training-set", version=3, work=_assemble)


def plan_labels(
    file: FileRef, survey: LabelSurvey, crossmatch: FileRef | None = None
) -> list[Task]:
    """Return the one task that reads the survey, and the crossmatch of its identifiers, if any."""
    key = {
        "version": LABELS.version,
        "survey": in_order(survey.model_dump(mode="json")),
        # What has no logarithm becomes null; known labels are not in the survey's description.
        "learnt_as": [label.learnt_as for label in survey.declared],
        **({"identifier": survey.identifier} if survey.identifier else {}),
        "file": _label_inputs(file, crossmatch),
    }
    payload = {"file": file} | ({} if crossmatch is None else {"crossmatch": crossmatch})
    return [Task(LABELS.name, survey.name, digest_json(key), payload)]


def plan_match(
    partitions: Sequence[Partition],
    features: Sequence[Receipt],
    labels: Receipt,
    release: ReleaseSpec,
) -> list[Task]:
    """Return a task for each partition."""
    range_of = {partition.name: partition for partition in partitions}
    return [
        Task(
            MATCH.name,
            receipt.task,
            digest_json([MATCH.version, receipt.output_digest, labels.output_digest]),
            {
                "features": receipt.output,
                "labels": labels.output,
                **_id_range(range_of[receipt.task], release),
            },
            needs=_needs(receipt, labels),
            work=float(max(1, receipt.rows_out)),
        )
        for receipt in features
    ]


def _id_range(partition: Partition, release: ReleaseSpec) -> dict[str, int | bool]:
    """Return the first and the last id that a partition can have, if ids say where they lie."""
    rule = release.partition
    # Where a star may have several rows, labels go by its own id, which may be of another kind.
    if not rule.ids_tell or release.inputs.several_rows:
        return {"first_id": 1, "last_id": 2**63 - 1, "elsewhere": True}
    shift = rule.source_id_shift
    return {
        "first_id": partition.start << shift,
        "last_id": ((partition.stop + 1) << shift) - 1,
    }


def plan_assemble(
    features: Sequence[Receipt],
    matches: Sequence[Receipt],
    contract: Contract,
    survey: LabelSurvey,
    settings: TrainingSettings,
    seed: int,
) -> list[Task]:
    """Return the one task that puts the training store together."""
    key = {
        "version": ASSEMBLE.version,
        "matches": [match.output_digest for match in matches],
        # A match holds row numbers: what lies in those rows matters as much.
        "features": [receipt.output_digest for receipt in features],
        # The scaling is of labels and inputs as they are learnt.
        "contract": learnt_from(contract),
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
    }
    partitions = [
        (feature.output, match.output, match.rows_out)
        for feature, match in zip(features, matches, strict=True)
    ]
    return [
        Task(
            ASSEMBLE.name,
            survey.name,
            digest_json(key),
            {"partitions": partitions},
            needs=_needs(*features, *matches),
        )
    ]


def _needs(*receipts: Receipt) -> tuple[Need, ...]:
    return tuple(Need(receipt.stage, receipt.task) for receipt in receipts)


def _label_inputs(file: FileRef, crossmatch: FileRef | None = None) -> dict[str, dict[str, object]]:
    files = {"labels": file} | ({} if crossmatch is None else {"crossmatch": crossmatch})
    return {
        what: {"file": each.name, "size": each.size, "mtime": each.mtime}
        for what, each in files.items()
    }
