"""The stars of a partition that taught the model: who they are, and who answers for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.store import Block
from catalog_builder.galaxy.settings import GalaxySettings
from catalog_builder.inference.columns import Columns, catalogue_columns, unanswered
from catalog_builder.model.ensemble import Estimator
from catalog_builder.model.taught import NO_FOLD, Known, TaughtStars
from catalog_builder.stores.whole_store import WholeStore, named
from catalog_builder.training.arrays import Split


@dataclass(frozen=True)
class Answers:
    """Rows of a partition that the ensemble does not answer: which, and what they hold."""

    rows: NDArray[np.int64]
    columns: Columns
    failed: NDArray[np.bool_]

    @classmethod
    def together(cls, parts: Sequence[Answers]) -> Answers:
        """Return several as one, in the order of their rows."""
        rows = np.concatenate([part.rows for part in parts])
        order = np.argsort(rows)
        columns = {
            name: np.concatenate([part.columns[name] for part in parts])[order]
            for name in parts[0].columns
        }
        failed = np.concatenate([part.failed for part in parts])[order]
        return cls(rows[order], columns, failed)

    def replace(self, start: int, columns: Columns, failed: NDArray[np.bool_]) -> None:
        """Put them in the place of the ensemble's among the rows from `start` on."""
        first, last = np.searchsorted(self.rows, (start, start + len(failed)))
        at = self.rows[first:last] - start
        failed[at] = self.failed[first:last]
        for name, values in self.columns.items():
            columns[name][at] = values[first:last]


class Taught:
    """The stars of a partition that taught the model, held until they are answered together.

    Parameters
    ----------
    known : Known
        Of each source of the partition.
    estimator : Estimator
        The model, with those of its folds.
    """

    def __init__(self, known: Known, estimator: Estimator) -> None:
        self._known, self._folds = known, estimator.folds
        self._held: list[tuple[NDArray[np.int64], Block]] = []

    @classmethod
    def of(
        cls,
        ids: NDArray[np.int64],
        estimator: Estimator,
        source_id_release: str,
        known: Path | None = None,
    ) -> Taught:
        """Look the ids of sources up: in the model, or in what a crosswalk found."""
        if known is not None:
            return cls(_find(known, ids), estimator)
        stars = estimator.taught or TaughtStars.nobody()
        return cls(stars.find(ids, source_id_release), estimator)

    def __len__(self) -> int:
        """Return how many stars are held."""
        return sum(len(rows) for rows, _ in self._held)

    def hold(self, start: int, block: Mapping[str, NDArray[np.generic]]) -> Block:
        """Hold those of a block's stars that taught, from row `start` of the partition on.

        Returns
        -------
        Block
            With what each star was used for in training.
        """
        rows = slice(start, start + len(block["source_id"]))
        split = self._known.split[rows]
        teachers = [1 + each for each in Split if each is not Split.TEST]
        told = {"in_training_sample": np.isin(split, teachers), "training_split": split}
        known: Block = {**block, **told}
        at = np.flatnonzero(self._known.fold[rows] < len(self._folds))
        if len(at):
            some = {name: values[at] for name, values in known.items()}
            self._held.append((start + at, some))
        return known

    def answers(
        self, schema: CatalogSchema, batch_size: int, galaxy: GalaxySettings | None = None
    ) -> Answers:
        """Return the rows of the stars that are held, and hold them no longer.

        Each is given by the model that was trained without its fold.
        """
        if not self._held:
            return Answers(np.empty(0, np.int64), {}, np.empty(0, bool))
        rows = np.concatenate([rows for rows, _ in self._held])
        block = {
            name: np.concatenate([some[name] for _, some in self._held])
            for name in self._held[0][1]
        }
        self._held = []
        fold = self._known.fold[rows]
        parts = []
        for number in np.unique(fold):
            at, model = np.flatnonzero(fold == number), self._folds[number]
            own = {name: values[at] for name, values in block.items()}
            prediction = model.predict(own, batch_size)
            columns = catalogue_columns(own, prediction, model, schema, galaxy)
            parts.append(Answers(rows[at], columns, unanswered(columns, prediction, model)))
        return Answers.together(parts)


def _find(known: Path, source_id: NDArray[np.int64]) -> Known:
    """Look stars up in the store of those that taught a model of another release."""
    with named(known, "store of stars that taught"):
        group = zarr.open_group(WholeStore(known), mode="r")
        ids, split, fold = (np.asarray(group[name][:]) for name in ("source_id", "split", "fold"))  # type: ignore[index]
    place = np.searchsorted(ids, source_id).clip(max=max(len(ids) - 1, 0))
    hit = ids[place] == source_id if len(ids) else np.zeros(len(source_id), bool)
    found = Known(
        np.zeros(len(source_id), np.uint8), np.full(len(source_id), NO_FOLD, dtype=np.uint8)
    )
    found.split[hit], found.fold[hit] = split[place[hit]], fold[place[hit]]
    return found
