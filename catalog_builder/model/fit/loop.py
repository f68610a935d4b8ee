"""One member in training: what it learns from, its weights, and what is done in an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from catalog_builder.ground.errors import ModelError
from catalog_builder.model.checkpoint import (
    Checkpoint,
    Progress,
    group,
    pack,
    read_checkpoint,
    unpack,
)
from catalog_builder.model.fit.augment import (
    add_noise,
    hide_inputs,
    swap_spectra,
    untell_normalisation,
)
from catalog_builder.model.fit.sample import (
    Sample,
    principal_axes,
    spectra_for_whitening,
    trainable,
    trained_names,
)
from catalog_builder.model.net.loss import label_losses, negative_log_likelihood
from catalog_builder.model.net.network import HybridNet
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.design import Scaling, Split, Stars, TrainingArrays, network_columns

EpochRow = dict[str, Any]


@dataclass
class Training:
    """One network between two epochs, and what it learns from.

    Attributes
    ----------
    key : (int, int)
        Member and seed.
    identity : dict
        Which training it is.
    average, best : dict of str to Tensor
        Running mean of the weights, and that of the best epoch so far; without validation stars of
        the last one.
    spoilt : bool
        Whether a damaged checkpoint was found.
    """

    key: tuple[int, int]
    identity: dict[str, Any]
    settings: ModelSettings
    scaling: Scaling
    labels: tuple[str, ...]
    fit: Sample
    validation: Sample
    network: HybridNet
    optimiser: AdamW
    average: dict[str, Tensor]
    best: dict[str, Tensor]
    progress: Progress
    device: str
    spoilt: bool = False

    @classmethod
    def begin(
        cls,
        data: TrainingArrays,
        scaling: Scaling,
        settings: ModelSettings,
        key: tuple[int, int],
        checkpoint: Path,
        device: str,
    ) -> Training:
        """Build the network and give it its first weights, or those of a checkpoint."""
        member, seed = key
        inputs, trained = trainable(data, settings)
        settings.refuse_too_large(data.contract)
        identity = {
            "data": data.digest(),
            "scaling": scaling.digest(),
            "settings": settings.training(),
            "member": member,
            "seed": seed,
            "inputs": list(inputs),
            "trained_labels": trained_names(data.contract.labels, trained),
        }
        fit, validation = (
            Sample.from_arrays(data, split, scaling, trained, device, inputs)
            for split in (Split.FIT, Split.VALIDATION)
        )
        network = HybridNet(settings, data.contract, inputs)
        network.initialise(_generator("cpu", seed, member))
        for name, whitening in network.whitenings().items():
            spectra = partial(spectra_for_whitening, name, fit.stars, scaling)
            whitening.set_axes(*principal_axes(spectra, whitening.axes.shape[1]))
        network.to(device)
        average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        training = cls(
            key=key,
            identity=identity,
            settings=settings,
            scaling=scaling,
            labels=data.contract.labels.names,
            fit=fit,
            validation=validation,
            network=network,
            optimiser=_optimiser(network, settings),
            average=average,
            best=average,
            progress=Progress(),
            device=device,
        )
        training.resume(checkpoint)
        return training

    def resume(self, file: Path) -> None:
        """Go on from a checkpoint, if there is one and it is whole."""
        begun = file.exists()
        kept = read_checkpoint(file, self.network, self.optimiser) if begun else None
        self.spoilt = begun and kept is None
        if kept is None:
            return
        kept.require(file, self.identity)
        unpack(kept.tensors, self.network, self.optimiser)
        self.average, self.best = (
            {name: tensor.to(self.device) for name, tensor in group(kept.tensors, part).items()}
            for part in ("average", "best")
        )
        self.progress = kept.progress

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or none was better for long enough."""
        progress = self.progress  # without validation stars the last epoch is the best one
        waited = progress.epoch - progress.best_epoch
        return progress.epoch >= self.settings.epochs or waited >= self.settings.patience

    def epoch(self) -> EpochRow:
        """Train for one epoch and validate; return its row of the log."""
        (member, seed), progress = self.key, self.progress
        generator = _generator(self.device, seed, member, progress.epoch)
        fit_loss = self._train(generator)
        to_the_end = not len(self.validation)
        loss, by_label = (fit_loss, {}) if to_the_end else self._validate()
        _check_finite(member, progress.epoch, fit_loss, loss)
        progress.epoch += 1
        if to_the_end or progress.best_loss is None or loss < progress.best_loss:
            progress.best_epoch, progress.best_loss = progress.epoch, loss
            self.best = {name: tensor.clone() for name, tensor in self.average.items()}
        row: EpochRow = {
            "member": member,
            "epoch": progress.epoch,
            "fit_loss": fit_loss,
            "validation_loss": None if to_the_end else loss,
            "validation_loss_by_label": by_label,
            "best_epoch": progress.best_epoch,
        }
        progress.history.append(row)
        return row

    def checkpoint(self) -> Checkpoint:
        """Return what training goes on from."""
        state = pack(self.network, self.optimiser, {"average": self.average, "best": self.best})
        return Checkpoint(tensors=state, identity=self.identity, progress=self.progress)

    def _train(self, generator: Generator) -> float:
        """Go once through the fit stars in random order; return their mean loss."""
        fit, settings = self.fit, self.settings
        order = torch.randperm(len(fit), generator=generator, device=generator.device)
        size = settings.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        total = torch.zeros((), dtype=torch.float64, device=order.device)
        for number, rows in enumerate(batches):
            step = self.progress.epoch * len(batches) + number
            for parameters in self.optimiser.param_groups:
                parameters["lr"] = learning_rate((step + 1) / len(batches), settings)
            stars = self._seen(fit.stars.take(rows), generator)
            columns = network_columns(stars, self.scaling, self.network.inputs)
            with torch.autocast(order.device.type, torch.bfloat16, enabled=order.is_cuda):
                output = self.network(columns, stars.present, generator)
            known = (fit.labels[rows], fit.label_error[rows], fit.known[rows])
            losses = negative_log_likelihood(output, *known, settings.tail_freedom)
            self.optimiser.zero_grad()
            losses.mean().backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(self.network.parameters(), settings.gradient_clip)
            self.optimiser.step()
            _move_average(self.average, self.network, step, settings.average_decay)
            # Summed where it is computed: asking for the number here would stall a GPU every step.
            total += losses.detach().sum()
        return float(total) / len(order)

    def _seen(self, stars: Stars, generator: Generator) -> Stars:
        """Return stars as the network sees them in one step."""
        settings = self.settings
        stars = swap_spectra(stars, settings.swap_share, generator)
        stars = untell_normalisation(stars, settings.untold_share, generator)
        stars = add_noise(stars, settings.noise_share, settings.noise_factor, generator)
        return hide_inputs(stars, self.network.inputs, settings.modality_dropout, generator)

    def _validate(self) -> tuple[float, dict[str, float]]:
        """Return the validation stars' mean loss under the averaged weights, also by label."""
        losses, by_label, validation = [], [], self.validation
        with torch.no_grad():
            for start in range(0, len(validation), self.settings.validation_batch_size):
                rows = slice(start, start + self.settings.validation_batch_size)
                stars = validation.stars.take(rows)
                columns = network_columns(stars, self.scaling, self.network.inputs)
                seen = (columns, stars.present)
                output = torch.func.functional_call(self.network, self.average, seen)
                known = (
                    validation.labels[rows],
                    validation.label_error[rows],
                    validation.known[rows],
                )
                losses.append(negative_log_likelihood(output, *known, self.settings.tail_freedom))
                by_label.append(label_losses(output, *known))
        means = torch.cat(by_label).nanmean(dim=0).tolist()
        named = {k: v for k, v in zip(self.labels, means, strict=True) if math.isfinite(v)}
        return float(torch.cat(losses).mean()), named


def learning_rate(epochs_done: float, settings: ModelSettings) -> float:
    """Return the step size after a (fractional) number of epochs: linear rise, cosine fall."""
    rise = min(1.0, epochs_done / settings.warmup_epochs) if settings.warmup_epochs else 1.0
    fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, epochs_done / settings.epochs)))
    return settings.learning_rate * rise * fall


def _move_average(average: dict[str, Tensor], network: HybridNet, step: int, decay: float) -> None:
    # Early weights are far from good and must not linger: the memory grows with the steps taken.
    share = 1.0 - min(decay, (1.0 + step) / (10.0 + step)) if decay else 1.0
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            average[name].lerp_(tensor, share)


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
