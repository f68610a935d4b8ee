"""What all parts share: the model, the test sky, its predictions."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from catalog_builder.model.document import read_document
from catalog_builder.training.design import Split
from tests.benchmarks.science.sky import RunOfModel, TestSky
from tests.benchmarks.science.views import predictions


@dataclass(frozen=True)
class Context:
    """One model and one test sky.

    Parameters
    ----------
    workdir : Path
        Run that trained the model.
    archive : Path
        Test sky: a simulated archive of another seed, with its truth.
    out : Path
        Everything made goes here.
    workers : int
        Processes of the test sky's ingest.
    stars : int
        Stars per bin of S/N of the information limit.
    peers : tuple of str
        Which peers to train; none is all.
    real : Path, optional
        Folder of real stars: ``real-dr3`` and ``fixtures``.
    real_workdir : Path, optional
        Run on the real archive.
    """

    workdir: Path
    archive: Path
    out: Path
    workers: int = 1
    stars: int = 1000
    peers: tuple[str, ...] = ()
    real: Path | None = None
    real_workdir: Path | None = None

    @functools.cached_property
    def run(self) -> RunOfModel:
        """The run of the model."""
        return RunOfModel.open(self.workdir)

    @functools.cached_property
    def sky(self) -> TestSky:
        """The test sky, ingested."""
        return TestSky.open(self.archive, self.out / "test-sky", self.run, self.workers)

    @functools.cached_property
    def predictions(self) -> pl.DataFrame:
        """Predictions of the test sky and its truth, one row per star."""
        return predictions(self.sky, self.run, self.out)

    def identity(self) -> dict[str, Any]:
        """Return what the results of every part depend on."""
        truth = json.loads((self.archive / "truth" / "about.json").read_text())
        real = None if self.real_workdir is None else RunOfModel.open(self.real_workdir).digest
        return {"model": self.run.digest, "sky": truth, "real": real}

    def about(self) -> dict[str, Any]:
        """Return what a reader must know: sizes, seeds, the model."""
        import zarr

        document = read_document(self.run.model)
        group = zarr.open_group(self.run.training_store(), mode="r")
        split = np.asarray(group["split"][:])  # type: ignore[index]
        sky = json.loads((self.archive / "truth" / "about.json").read_text())
        return {
            "model": self.run.digest,
            "members": len(document.weights),
            "epochs": document.settings.epochs,
            "training_seconds": self.run.training_seconds(),
            "labelled": {one.name.lower(): int(np.sum(split == one)) for one in Split},
            "test_sky": {name: sky[name] for name in ("release", "seed", "stars")},
        }
