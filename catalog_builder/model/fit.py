"""Train one member of the ensemble: a plain loop, resumable after any epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from catalog_builder.errors import ModelError
from catalog_builder.model.augment import (
    add_noise,
    hide_inputs,
    swap_rvs,
    untell_normalisation,
)
from catalog_builder.model.checkpoint import (
    Checkpoint,
    Progress,
    group,
    pack,
    read_checkpoint,
    unpack,
    write_checkpoint,
    write_json_lines,
    write_tensors,
)
from catalog_builder.model.files import file_digest
from catalog_builder.model.inputs import LABELS, Scaling, Split, TrainingArrays, network_columns
from catalog_builder.model.loss import label_losses, negative_log_likelihood
from catalog_builder.model.network import HybridNet
from catalog_builder.model.sample import (
    Sample,
    principal_axes,
    spectra_for_whitening,
    trainable,
    trained_names,
)
from catalog_builder.model.settings import ModelSettings

WEIGHTS = "member.safetensors"
CHECKPOINT = "checkpoint.safetensors"
LOG = "training.jsonl"

EpochRow = dict[str, Any]


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
    validation_loss : float
        Mean -ln p of the validation stars' scaled labels there.
    cpu_seconds : float
        Processor time of this call's thread; a resumed call counts its own part only.
    spoilt_checkpoint : bool
        Whether training began anew because its checkpoint was damaged.
    """

    path: Path
    digest: str
    epochs: int
    best_epoch: int
    validation_loss: float
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

    A call that finds its own checkpoint in `out` goes on from there, and on a CPU ends with the
    same bytes as if it had never stopped: the random numbers of an epoch depend on seed, member
    and epoch alone, so the epoch's number is the whole random state. A damaged one counts as none.

    Parameters
    ----------
    data : TrainingArrays
        All splits; the fit and validation stars are used.
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
    inputs, trained = trainable(data, settings)
    identity = {
        "data": data.digest(),
        "scaling": scaling.digest(),
        "settings": settings.training(),
        "member": member,
        "seed": seed,
        "inputs": list(inputs),
        "trained_labels": trained_names(trained),
    }
    with torch_threads(settings.threads):
        fit, validation = (
            Sample.from_arrays(data, split, scaling, trained, device, inputs)
            for split in (Split.FIT, Split.VALIDATION)
        )
        network = HybridNet(settings, inputs)
        network.initialise(_generator("cpu", seed, member))
        for name, whitening in network.whitenings().items():
            spectra = partial(spectra_for_whitening, name, fit.stars, scaling)
            whitening.set_axes(*principal_axes(spectra, whitening.axes.shape[1]))
        network.to(device)
        optimiser = _optimiser(network, settings)
        average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        best = average
        progress = Progress()
        checkpoint = out / CHECKPOINT
        begun = checkpoint.exists()
        kept = read_checkpoint(checkpoint, settings, network, optimiser) if begun else None
        spoilt = begun and kept is None
        if kept is not None:
            kept.require(checkpoint, identity)
            unpack(kept.tensors, network, optimiser)
            average = {k: v.to(device) for k, v in group(kept.tensors, "average").items()}
            best = {k: v.to(device) for k, v in group(kept.tensors, "best").items()}
            progress = kept.progress

        while not _finished(progress, settings):
            generator = _generator(device, seed, member, progress.epoch)
            fit_loss = _train_epoch(
                network,
                optimiser,
                average,
                fit,
                scaling,
                settings=settings,
                epoch=progress.epoch,
                generator=generator,
            )
            loss, by_label = _validate(network, average, validation, scaling, settings)
            _check_finite(member, progress.epoch, fit_loss, loss)
            progress.epoch += 1
            if progress.best_loss is None or loss < progress.best_loss:
                progress.best_epoch, progress.best_loss = progress.epoch, loss
                best = {name: tensor.clone() for name, tensor in average.items()}
            row: EpochRow = {
                "member": member,
                "epoch": progress.epoch,
                "fit_loss": fit_loss,
                "validation_loss": loss,
                "validation_loss_by_label": by_label,
                "best_epoch": progress.best_epoch,
            }
            progress.history.append(row)
            state = pack(network, optimiser, {"average": average, "best": best})
            made = Checkpoint(tensors=state, identity=identity, progress=progress)
            write_checkpoint(checkpoint, made)
            write_json_lines(out / LOG, progress.history)
            if on_epoch is not None:
                on_epoch(row)

        write_tensors(out / WEIGHTS, best, {"identity": identity})
        # Also where no epoch was left to do: a damaged log was discarded.
        write_json_lines(out / LOG, progress.history)
    if progress.best_loss is None:
        raise ModelError(f"Member {member} was trained for no epoch.", "Raise model.epochs.")
    return MemberResult(
        path=out,
        digest=file_digest(out / WEIGHTS),
        epochs=progress.epoch,
        best_epoch=progress.best_epoch,
        validation_loss=progress.best_loss,
        cpu_seconds=time.thread_time() - started,
        spoilt_checkpoint=spoilt,
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


def learning_rate(epochs_done: float, settings: ModelSettings) -> float:
    """Return the step size after a (fractional) number of epochs: linear rise, cosine fall."""
    rise = min(1.0, epochs_done / settings.warmup_epochs) if settings.warmup_epochs else 1.0
    fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, epochs_done / settings.epochs)))
    return settings.learning_rate * rise * fall


