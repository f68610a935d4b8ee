"""A small labelled sky for the model's tests: XP and photometry that depend on the labels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from catalog_builder.contract.contract import Contract
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.fit.member import fit_member
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.design import (
    Scaling,
    Split,
    TrainingArrays,
    design_features,
    design_labels,
)


def invent_sky(
    stars: int, seed: int = 0, *, rvs: bool = True, contract: Contract | None = None
) -> TrainingArrays:
    """Return stars with every input of a contract; without one, of the default."""
    contract = contract or default_contract()
    inputs, count = contract.inputs, len(contract.labels)
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(stars, count))
    # Of the first five labels, and of any more.
    spread = np.array([600.0, 1.0, 0.3, 0.1, 0.3, *[0.2] * count])[:count]
    centre = np.array([5200.0, 3.0, -0.2, 0.1, -0.2, *[0.1] * count])[:count]
    errors = np.array([20.0, 0.05, 0.02, 0.01, 0.02, *[0.02] * count])[:count]
    labels = latent * spread + centre
    label_error = np.abs(rng.normal(size=(stars, count))) * errors

    def spectra(samples: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
        response = np.random.default_rng(samples).normal(size=(count, samples)) * 0.05
        error = np.full((stars, samples), noise)
        return 1.0 + latent @ response + rng.normal(size=(stars, samples)) * error, error

    block: dict[str, np.ndarray] = {"source_id": np.arange(stars, dtype=np.int64) + 10_000}
    for name, spectrum in [*inputs.low_resolution.items(), *inputs.lines.items()]:
        flux, error = spectra(spectrum.samples, 0.05 if spectrum.kind == "lines" else 0.02)
        block[f"{name}_flux"] = flux.astype(np.float32)
        block[f"{name}_flux_error"] = error.astype(np.float32)
    g = 12.0 + rng.normal(size=stars)
    colour = 0.5 - 0.1 * latent[:, 0]
    for group in inputs.photometry.values():
        for band, column in zip(range(len(group.columns)), group.columns, strict=True):
            block[column] = (g + colour * (0.0, 1.0, -1.0)[band]).astype(np.float32)
    for name, spectrum in inputs.lines.items():
        block[f"{name}_mask"] = np.ones((stars, spectrum.samples), dtype=bool)
        block[f"{name}_normalisation"] = rng.integers(1, 3, stars).astype(np.uint8)
        if spectrum.sig_to_noise is not None:
            snr = 20.0 if rvs else np.nan
            block[spectrum.sig_to_noise] = np.full(stars, snr, dtype=np.float32)
    block |= {
        "parallax": np.exp(latent[:, 1]),
        "parallax_corrected": np.exp(latent[:, 1]) + 0.03,
        "parallax_error": np.full(stars, 0.05, dtype=np.float32),
    }
    for name in inputs.names:
        block[f"has_{name}"] = np.full(stars, rvs if name == "rvs" else True)
    observed = labels + rng.normal(size=(stars, count)) * label_error
    shares = [0.6, 0.15, 0.15, 0.1]
    return TrainingArrays(
        contract=contract,
        block=block,
        labels=observed.astype(np.float32),
        label_error=label_error.astype(np.float32),
        split=rng.choice(len(Split), size=stars, p=shares).astype(np.uint8),
    )


def scale(data: TrainingArrays) -> Scaling:
    fit = data.subset(Split.FIT)
    labels, _ = design_labels(fit.labels, fit.label_error, data.contract.labels)
    columns = {**design_features(fit.block, data.contract.inputs), "labels": labels}
    with warnings.catch_warnings():
        # A label or an input that no star has is a column of NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        statistics = {
            name: (np.nanmean(values, axis=0), np.nanstd(values, axis=0))
            for name, values in columns.items()
        }
    return Scaling.from_statistics(statistics, data.contract)


@pytest.fixture(scope="session")
def make_sky() -> Callable[..., TrainingArrays]:
    return invent_sky


@pytest.fixture(scope="session")
def make_scaling() -> Callable[[TrainingArrays], Scaling]:
    return scale


@pytest.fixture(scope="session")
def settings() -> ModelSettings:
    return ModelSettings(
        members=2,
        epochs=6,
        patience=6,
        batch_size=64,
        width=32,
        depth=1,
        flux_components=8,
        line_components=8,
        flux_filters=2,
        line_channels=(2, 2, 4, 4),
        min_label_stars=100,
        min_regime_stars=20,
        validation_batch_size=128,
        average_decay=0.9,
    )


@pytest.fixture(scope="session")
def sky() -> TrainingArrays:
    return invent_sky(900)


@pytest.fixture(scope="session")
def scaling(sky: TrainingArrays) -> Scaling:
    return scale(sky)


@pytest.fixture(scope="session")
def members(
    sky: TrainingArrays,
    scaling: Scaling,
    settings: ModelSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    return [
        fit_member(sky, scaling, settings, member=member, seed=1, out=folder / str(member)).path
        for member in range(settings.members)
    ]


@pytest.fixture(scope="session")
def contract() -> Contract:
    return default_contract()
