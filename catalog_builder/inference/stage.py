"""The predict stage: one task per partition, the model on every worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.population import NOTE
from catalog_builder.ground.digests import digest_json
from catalog_builder.inference.settings import PredictSettings
from catalog_builder.model.stage import ASSEMBLE as ENSEMBLE
from catalog_builder.model.stage import ENSEMBLE_TASK
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir

#: Why a source that was ingested has no row: it has inputs, and the model no finite answer.
PREDICTION_FAILED = "prediction_failed"
#: Why all sources of a partition have none: its prediction was given up.
PARTITION_NOT_PREDICTED = "partition_not_predicted"


@dataclass(frozen=True)
class KnownStars:
    """The stars that taught a model of another release, by the identifiers of the archive's."""

    receipt: Receipt


@dataclass(frozen=True)
class PredictContext:
    """What all predict tasks share. The weights travel by path, never inside a task."""

    workdir: Workdir
    model: Path
    model_digest: str
    schema: CatalogSchema
    settings: PredictSettings
    #: The archive release, whose identifiers the sources have.
    release: str


def _work(context: PredictContext, task: Task) -> Outcome:
    # torch takes seconds to import: the driver does without.
    from catalog_builder.inference.predict import predict_partition
    from catalog_builder.inference.worker_model import worker_model

    root = context.workdir.root
    estimator = worker_model(context.model, context.model_digest)
    out = context.workdir.new_output("predictions", task.name)
    made = predict_partition(
        root / task.payload["features"],
        estimator,
        context.schema,
        context.settings.batch_size,
        out,
        source_id_release=context.release,
        galaxy=context.settings.galaxy,
        known=root / task.payload["known"] if "known" in task.payload else None,
    )
    return Outcome(
        rows_in=made.rows + made.failed,
        rows_out=made.rows,
        rejected={PREDICTION_FAILED: made.failed} if made.failed else {},
        output=str(out.relative_to(root)),
        output_digest=made.digest,
        notes={"labelled": made.labelled, NOTE: made.answers.model_dump(mode="json")},
    )


STAGE = Stage("predict", version=15, work=_work, expendable=True)


def plan(
    features: Sequence[Receipt],
    model_digest: str,
    schema: CatalogSchema,
    settings: PredictSettings,
    *,
    release: str,
    trained: bool,
    maker: str = ENSEMBLE.name,
    known: KnownStars | None = None,
) -> list[Task]:
    """Return a task for each partition.

    Parameters
    ----------
    features : sequence of Receipt
        Of the partitions.
    model_digest : str
        Of the model.
    schema : CatalogSchema
        Columns to make.
    settings : PredictSettings
        How.
    release : str
        The archive release, by which stars are known that taught the model.
    trained : bool
        Whether the model was trained in this workdir.
    maker : str
        The stage that made it, if so.
    known : KnownStars, optional
        Where the stars are that taught a model of another release.
    """
    # The model is loaded once, and checks itself.
    model = (Need(maker, ENSEMBLE_TASK, checked="nothing"),) if trained else ()
    # How a label is drawn changes no row: columns and bits say all that does.
    rows = schema.model_copy(update={"said_contract": None})
    key = [STAGE.version, model_digest, release, rows.digest, settings.model_dump(mode="json")]
    shared = digest_json(key if known is None else [*key, known.receipt.output_digest])
    taught = {} if known is None else {"known": known.receipt.output}
    needs = () if known is None else (Need(known.receipt.stage, known.receipt.task),)
    return [
        Task(
            STAGE.name,
            receipt.task,
            digest_json([shared, receipt.output_digest]),
            {"features": receipt.output, **taught},
            needs=(Need(receipt.stage, receipt.task), *model, *needs),
            work=float(max(1, receipt.rows_out)),
        )
        for receipt in features
    ]
