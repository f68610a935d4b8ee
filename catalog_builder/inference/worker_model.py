"""One model per worker process, loaded once, for workers that join late too."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from distributed import Worker, WorkerPlugin

from catalog_builder.ground.errors import ModelError

if TYPE_CHECKING:
    from catalog_builder.model.ensemble import Estimator


class ModelPlugin(WorkerPlugin):  # type: ignore[misc] # Dask has no types
    """Loads the model when a worker starts, so that its first task need not wait for it.

    A plugin whose ``setup`` raises is only logged by Dask and its worker joins all the same; so
    every task asks :func:`worker_model` for the model of its plan, which loads it if need be and
    fails loudly if it is another one.
    """

    def __init__(self, path: Path, digest: str) -> None:
        self.path, self.digest = path, digest
        self.name = f"model-{digest[:16]}"

    def setup(self, worker: Worker) -> None:
        """Load the model into this worker's process."""
        del worker
        worker_model(self.path, self.digest)


@functools.lru_cache(maxsize=1)
def worker_model(path: Path, digest: str) -> Estimator:
    """Return this process's model, loading it on first use.

    Raises
    ------
    ModelError
        If the model at `path` is damaged, or is another one than the plan's.
    """
    from catalog_builder.model.ensemble import Estimator

    estimator = Estimator.load(path)
    if estimator.digest != digest:
        raise ModelError(
            f"The model at {path} has digest {estimator.digest}, the plan needs {digest}.",
            "It changed while the run was going on; start the command again.",
        )
    return estimator
