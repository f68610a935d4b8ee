"""The peers: trained on the fit split, every choice made on the validation split."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from catalog_builder.features.store import Block
from catalog_builder.labels.agreed import default_contract
from catalog_builder.training.design import Split, TrainingArrays
from tests.benchmarks.science.peers.design import (
    RVS_COMPONENTS,
    Design,
    filled_spectra,
    has_column,
)

LABELS = default_contract().labels.names

Float = NDArray[np.float32]
Predictor = Callable[[Block], NDArray[np.float64]]


class Peer(NamedTuple):
    """A trained peer, and what was chosen on the validation split to make it."""

    predict: Predictor
    notes: dict[str, Any]


class _Fitted(NamedTuple):
    """A trained network, its best validation loss, and after how many epochs of how many."""

    network: nn.Module
    loss: float
    best_epoch: int
    epochs: int

    def note(self, **settings: float) -> dict[str, float]:
        return {**settings, "validation_loss": self.loss, "epochs": self.epochs}


#: Settings of the trees that validation chooses from, per label.
_TREES = (
    {"learning_rate": 0.1, "max_leaf_nodes": 31},
    {"learning_rate": 0.05, "max_leaf_nodes": 15},
    {"learning_rate": 0.05, "max_leaf_nodes": 63},
)
#: Widths, dropout and weight decay of the perceptron that validation chooses from.
_PERCEPTRONS = ((256, 0.0, 1e-4), (512, 0.1, 1e-4), (512, 0.2, 1e-2))
_PERCEPTRON_EPOCHS, _PERCEPTRON_BATCH = 200, 256
#: Step size and dropout of the convolutional network that validation chooses from, in short
#: trainings; 0.2 is that of Guiglion et al. 2020 (A&A 644, A168).
_CNNS = ((1e-3, 0.2), (3e-3, 0.2), (3e-3, 0.05))
#: Batches of 64 take a third of the time of the 16 of 2020.
_CNN_BATCH, _CNN_TRIAL_EPOCHS, _CNN_EPOCHS, _CNN_PATIENCE = 64, 5, 30, 8
_CNN_MEMBERS = 2
_SEED = 11


def trees(design: Design, data: TrainingArrays) -> Peer:
    """Gradient-boosted trees, one model per label."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    fit, check = data.subset(Split.FIT), data.subset(Split.VALIDATION)
    x, x_check = design.columns(fit.block), design.columns(check.block)
    models, chosen = [], {}
    for k, label in enumerate(LABELS):
        known, checked = np.isfinite(fit.labels[:, k]), np.isfinite(check.labels[:, k])
        tried = []
        for settings in _TREES:
            model = HistGradientBoostingRegressor(
                max_iter=600, early_stopping=True, random_state=_SEED, **settings
            ).fit(x[known], fit.labels[known, k])
            error = model.predict(x_check[checked]) - check.labels[checked, k]
            tried.append((float(np.mean(error**2)), len(tried), model))
        loss, which, best = min(tried)
        models.append(best)
        chosen[label] = {**_TREES[which], "iterations": int(best.n_iter_), "validation_mse": loss}

    def predict(block: Block) -> NDArray[np.float64]:
        columns = design.columns(block)
        return np.column_stack([model.predict(columns) for model in models])

    return Peer(predict, chosen)


