"""The peers: trained on the fit split, every choice made on the validation split."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from catalog_builder.features.store import Block
from catalog_builder.model.inputs import LABELS, Split, TrainingArrays
from tests.benchmarks.science.peers.design import (
    RVS_COMPONENTS,
    Design,
    filled_spectra,
    has_column,
)

Float = NDArray[np.float32]
Predictor = Callable[[Block], NDArray[np.float64]]

#: Settings of the trees that validation chooses from, per label.
_TREES = (
    {"learning_rate": 0.1, "max_leaf_nodes": 31},
    {"learning_rate": 0.05, "max_leaf_nodes": 15},
    {"learning_rate": 0.05, "max_leaf_nodes": 63},
)
#: Widths, dropout and weight decay of the perceptron that validation chooses from.
_PERCEPTRONS = ((256, 0.0, 1e-4), (512, 0.1, 1e-4), (512, 0.2, 1e-2))
_PERCEPTRON_EPOCHS, _PERCEPTRON_BATCH = 200, 256
#: Guiglion et al. 2020 (A&A 644, A168): batch 16, early stopping with patience 40.
_CNN_BATCH, _CNN_PATIENCE, _CNN_EPOCHS = 16, 40, 300
_SEED = 11


def trees(design: Design, data: TrainingArrays) -> Predictor:
    """Gradient-boosted trees, one model per label."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    fit, check = data.subset(Split.FIT), data.subset(Split.VALIDATION)
    x, x_check = design.columns(fit.block), design.columns(check.block)
    models = []
    for k in range(len(LABELS)):
        known, checked = np.isfinite(fit.labels[:, k]), np.isfinite(check.labels[:, k])
        tried = []
        for settings in _TREES:
            model = HistGradientBoostingRegressor(
                max_iter=600, early_stopping=True, random_state=_SEED, **settings
            ).fit(x[known], fit.labels[known, k])
            error = model.predict(x_check[checked]) - check.labels[checked, k]
            tried.append((float(np.mean(error**2)), len(tried), model))
        models.append(min(tried)[2])

    def predict(block: Block) -> NDArray[np.float64]:
        columns = design.columns(block)
        return np.column_stack([model.predict(columns) for model in models])

    return predict


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
) -> float:
    """Adam with early stopping on the validation stars; the best weights are kept."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
    best, best_state, waited = np.inf, copy.deepcopy(network.state_dict()), 0
    for _ in range(epochs):
        network.train()
        for rows in torch.randperm(len(labels)).split(batch):
            optimiser.zero_grad()
            _loss(network(*(one[rows] for one in inputs)), labels[rows]).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            loss = float(_loss(network(*check[0]), check[1]))
        if loss < best:
            best, best_state, waited = loss, copy.deepcopy(network.state_dict()), 0
        else:
            waited += 1
            if waited >= patience:
                break
    network.load_state_dict(best_state)
    network.eval()
    return best


def perceptron(design: Design, data: TrainingArrays) -> Predictor:
    """A perceptron of two hidden layers on the components, the best of a few, three members."""
    fit, check = data.subset(Split.FIT), data.subset(Split.VALIDATION)
    scale = _Scale(fit.labels)
    x, x_check = (torch.from_numpy(design.filled(one.block)) for one in (fit, check))
    y, y_check = scale.forward(fit.labels), scale.forward(check.labels)

    def member(settings: tuple[int, float, float], seed: int) -> tuple[float, nn.Module]:
        width, dropout, decay = settings
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(x.shape[1], width), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(width, len(LABELS)),
        )  # fmt: skip
        loss = _train(
            network, (x,), y, ((x_check,), y_check), batch=_PERCEPTRON_BATCH,
            epochs=_PERCEPTRON_EPOCHS, patience=25, rate=1e-3, decay=decay,
        )  # fmt: skip
        return loss, network

    tried = [(*member(settings, _SEED), settings) for settings in _PERCEPTRONS]
    _, first, settings = min(tried, key=lambda one: one[0])
    members = [first, *(member(settings, _SEED + k)[1] for k in (1, 2))]
    return _averaging(members, lambda block: (torch.from_numpy(design.filled(block)),), scale)


class _Guiglion2020(nn.Module):
    """The layers of Guiglion et al. 2020, the RVS in place of RAVE; the rest beside it."""

    def __init__(self, pixels: int, others: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv1d(1, 8, 10), nn.LeakyReLU(),
            nn.Conv1d(8, 4, 10), nn.LeakyReLU(),
            nn.Conv1d(4, 2, 10), nn.LeakyReLU(),
            nn.Flatten(), nn.Dropout(0.2), nn.Linear(2 * (pixels - 27), 32), nn.LeakyReLU(),
        )  # fmt: skip
        self.side = nn.Sequential(nn.Linear(others, 27), nn.LeakyReLU())
        self.head = nn.Sequential(nn.Linear(59, 16), nn.LeakyReLU(), nn.Linear(16, len(LABELS)))

    def forward(self, spectra: Tensor, others: Tensor) -> Tensor:
        joined = torch.cat([self.convolutions(spectra), self.side(others)], dim=1)
        found: Tensor = self.head(joined)
        return found


def guiglion2020(design: Design, data: TrainingArrays, members: int = 3) -> Predictor:
    """A network with the layers of Guiglion et al. 2020; validation chooses the step size."""
    fit, check = data.subset(Split.FIT), data.subset(Split.VALIDATION)
    scale = _Scale(fit.labels)

    def inputs(block: Block) -> tuple[Tensor, ...]:
        flux = filled_spectra(block, "rvs", design.centres["rvs"])
        flux = np.where(has_column(block, "rvs"), flux, design.centres["rvs"]) - 1.0
        # The components of the RVS are left out of the side branch: the convolutions read it.
        others = design.filled(block)[:, RVS_COMPONENTS:]
        return torch.from_numpy(flux.astype("f4"))[:, None], torch.from_numpy(others)

    seen, checked = inputs(fit.block), (inputs(check.block), scale.forward(check.labels))

    def member(rate: float, seed: int) -> tuple[float, nn.Module]:
        torch.manual_seed(seed)
        network = _Guiglion2020(seen[0].shape[2], seen[1].shape[1])
        loss = _train(
            network, seen, scale.forward(fit.labels), checked, batch=_CNN_BATCH,
            epochs=_CNN_EPOCHS, patience=_CNN_PATIENCE, rate=rate, decay=0.0,
        )  # fmt: skip
        return loss, network

    tried = [(*member(rate, _SEED), rate) for rate in (1e-3, 3e-4)]
    _, first, rate = min(tried, key=lambda one: one[0])
    networks = [first, *(member(rate, _SEED + k)[1] for k in range(1, members))]
    return _averaging(networks, inputs, scale)


def _averaging(
    members: list[nn.Module], inputs: Callable[[Block], tuple[Tensor, ...]], scale: _Scale
) -> Predictor:
    def predict(block: Block) -> NDArray[np.float64]:
        with torch.no_grad():
            columns = inputs(block)
            found = torch.stack([member(*columns) for member in members]).mean(dim=0)
        return scale.back(found.numpy())

    return predict


PEERS: dict[str, Callable[[Design, TrainingArrays], Predictor]] = {
    "trees": trees,
    "perceptron": perceptron,
    "layers of 2020": guiglion2020,
}
