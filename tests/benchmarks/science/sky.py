"""The test sky: features by the program's own ingest, and the truth beside them.

This is the only room that reads truth. Nothing here is trained on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from catalog_builder.features.store import Block, FeatureStore
from catalog_builder.ground.errors import InputError
from catalog_builder.run.config import RunConfig, load_config
from catalog_builder.run.runs import run_steps
from catalog_builder.simulate.population.truth import LABEL_LIMITS
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.writing import apogee
from catalog_builder.training.split import uniform_hash

#: Rows in memory at a time.
BLOCK_ROWS = 1024
#: Seed of the thinning that turns a sky into the population of the training stars.
_POPULATION_SEED = 5


@dataclass(frozen=True)
class RunOfModel:
    """A workdir with a trained model.

    Parameters
    ----------
    workdir : Path
        Of the run.
    model : Path
        The model directory.
    digest : str
        Of the model.
    config : dict
        The run's settings.
    """

    workdir: Path
    model: Path
    digest: str
    config: dict[str, Any]

    @classmethod
    def open(cls, workdir: Path) -> RunOfModel:
        """Find the model that a workdir's last receipt names.

        Raises
        ------
        InputError
            If there is none.
        """
        file = workdir / "receipts" / "model" / "ensemble.json"
        if not file.is_file():
            raise InputError(
                f"{workdir} holds no trained model.", "Train one with `catalog-builder run`."
            )
        receipt = json.loads(file.read_text())
        return cls(
            workdir=workdir,
            model=workdir / receipt["output"],
            digest=receipt["output_digest"],
            config=json.loads((workdir / "config.json").read_text()),
        )

    def training_store(self) -> Path:
        """Path of the training store."""
        files = sorted((self.workdir / "receipts").glob("training*/*.json"))
        receipts = [json.loads(file.read_text()) for file in files]
        found = [self.workdir / one["output"] for one in receipts]
        stores = [path for path in found if _is_training_store(path)]
        if not stores:
            raise InputError(f"{self.workdir} has no training store.", "Run it again.")
        return stores[-1]

    def training_seconds(self) -> list[float]:
        """Return how long each member was trained, s; one worker each."""
        files = sorted((self.workdir / "receipts" / "train").glob("member-*.json"))
        return [json.loads(file.read_text())["seconds"] for file in files]


@dataclass(frozen=True)
class TestSky:
    """An ingested archive whose truth is known.

    Parameters
    ----------
    archive : Path
        Of a simulated sky, with its folder ``truth``.
    stores : tuple of Path
        Feature stores, one per partition.
    """

    archive: Path
    stores: tuple[Path, ...]

    #: Not a test, whatever its name says.
    __test__ = False

    @classmethod
    def open(cls, archive: Path, workdir: Path, run: RunOfModel, workers: int) -> TestSky:
        """Ingest the archive into `workdir` as the model's own run did, unless it was done."""
        config = test_config(archive, workdir, run, workers)
        run_steps(config, ("ingest",), verbosity=-1, echo=lambda _text: None)
        receipts = sorted((workdir / "receipts" / "ingest").glob("*.json"))
        outputs = [json.loads(file.read_text())["output"] for file in receipts]
        return cls(archive, tuple(workdir / output for output in outputs))

    def blocks(self) -> Iterator[Block]:
        """Yield feature blocks of at most `BLOCK_ROWS` stars."""
        for path in self.stores:
            store = FeatureStore(path)
            for start in range(0, len(store), BLOCK_ROWS):
                yield store.read(slice(start, start + BLOCK_ROWS))

    def read(self, source_id: NDArray[np.int64]) -> Iterator[Block]:
        """Yield feature blocks that hold just these stars (ascending ids)."""
        for path in self.stores:
            store = FeatureStore(path)
            rows = np.flatnonzero(np.isin(store.column("source_id"), source_id))
            for start in range(0, len(rows), BLOCK_ROWS):
                yield store.read(rows[start : start + BLOCK_ROWS])

    def truth(self) -> pl.DataFrame:
        """Truth of all its stars, with `population_of_training` added."""
        truth = read_truth(self.archive / "truth")
        return truth.with_columns(pl.Series("like_training", population_of_training(truth)))


def test_config(archive: Path, workdir: Path, run: RunOfModel, workers: int) -> RunConfig:
    """Return the settings of the test sky's ingest: those of the model's run."""
    settings = {
        "release": run.config["release"],
        "archive": str(archive),
        "workdir": str(workdir),
        "cluster.workers": workers,
    }
    same = [f"ingest.{name}={value}" for name, value in run.config["ingest"].items()]
    return load_config(None, same, settings)


test_config.__test__ = False  # type: ignore[attr-defined]


def population_of_training(truth: pl.DataFrame) -> NDArray[np.bool_]:
    """Choose stars as the label survey does, but with dice of its own, and more of them.

    The survey takes a star with a chance that depends on its magnitude and on whether it is a
    giant, inside `LABEL_LIMITS`; these are stars with the same relative chances and no anomaly.
    """
    g = truth["phot_g_mean_mag"].to_numpy()
    weight = np.where(truth["logg"].to_numpy() < 3.8, 1.0, apogee._DWARF_WEIGHT)
    weight = weight * np.clip((apogee._FAINTEST_G - g) / 1.5, 0.0, 1.0)
    inside = truth["anomaly"].to_numpy() == ""
    for name, (low, high) in LABEL_LIMITS.items():
        values = truth[name].to_numpy()
        inside &= (values >= low) & (values <= high)
    chance = uniform_hash(truth["source_id"].to_numpy(), _POPULATION_SEED)
    return np.asarray(inside & (chance < weight))


def _is_training_store(path: Path) -> bool:
    attributes = path / "zarr.json"
    if not attributes.is_file():
        return False
    kind = json.loads(attributes.read_text()).get("attributes", {}).get("kind")
    return bool(kind == "training")