class _Scale:
    """Labels to zero mean and unit deviation and back; ln Teff in place of Teff."""

    def __init__(self, labels: Float) -> None:
        values = self._log(labels)
        self.mean, self.deviation = np.nanmean(values, axis=0), np.nanstd(values, axis=0)

    @staticmethod
    def _log(labels: Float) -> NDArray[np.float64]:
        values = labels.astype(np.float64)
        values[:, 0] = np.log(values[:, 0])
        return values

    def forward(self, labels: Float) -> Tensor:
        return torch.from_numpy(((self._log(labels) - self.mean) / self.deviation).astype("f4"))

    def back(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        values = scaled.astype(np.float64) * self.deviation + self.mean
        values[:, 0] = np.exp(values[:, 0])
        return values


def _loss(found: Tensor, wanted: Tensor) -> Tensor:
    known = torch.isfinite(wanted)
    return ((found - torch.nan_to_num(wanted)) ** 2)[known].mean()


def _train(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    labels: Tensor,
    check: tuple[tuple[Tensor, ...], Tensor],
    *,
    batch: int,
    epochs: int,
    patience: int,
    rate: float,
    decay: float,
) -> _Fitted:
    """Adam, cosine fall of the step size, early stopping; the best weights are kept."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    best, best_state, best_epoch = np.inf, copy.deepcopy(network.state_dict()), 0
    for epoch in range(1, epochs + 1):
        network.train()
        for rows in torch.randperm(len(labels)).split(batch):
            optimiser.zero_grad()
            _loss(network(*(one[rows] for one in inputs)), labels[rows]).backward()
            optimiser.step()
        schedule.step()
        network.eval()
        with torch.no_grad():
            loss = float(_loss(network(*check[0]), check[1]))
        if loss < best:
            best, best_state, best_epoch = loss, copy.deepcopy(network.state_dict()), epoch
        elif epoch - best_epoch >= patience:
            break
    network.load_state_dict(best_state)
    return _Fitted(network.eval(), best, best_epoch, epoch)


def perceptron(design: Design, data: TrainingArrays) -> Peer:
    """A perceptron of two hidden layers on the components, the best of a few, three members."""
    fit, check = data.subset(Split.FIT), data.subset(Split.VALIDATION)
    scale = _Scale(fit.labels)
    x, x_check = (torch.from_numpy(design.filled(one.block)) for one in (fit, check))
    y, y_check = scale.forward(fit.labels), scale.forward(check.labels)

    def member(settings: tuple[int, float, float], seed: int) -> _Fitted:
        width, dropout, decay = settings
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(x.shape[1], width), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(width, len(LABELS)),
        )  # fmt: skip
        return _train(
            network, (x,), y, ((x_check,), y_check), batch=_PERCEPTRON_BATCH,
            epochs=_PERCEPTRON_EPOCHS, patience=25, rate=1e-3, decay=decay,
        )  # fmt: skip

    tried = [member(settings, _SEED) for settings in _PERCEPTRONS]
    which = min(range(len(tried)), key=lambda k: tried[k].loss)
    members = [tried[which], *(member(_PERCEPTRONS[which], _SEED + k) for k in (1, 2))]
    names = ("width", "dropout", "weight_decay")
    notes = [
        one.note(**dict(zip(names, settings, strict=True)))
        for one, settings in zip(tried, _PERCEPTRONS, strict=True)
    ]

    def inputs(block: Block) -> tuple[Tensor, ...]:
        return (torch.from_numpy(design.filled(block)),)

    return Peer(_averaging(members, inputs, scale), {"tried": notes, "chosen": notes[which]})


class _Guiglion2020(nn.Module):
    """The layers of Guiglion et al. 2020, the RVS in place of RAVE; the rest beside it."""

    def __init__(self, pixels: int, others: int, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv1d(1, 8, 10), nn.LeakyReLU(),
            nn.Conv1d(8, 4, 10), nn.LeakyReLU(),
            nn.Conv1d(4, 2, 10), nn.LeakyReLU(),
            nn.Flatten(), nn.Dropout(dropout), nn.Linear(2 * (pixels - 27), 32), nn.LeakyReLU(),
        )  # fmt: skip
        self.side = nn.Sequential(nn.Linear(others, 27), nn.LeakyReLU())
        self.head = nn.Sequential(nn.Linear(59, 16), nn.LeakyReLU(), nn.Linear(16, len(LABELS)))

    def forward(self, spectra: Tensor, others: Tensor) -> Tensor:
        joined = torch.cat([self.convolutions(spectra), self.side(others)], dim=1)
        found: Tensor = self.head(joined)
        return found


def guiglion2020(design: Design, data: TrainingArrays) -> Peer:
    """A network with the layers of Guiglion et al. 2020.

    The convolutions read the RVS pixels, where 2020 had RAVE's; XP components, photometry,
    parallax and what is absent enter its side branch, which held photometry and priors there, and
    join after the convolutions.
    """
    fit, check = data.subset(Split.FIT), data.subset(Split.VALIDATION)
    scale = _Scale(fit.labels)

    def inputs(block: Block) -> tuple[Tensor, ...]:
        flux = filled_spectra(block, "rvs", design.centres["rvs"])
        flux = np.where(has_column(block, "rvs"), flux, design.centres["rvs"]) - 1.0
        # The components of the RVS are left out of the side branch: the convolutions read it.
        others = design.filled(block)[:, RVS_COMPONENTS:]
        return torch.from_numpy(flux.astype("f4"))[:, None], torch.from_numpy(others)

    seen, labels = inputs(fit.block), scale.forward(fit.labels)
    checked = (inputs(check.block), scale.forward(check.labels))

    def member(settings: tuple[float, float], epochs: int, seed: int) -> _Fitted:
        rate, dropout = settings
        torch.manual_seed(seed)
        network = _Guiglion2020(seen[0].shape[2], seen[1].shape[1], dropout)
        return _train(
            network, seen, labels, checked, batch=_CNN_BATCH, epochs=epochs,
            patience=_CNN_PATIENCE, rate=rate, decay=0.0,
        )  # fmt: skip

    tried = [member(settings, _CNN_TRIAL_EPOCHS, _SEED) for settings in _CNNS]
    which = min(range(len(tried)), key=lambda k: tried[k].loss)
    members = [member(_CNNS[which], _CNN_EPOCHS, _SEED + k) for k in range(_CNN_MEMBERS)]
    rate, dropout = _CNNS[which]
    notes = {
        "tried": [
            one.note(rate=settings[0], dropout=settings[1])
            for one, settings in zip(tried, _CNNS, strict=True)
        ],
        "members": [one.note(rate=rate, dropout=dropout) for one in members],
    }
    return Peer(_averaging(members, inputs, scale), notes)


def _averaging(
    members: Sequence[_Fitted], inputs: Callable[[Block], tuple[Tensor, ...]], scale: _Scale
) -> Predictor:
    def predict(block: Block) -> NDArray[np.float64]:
        with torch.no_grad():
            columns = inputs(block)
            found = torch.stack([one.network(*columns) for one in members]).mean(dim=0)
        return scale.back(found.numpy())

    return predict


PEERS: dict[str, Callable[[Design, TrainingArrays], Peer]] = {
    "trees": trees,
    "perceptron": perceptron,
    "layers of 2020": guiglion2020,
}
