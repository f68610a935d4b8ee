"""A sample of the archive that a model was trained on, answered by the model when it is made.

All stars count, with and without labels: a catalogue is mostly of the latter. A hash of the ids
chooses, so that the sample is the same however the archive is cut and read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from catalog_builder.contract.schema import TRAINING, CatalogSchema
from catalog_builder.features.population import InputCollector
from catalog_builder.features.store import Block, FeatureStore, stars_of
from catalog_builder.model.estimator import Estimator
from catalog_builder.model.judged import judged
from catalog_builder.model.population import Answers, Population
from catalog_builder.model.taught import TaughtStars
from catalog_builder.training.arrays import completed
from catalog_builder.training.split import uniform_hash

#: Stars of the sample, about: the error of a share is at most 0.008, and a model takes a second
#: for them.
SAMPLE_STARS: Final = 4000
#: Stars that are held at once.
_BLOCK: Final = 1024
# Far from the seeds of splits and folds, which are hashed in the same way.
_KEY: Final = 0x3A11_5EED_0A1A_2026


@dataclass(frozen=True)
class TrainingArchive:
    """Feature stores that a model was trained on, all or some, spread over the sky.

    Attributes
    ----------
    stores : sequence of Path
        Feature stores.
    stars : int
        In these stores.
    release : str
        Whose identifiers they have.
    """

    stores: Sequence[Path]
    stars: int
    release: str


def measure(estimator: Estimator, archive: TrainingArchive) -> Population:
    """Have a model answer a sample of its archive, and count.

    Parameters
    ----------
    estimator : Estimator
        The model, with those of its folds.
    archive : TrainingArchive
        What to draw from. About `SAMPLE_STARS` are read, some at a time.
    """
    schema = CatalogSchema.of(estimator.contract)
    inputs = estimator.contract.inputs
    collector, answers, own = InputCollector(inputs), Answers(schema), Answers(schema)
    size = estimator.document.settings.validation_batch_size
    share = min(1.0, SAMPLE_STARS / max(1, archive.stars))
    for store in archive.stores:
        for read in _sample(store, share):
            block = dict(completed(read, inputs))
            for name in inputs.spectra:
                has = block[f"has_{name}"]
                arrays = [key for key in _arrays(name) if key in block]
                collector.add_spectra(name, {key: block[key][has] for key in arrays})
            collector.add_sources(block)
            said = judged(block, estimator.predict(block, size), estimator, schema)
            answers.add({**block, **said})
            for who, some in _who_answers(estimator, block, archive.release):
                known = {**some, TRAINING[0]: np.full(len(some["source_id"]), who is not estimator)}
                own.add({**known, **judged(some, who.predict(some, size), who, schema)})
    return Population(
        archive=archive.stars,
        inputs=collector.counts(),
        answers=answers.counts(),
        own=own.counts(),
    )


def _arrays(name: str) -> tuple[str, ...]:
    return (f"{name}_flux", f"{name}_flux_error", f"{name}_mask")


def _sample(path: Path, share: float) -> Iterator[Block]:
    store = FeatureStore(path)
    chosen = np.flatnonzero(uniform_hash(store.column("source_id"), _KEY) < share)
    for start in range(0, len(chosen), _BLOCK):
        yield store.read(chosen[start : start + _BLOCK].astype(np.int64))


def _who_answers(
    estimator: Estimator, block: Block, release: str
) -> Iterator[tuple[Estimator, Block]]:
    """Yield the models that answer for a block's stars, as in a catalogue, and whose."""
    stars = estimator.taught or TaughtStars.nobody()
    fold = stars.find(stars_of(block), release).fold
    fold = np.where(fold < len(estimator.folds), fold, len(estimator.folds))
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        own = {name: values[rows] for name, values in block.items()}
        yield (*estimator.folds, estimator)[number], own
