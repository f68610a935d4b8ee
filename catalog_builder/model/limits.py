"""The tests of a model's selection, made from the training stars and set on stars kept back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor

from catalog_builder.model.answers import Contradictions
from catalog_builder.model.arrays import batches
from catalog_builder.model.gauge import Gauge
from catalog_builder.model.inputs import Block, Split, Stars, TrainingArrays
from catalog_builder.model.latent import Spectra, SpectrumModel
from catalog_builder.model.map import SpectrumMap
from catalog_builder.model.residual import matched_filters
from catalog_builder.model.selection import (
    SPECTRA,
    WITHOUT_RVS,
    Place,
    Selection,
    Statistic,
    spectra_of,
)
from catalog_builder.model.settings import ModelSettings

# Components of each input, and the leading ones in which near training stars are looked for: the
# faint ones hold details in which nobody is near anybody.
_COMPONENTS = {"rvs": 40, "xp": 20}
_LEADING = {"rvs": 8, "xp": 8}
# Training spectra that the components are fitted to, at most: more would only cost memory.
_FIT_STARS = 12_000
# Spectra per component, and stars per gauge, below which there is no test.
_STARS_PER_COMPONENT, _GAUGE_STARS = 10, 50
# Components above the noise, without which no map can be drawn.
_DRAWN = 2
_SEED = 18


def fit_selection(
    answers: Callable[[Block], Contradictions], data: TrainingArrays, settings: ModelSettings
) -> Selection:
    """Make the tests of a model.

    Parameters
    ----------
    answers : callable
        What the trained networks say against each other about a feature block's stars.
    data : TrainingArrays
        The fit stars make the spaces; the validation and calibration stars, which no gradient saw,
        set the limits. Test stars are not looked at.
    settings : ModelSettings
        Rate of ordinary stars beyond each limit, and number of landmarks.
    """
    places: dict[str, Place] = {}
    filters: dict[str, Tensor] = {}
    for name in SPECTRA:
        spectra = _training_spectra(data, name)
        count = min(_COMPONENTS[name], len(spectra.flux) // _STARS_PER_COMPONENT)
        if count < _LEADING[name]:
            continue
        model, components = SpectrumModel.fit(spectra, count)
        if components.shape[1] < _DRAWN:
            continue
        chosen = torch.randperm(len(components), generator=Generator().manual_seed(_SEED))
        landmarks = components[chosen[: settings.map_stars], : _LEADING[name]].contiguous()
        places[name] = Place(model, landmarks)
        if name == "rvs":
            filters = matched_filters(model, components, _SEED)
    chart = SpectrumMap.fit(places["rvs"].landmarks, _SEED) if "rvs" in places else None
    draft = Selection(places, filters, chart)
    held = data.subset(Split.VALIDATION, Split.CALIBRATION).block
    hidden = {**held, "has_rvs": np.zeros_like(held["has_rvs"])}
    seen = _statistics(draft, held, answers, settings.validation_batch_size)
    blind = _statistics(draft, hidden, answers, settings.validation_batch_size)
    seen |= {name: blind[name] for name in (WITHOUT_RVS,) if name in blind}
    gauges = {
        name: Gauge.fit(statistic.values, statistic.noise, settings.false_flag_rate)
        for name, statistic in seen.items()
        if len(statistic.rows) >= _GAUGE_STARS and statistic.values.any()
    }
    return replace(draft, gauges=gauges)


def _training_spectra(data: TrainingArrays, name: str) -> Spectra:
    rows = np.flatnonzero((data.split == Split.FIT) & data.block[f"has_{name}"])
    if len(rows) > _FIT_STARS:
        rows = rows[np.linspace(0, len(rows) - 1, _FIT_STARS).astype(np.int64)]
    block = {key: values[rows] for key, values in data.block.items()}
    return spectra_of(Stars.from_block(block, spectra=(name,)), name)


def _statistics(
    draft: Selection, block: Block, answers: Callable[[Block], Contradictions], size: int
) -> dict[str, Statistic]:
    """Return the raw statistics of a block's stars, a batch at a time; rows count in each batch."""
    parts = [
        draft.measure(Stars.from_block(part), answers(part)).statistics
        for part in batches(block, size)
    ]
    names = parts[0] if parts else ()
    return {
        name: Statistic(*map(np.concatenate, zip(*(part[name] for part in parts), strict=True)))
        for name in names
    }
