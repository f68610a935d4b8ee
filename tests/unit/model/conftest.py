"""A small labelled sky for the model's tests: XP and photometry that depend on the labels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from catalog_builder.model.fit import fit_member
from catalog_builder.model.inputs import (
    Scaling,
    Split,
    TrainingArrays,
    design_features,
    design_labels,
)
from catalog_builder.model.settings import ModelSettings


def invent_sky(stars: int, seed: int = 0, *, rvs: bool = True) -> TrainingArrays:
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(stars, 5))
    labels = latent * [600.0, 1.0, 0.3, 0.1, 0.3] + [5200.0, 3.0, -0.2, 0.1, -0.2]
    label_error = np.abs(rng.normal(size=(stars, 5))) * [20.0, 0.05, 0.02, 0.01, 0.02]

    def spectra(samples: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
        response = np.random.default_rng(samples).normal(size=(5, samples)) * 0.05
        error = np.full((stars, samples), noise)
        return 1.0 + latent @ response + rng.normal(size=(stars, samples)) * error, error

    xp, xp_error = spectra(343, 0.02)
    rvs_flux, rvs_error = spectra(800, 0.05)
    g = 12.0 + rng.normal(size=stars)
    block = {
        "source_id": np.arange(stars, dtype=np.int64) + 10_000,
        "rvs_flux": rvs_flux.astype(np.float32),
        "rvs_flux_error": rvs_error.astype(np.float32),
        "rvs_mask": np.ones((stars, 800), dtype=bool),
        "rvs_normalisation": rng.integers(1, 3, stars).astype(np.uint8),
        "xp_flux": xp.astype(np.float32),
        "xp_flux_error": xp_error.astype(np.float32),
        "phot_g_mean_mag": g.astype(np.float32),
        "phot_bp_mean_mag": (g + 0.5 - 0.1 * latent[:, 0]).astype(np.float32),
        "phot_rp_mean_mag": (g - 0.5 + 0.1 * latent[:, 0]).astype(np.float32),
        "parallax": np.exp(latent[:, 1]),
        "parallax_corrected": np.exp(latent[:, 1]) + 0.03,
        "parallax_error": np.full(stars, 0.05, dtype=np.float32),
        "has_rvs": np.full(stars, rvs),
        "has_xp": np.ones(stars, dtype=bool),
        "has_photometry": np.ones(stars, dtype=bool),
        "has_parallax": np.ones(stars, dtype=bool),
        "rvs_spec_sig_to_noise": np.full(stars, 20.0 if rvs else np.nan, dtype=np.float32),
    }
    observed = labels + rng.normal(size=(stars, 5)) * label_error
    shares = [0.6, 0.15, 0.15, 0.1]
    return TrainingArrays(
        block=block,
        labels=observed.astype(np.float32),
        label_error=label_error.astype(np.float32),
        split=rng.choice(len(Split), size=stars, p=shares).astype(np.uint8),
    )


def scale(data: TrainingArrays) -> Scaling:
    fit = data.subset(Split.FIT)
    labels, _ = design_labels(fit.labels, fit.label_error)
    columns = {**design_features(fit.block), "labels": labels}
    with warnings.catch_warnings():
        # A label or an input that no star has is a column of NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        statistics = {
            name: (np.nanmean(values, axis=0), np.nanstd(values, axis=0))
            for name, values in columns.items()
        }
    return Scaling.from_statistics(statistics)


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
        xp_components=8,
        rvs_components=8,
        xp_filters=2,
        rvs_channels=(2, 2, 4, 4),
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