def _train_epoch(
    network: HybridNet,
    optimiser: AdamW,
    average: dict[str, Tensor],
    fit: Sample,
    scaling: Scaling,
    *,
    settings: ModelSettings,
    epoch: int,
    generator: Generator,
) -> float:
    """Go once through the fit stars in random order; return their mean loss."""
    order = torch.randperm(len(fit), generator=generator, device=generator.device)
    size = settings.batch_size
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    total = torch.zeros((), dtype=torch.float64, device=order.device)
    for number, rows in enumerate(batches):
        step = epoch * len(batches) + number
        for parameters in optimiser.param_groups:
            parameters["lr"] = learning_rate((step + 1) / len(batches), settings)
        stars = swap_rvs(fit.stars.take(rows), settings.swap_share, generator)
        stars = untell_normalisation(stars, settings.untold_share, generator)
        stars = add_noise(stars, settings.noise_share, settings.noise_factor, generator)
        stars = hide_inputs(stars, network.inputs, settings.modality_dropout, generator)
        columns = network_columns(stars, scaling, network.inputs)
        with torch.autocast(order.device.type, torch.bfloat16, enabled=order.is_cuda):
            output = network(columns, stars.present, generator)
        losses = negative_log_likelihood(
            output,
            fit.labels[rows],
            fit.label_error[rows],
            fit.known[rows],
            settings.tail_freedom,
        )
        optimiser.zero_grad()
        losses.mean().backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(network.parameters(), settings.gradient_clip)
        optimiser.step()
        _move_average(average, network, step, settings.average_decay)
        # Summed where it is computed: asking for the number here would stall a GPU every step.
        total += losses.detach().sum()
    return float(total) / len(order)


def _move_average(average: dict[str, Tensor], network: HybridNet, step: int, decay: float) -> None:
    # Early weights are far from good and must not linger: the memory grows with the steps taken.
    share = 1.0 - min(decay, (1.0 + step) / (10.0 + step)) if decay else 1.0
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            average[name].lerp_(tensor, share)


def _validate(
    network: HybridNet,
    weights: dict[str, Tensor],
    validation: Sample,
    scaling: Scaling,
    settings: ModelSettings,
) -> tuple[float, dict[str, float]]:
    """Return the validation stars' mean loss under the averaged weights, in all and per label."""
    losses, by_label = [], []
    with torch.no_grad():
        for start in range(0, len(validation), settings.validation_batch_size):
            rows = slice(start, start + settings.validation_batch_size)
            stars = validation.stars.take(rows)
            columns = network_columns(stars, scaling, network.inputs)
            output = torch.func.functional_call(network, weights, (columns, stars.present))
            known = (validation.labels[rows], validation.label_error[rows], validation.known[rows])
            losses.append(negative_log_likelihood(output, *known, settings.tail_freedom))
            by_label.append(label_losses(output, *known))
    means = torch.cat(by_label).nanmean(dim=0).tolist()
    named = {k: v for k, v in zip(LABELS, means, strict=True) if math.isfinite(v)}
    return float(torch.cat(losses).mean()), named


def _optimiser(network: HybridNet, settings: ModelSettings) -> AdamW:
    weights = [p for p in network.parameters() if p.ndim > 1]
    offsets = [p for p in network.parameters() if p.ndim <= 1]
    return AdamW(
        [
            {"params": weights, "weight_decay": settings.weight_decay},
            {"params": offsets, "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        fused=True,  # one pass over the weights: a tenth of the time of an operation at a time
    )


def _finished(progress: Progress, settings: ModelSettings) -> bool:
    waited = progress.epoch - progress.best_epoch
    return progress.epoch >= settings.epochs or waited >= settings.patience


def _generator(device: str, *key: int) -> Generator:
    """Return random numbers that depend on the key alone, not on a state that threads share."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(state >> np.uint64(1)))


def _check_finite(member: int, epoch: int, *losses: float) -> None:
    if not all(math.isfinite(loss) for loss in losses):
        raise ModelError(
            f"The loss of member {member} is not finite after {epoch} epochs.",
            "Lower model.learning_rate, or look for odd labels or fluxes in the sample.",
        )
