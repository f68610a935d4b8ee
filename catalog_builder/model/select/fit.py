"""The tests of a model's selection, made from the training stars and set on stars kept back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Generator

from catalog_builder.model.net.answers import Contradictions
from catalog_builder.model.select.check import LEADING, blind_names
from catalog_builder.model.select.gauge import Gauge
from catalog_builder.model.select.latent import Spectra, SpectrumModel
from catalog_builder.model.select.map import SpectrumMap
from catalog_builder.model.select.residual import matched_filters
from catalog_builder.model.select.selection import Place, Selection, Statistic, spectra_of
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.arrays import batches
from catalog_builder.training.design import Block, Split, Stars, TrainingArrays

# Components of each kind of spectra at most.
_COMPONENTS = {"lines": 40, "low_resolution": 20}
# Training spectra that the components are fitted to, at most: more would only cost memory.
_FIT_STARS = 12_000
# Spectra per component, and stars per gauge, below which there is no test.
_STARS_PER_COMPONENT, _GAUGE_STARS = 10, 50
# Components above the noise, without which no map can be drawn.
_DRAWN = 2
_SEED = 18


#: What trained networks say against each other about a feature block's stars.
Answers = Callable[[Block], Contradictions]
#: Statistics by the name of their gauge.
Statistics = dict[str, Statistic]


def statistics_of(
    draft: Selection, answers: Answers, held: Block, settings: ModelSettings
) -> Statistics:
    """Return the raw statistics of stars that a model did not see, as its limits need them."""
    size = settings.validation_batch_size
    seen: Statistics = {}
    for gone, gauge in blind_names(draft.inputs):
        hidden = {f"has_{name}": np.zeros_like(held[f"has_{name}"]) for name in gone}
        found = _statistics(draft, {**held, **hidden}, answers, size)
        seen |= found if not gone else {gauge: found[gauge]} if gauge in found else {}
    return seen


def limited(
    draft: Selection, own: Statistics, others: Sequence[Statistics], settings: ModelSettings
) -> Selection:
    """Return tests with their limits.

    Parameters
    ----------
    draft : Selection
        Without limits.
    own : dict of str to Statistic
        Of stars by these tests; says no more than which there are.
    others : sequence of dict of str to Statistic
        Of strangers, by tests of the same kind: the limits follow from them.
    settings : ModelSettings
        Rate of ordinary stars beyond each limit.
    """
    gauges = {}
    for name, like in own.items():
        columns = like.values.shape[1]
        known = [one[name] for one in others if name in one]
        # A model of few spectra has fewer components, and can have fewer statistics of them.
        found = [one for one in known if one.values.shape[1] == columns]
        if sum(len(one.rows) for one in found) < _GAUGE_STARS:
            continue
        values = np.concatenate([one.values for one in found])
        if values.any():
            noise = np.concatenate([one.noise for one in found])
            gauges[name] = Gauge.fit(values, noise, settings.false_flag_rate)
    return replace(draft, gauges=gauges)


def fit_spaces(
    data: TrainingArrays, settings: ModelSettings, drawn: Selection | None = None
) -> Selection:
    """Return tests without limits: spaces, filters and maps of all spectra there are enough of.

    Parameters
    ----------
    data : TrainingArrays
        The fit stars make them; others are not looked at.
    settings : ModelSettings
        Number of landmarks.
    drawn : Selection, optional
        With maps on which the landmarks are put; else maps are drawn of them.
    """
    inputs = data.contract.inputs
    draft = Selection(inputs)
    for name, spectrum in inputs.spectra.items():
        spectra = _training_spectra(data, name)
        most = min(_COMPONENTS[spectrum.kind], spectrum.samples)
        count = min(most, len(spectra.flux) // _STARS_PER_COMPONENT)
        if count < LEADING or (drawn is not None and name not in drawn.places):
            continue
        model, components, numbers = SpectrumModel.fit(spectra, count)
        if components.shape[1] < _DRAWN:
            continue
        chosen = torch.randperm(len(components), generator=Generator().manual_seed(_SEED))
        chosen = chosen[: settings.map_stars]
        landmarks = components[chosen, :LEADING].contiguous()
        draft.places[name] = Place(model, landmarks)
        if spectrum.kind == "lines":
            draft.filters[name] = matched_filters(model, spectrum.grid, components, _SEED)
            draft.maps[name] = (
                SpectrumMap.fit(landmarks, _SEED)
                if drawn is None
                else SpectrumMap.on(
                    drawn.maps[name],
                    drawn.places[name].near(spectra.take(numbers[chosen])),
                    landmarks,
                )
            )
    return draft


def _training_spectra(data: TrainingArrays, name: str) -> Spectra:
    rows = np.flatnonzero((data.split == Split.FIT) & data.block[f"has_{name}"])
    if len(rows) > _FIT_STARS:
        rows = rows[np.linspace(0, len(rows) - 1, _FIT_STARS).astype(np.int64)]
    block = {key: values[rows] for key, values in data.block.items()}
    return spectra_of(Stars.from_block(block, data.contract.inputs, spectra=(name,)), name)


def _statistics(
    draft: Selection, block: Block, answers: Callable[[Block], Contradictions], size: int
) -> dict[str, Statistic]:
    """Return the raw statistics of a block's stars, a batch at a time; rows count in each batch."""
    parts = [
        draft.measure(Stars.from_block(part, draft.inputs), answers(part)).statistics
        for part in batches(block, size)
    ]
    names = parts[0] if parts else ()
    return {
        name: Statistic(*map(np.concatenate, zip(*(part[name] for part in parts), strict=True)))
        for name in names
    }
