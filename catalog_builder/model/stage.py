"""The train stages: one task for each member of the ensemble, one that assembles and calibrates.

Members are independent, so each is a task with a receipt of its own: on a GPU worker they follow
one another, on CPUs they run side by side, and what is trained is kept when something fails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog_builder.contract.contract import Contract
from catalog_builder.ground.digests import digest_json, in_order
from catalog_builder.ground.errors import ConfigError
from catalog_builder.model.settings import ModelSettings
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.running import tell, told
from catalog_builder.runtime.tasks import Outcome, Part, Stage, Task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.training.shapes import learnt_from

#: Feature stores that the sample of the archive is drawn from at most, spread over the sky.
_SAMPLED = 200
#: A member's log, one line for each epoch (``model.fit`` writes it, and takes seconds to import).
LOG = "training.jsonl"


@dataclass(frozen=True)
class TrainContext:
    """What all train tasks share."""

    workdir: Workdir
    contract: Contract
    settings: ModelSettings
    seed: int
    device: str
    provenance: Mapping[str, Any]


def _folder(context: TrainContext, task: Task) -> Path:
    # The folder's name holds the key: a killed training finds its checkpoint there and goes on.
    return context.workdir.models / "members" / f"{task.name}-{task.key[:12]}"


def _epochs(context: TrainContext, task: Task) -> Part | None:
    """Return how many epochs a member has behind it, and how many there will be."""
    settings = context.settings
    try:
        last = (_folder(context, task) / LOG).read_text(encoding="utf-8").splitlines()[-1]
        row = json.loads(last)
        epoch, best, loss = int(row["epoch"]), int(row["best_epoch"]), row["validation_loss"]
        if loss is None:  # of a fold: no star is kept back, and all epochs are done
            return Part(epoch, settings.epochs, f"epoch {epoch} of {settings.epochs}")
        text = f"epoch {epoch} of {settings.epochs}, loss {float(loss):.3f}"
    except (OSError, IndexError, KeyError, TypeError, ValueError):
        return None  # it has not finished one, or is writing just now
    # It ends when its patience does: the more of that is gone, the less likely it becomes better.
    resigned = min(1.0, (epoch - best) / settings.patience)
    return Part(epoch, settings.epochs, text, best + settings.patience, resigned)


def _assembled(context: TrainContext, task: Task) -> Part | None:
    """Return how many hundredths of the work of assembling are done."""
    share = told(context.workdir, task.stage, task.name)
    return None if share is None else Part(round(100 * share), 100, f"{share:.0%} done")


def _train_member(context: TrainContext, task: Task) -> Outcome:
    from catalog_builder.model.fit.member import fit_member
    from catalog_builder.model.taught import without_fold
    from catalog_builder.training.store import load_training

    root = context.workdir.root
    data, scaling = load_training(root / task.payload["training"], context.contract)
    settings = context.settings
    if task.payload["fold"] is not None:
        data, settings = without_fold(data, settings, task.payload["fold"])
    out = _folder(context, task)
    device = _device(context.device)
    result = fit_member(
        data,
        scaling,
        settings,
        member=task.payload["member"],
        seed=context.seed,
        out=out,
        device=device,
    )
    notes: dict[str, Any] = {
        "epochs": result.epochs,
        "loss": result.loss,
        "device": device,
    }
    if result.spoilt_checkpoint:
        notes["spoilt_checkpoint"] = True
    return Outcome(
        rows_in=len(data),
        rows_out=len(data),
        output=str(out.relative_to(root)),
        output_digest=result.digest,
        notes=notes,
    )


def _assemble(context: TrainContext, task: Task) -> Outcome:
    from catalog_builder.model.document import read_document
    from catalog_builder.model.ensemble import assemble
    from catalog_builder.model.reference import TrainingArchive, measure
    from catalog_builder.training.store import load_training

    root = context.workdir.root
    data, scaling = load_training(root / task.payload["training"], context.contract)
    out = context.workdir.new_output("models", "model", suffix="")
    members = [root / member for member in task.payload["members"]]
    stores, stars = task.payload["archive"]
    release = str(context.provenance.get("release") or "")
    archive = TrainingArchive([root / store for store in stores], stars, release)
    digest = assemble(
        members,
        data,
        scaling,
        context.settings,
        dict(context.provenance),
        out,
        lambda share: tell(context.workdir, task.stage, task.name, share),
        folds=[[root / member for member in fold] for fold in task.payload["folds"]],
        population=lambda estimator: measure(estimator, archive),
    )
    document = read_document(out)
    return Outcome(
        rows_in=len(data),
        rows_out=len(data),
        output=str(out.relative_to(root)),
        output_digest=digest,
        notes={
            "metrics": document.metrics,
            "population": document.model_dump(mode="json")["population"],
        },
    )


MEMBER = Stage("train", version=9, work=_train_member, part=_epochs, prefers="GPU")
ASSEMBLE = Stage("model", version=23, work=_assemble, part=_assembled, keeps_previous=True)
#: The one task of the stage that assembles.
ENSEMBLE_TASK = "ensemble"


def plan_members(
    training: Receipt, contract: Contract, settings: ModelSettings, seed: int
) -> list[Task]:
    """Return a task for each member of the ensemble, then for those of each fold.

    No two have the same number, which their random numbers follow from.
    """
    shared = {
        "version": MEMBER.version,
        "contract": learnt_from(contract),
        "training": training.output_digest,
        "settings": settings.training(),
        "seed": seed,
    }
    # Who is in a fold follows from their number; which labels are trained, from the whole sample.
    folds = [
        (f"fold-{fold:02d}-member-{number:02d}", fold)
        for fold in range(settings.folds)
        for number in range(settings.fold_members)
    ]
    whole: list[tuple[str, int | None]] = [
        (f"member-{number:02d}", None) for number in range(settings.members)
    ]
    return [
        Task(
            MEMBER.name,
            name,
            digest_json(
                {**shared, "member": member}
                | ({} if fold is None else {"fold": fold, "folds": settings.folds})
            ),
            {"training": training.output, "member": member, "fold": fold},
            needs=_needs(training),
        )
        for member, (name, fold) in enumerate([*whole, *folds])
    ]


def plan_assemble(
    training: Receipt,
    members: Sequence[Receipt],
    features: Sequence[Receipt],
    contract: Contract,
    settings: ModelSettings,
    provenance: Mapping[str, Any],
) -> list[Task]:
    """Return the one task that makes the model directory, of the members of `plan_members`.

    Of the archive's features a sample is answered by the finished model.
    """
    sampled = _spread(features)
    key = {
        "version": ASSEMBLE.version,
        "training": training.output_digest,
        "members": [member.output_digest for member in members],
        "archive": [receipt.output_digest for receipt in sampled],
        "contract": in_order(contract.model_dump(mode="json")),
        "settings": settings.model_dump(mode="json"),
        "provenance": dict(provenance),
    }
    outputs = [member.output for member in members]
    whole, rest = outputs[: settings.members], outputs[settings.members :]
    payload = {
        "training": training.output,
        "members": whole,
        "archive": (
            [receipt.output for receipt in sampled],
            sum(receipt.rows_out for receipt in sampled),
        ),
        "folds": [
            rest[start : start + settings.fold_members]
            for start in range(0, len(rest), settings.fold_members)
        ],
    }
    stores = (Need(receipt.stage, receipt.task) for receipt in sampled)
    needs = (*_needs(training, *members), *stores)
    return [Task(ASSEMBLE.name, ENSEMBLE_TASK, digest_json(key), payload, needs)]


def remarks(members: Sequence[Receipt], *, offers_gpu: bool) -> list[str]:
    """Return what a person ought to know of how the members were trained."""
    fell_back = offers_gpu and any(member.notes.get("device") == "cpu" for member in members)
    spoilt = [member.task for member in members if member.notes.get("spoilt_checkpoint")]
    return [
        *(["training ran on a CPU (gpu_fallback): no GPU came or worked"] if fell_back else []),
        *(f"{task}: its checkpoint was damaged; it was trained from the start" for task in spoilt),
    ]


def _spread(features: Sequence[Receipt]) -> list[Receipt]:
    """Return some partitions, evenly along the sky's order, if there are many."""
    if len(features) <= _SAMPLED:
        return list(features)
    return [features[number * len(features) // _SAMPLED] for number in range(_SAMPLED)]


def _needs(*receipts: Receipt) -> tuple[Need, ...]:
    # They are read from front to back, and weights have no checksum of their own.
    return tuple(Need(receipt.stage, receipt.task, checked="everything") for receipt in receipts)


def _device(asked: str) -> str:
    """Return the torch device of this worker; only `auto` may end on the CPU unasked."""
    import torch

    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "device is `cuda`, but the worker that trains has no GPU.",
            "Start a GPU worker with `--resources GPU=1`, or set device to `auto` or `cpu`.",
        )
    return asked
