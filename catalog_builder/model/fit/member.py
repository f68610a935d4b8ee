"""Train one member of the ensemble: a plain loop, resumable after any epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from catalog_builder.ground.errors import ModelError
from catalog_builder.model.checkpoint import write_checkpoint, write_json_lines, write_tensors
from catalog_builder.model.files import file_digest
from catalog_builder.model.fit.loop import EpochRow, Training
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.design import Scaling, TrainingArrays

WEIGHTS = "member.safetensors"
CHECKPOINT = "checkpoint.safetensors"
LOG = "training.jsonl"


@dataclass(frozen=True)
class MemberResult:
    """What training one member came to.

    Attributes
    ----------
    path : Path
        The folder given, now holding the member's weights and its log.
    digest : str
        SHA-256 of the file of weights.
    epochs, best_epoch : int
        Epochs run, and the one (counted from 1) whose weights were kept.
    loss : float
        Mean -ln p of the validation stars' scaled labels there; without any, of the fit stars'.
    cpu_seconds : float
        Processor time of this call's thread; a resumed call counts its own part only.
    spoilt_checkpoint : bool
        Whether training began anew because its checkpoint was damaged.
    """

    path: Path
    digest: str
    epochs: int
    best_epoch: int
    loss: float
    cpu_seconds: float
    spoilt_checkpoint: bool


def fit_member(
    data: TrainingArrays,
    scaling: Scaling,
    settings: ModelSettings,
    *,
    member: int,
    seed: int,
    out: Path,
    device: str = "cpu",
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> MemberResult:
    """Train one network and keep the weights of its best epoch.

    Without validation stars all epochs are done, and the last one is kept.

    A call that finds its own checkpoint in `out` goes on from there, and on a CPU ends with the
    same bytes as if it had never stopped: the random numbers of an epoch depend on seed, member
    and epoch alone, so the epoch's number is the whole random state. A damaged one counts as none.

    Parameters
    ----------
    data : TrainingArrays
        All splits; the fit and validation stars are used. Of the latter there may be none.
    scaling : Scaling
        From the fit stars.
    settings : ModelSettings
        Hyper-parameters.
    member, seed : int
        Number of the network in the ensemble, and the seed of the run.
    out : Path
        Folder of this member alone.
    device : str
        Where torch computes, ``cpu`` or ``cuda``; there layers are in mixed precision (bfloat16).
    on_epoch : callable, optional
        Called with each epoch's row of the log, after its checkpoint is written.

    Raises
    ------
    ModelError
        If there is nothing to train on, the loss is not finite, or `out` holds another training.
    """
    started = time.thread_time()
    with torch_threads(settings.threads):
        training = Training.begin(data, scaling, settings, (member, seed), out / CHECKPOINT, device)
        while not training.finished:
            row = training.epoch()
            write_checkpoint(out / CHECKPOINT, training.checkpoint())
            write_json_lines(out / LOG, training.progress.history)
            if on_epoch is not None:
                on_epoch(row)
        write_tensors(out / WEIGHTS, training.best, {"identity": training.identity})
        # Also where no epoch was left to do: a damaged log was discarded.
        write_json_lines(out / LOG, training.progress.history)
    progress = training.progress
    if progress.best_loss is None:
        raise ModelError(f"Member {member} was trained for no epoch.", "Raise model.epochs.")
    return MemberResult(
        path=out,
        digest=file_digest(out / WEIGHTS),
        epochs=progress.epoch,
        best_epoch=progress.best_epoch,
        loss=progress.best_loss,
        cpu_seconds=time.thread_time() - started,
        spoilt_checkpoint=training.spoilt,
    )


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Compute with this many torch threads: the order of sums, hence their bits, depends on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
