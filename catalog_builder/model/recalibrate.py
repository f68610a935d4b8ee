"""The stage that fits sigma of a given model anew, on the stars of another release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog_builder.contract.contract import Contract
from catalog_builder.ground.digests import digest_json
from catalog_builder.model.stage import ENSEMBLE_TASK
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.running import tell
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir


@dataclass(frozen=True)
class RecalibrateContext:
    """What the one task of this stage is given."""

    workdir: Workdir
    #: Of the training store.
    contract: Contract
    model: Path
    facts: Mapping[str, Any]


def _work(context: RecalibrateContext, task: Task) -> Outcome:
    from catalog_builder.model.document import read_document
    from catalog_builder.model.new_sigma import recalibrate
    from catalog_builder.training.store import load_training

    root = context.workdir.root
    data, _ = load_training(root / task.payload["training"], context.contract)
    out = context.workdir.new_output("models", "model", suffix="")
    recalibrate(
        context.model,
        data,
        context.facts,
        out,
        lambda share: tell(context.workdir, task.stage, task.name, share),
    )
    document = read_document(out)
    return Outcome(
        rows_in=len(data),
        rows_out=len(data),
        output=str(out.relative_to(root)),
        output_digest=document.digest,
        notes={"metrics": document.metrics, "provenance": document.provenance},
    )


STAGE = Stage("recalibrate", version=3, work=_work, keeps_previous=True)


def plan(training: Receipt, context: RecalibrateContext, model_digest: str) -> list[Task]:
    """Return the one task that makes the new model directory."""
    key = [STAGE.version, training.output_digest, model_digest, dict(context.facts)]
    needs = (Need(training.stage, training.task, checked="everything"),)
    payload = {"training": training.output}
    return [Task(STAGE.name, ENSEMBLE_TASK, digest_json(key), payload, needs)]
