"""How many sources a catalogue may lack because they could not be predicted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalog_builder.ground.errors import ClusterError, ModelError
from catalog_builder.inference.stage import PARTITION_NOT_PREDICTED, PREDICTION_FAILED


def refuse_lost_predictions(books: Mapping[str, Any], model: Path, limit: float) -> None:
    """Stop a run before it publishes, if too few sources could be predicted.

    Parameters
    ----------
    books : mapping
        ``requested``, ``published`` and ``rejected`` sources.
    model : Path
        The model directory, for the message.
    limit : float
        The largest share of the requested sources that may be rejected, before and here together.

    Raises
    ------
    ModelError
        If the model gives no finite answer to most of those that are lost here.
    ClusterError
        If most of them are in partitions that were not predicted.
    """
    rejected, requested = books["rejected"], books["requested"]
    failed = rejected.get(PREDICTION_FAILED, 0)
    lost = failed + rejected.get(PARTITION_NOT_PREDICTED, 0)
    together = sum(rejected.values())
    if not lost or together <= limit * requested:
        return
    problem = (
        f"{lost} of {requested} sources could not be predicted; with the {together - lost} rejected"
        f" before they are more than the share of {limit:g} that ingest.max_rejected allows."
    )
    if 2 * failed > lost:
        raise ModelError(
            f"{problem} To {failed} the model {model} gives no finite answer.",
            "Take another model; or look at some of these sources with `catalog-builder explain`"
            " and raise ingest.max_rejected if they are rightly left out.",
        )
    raise ClusterError(
        problem,
        "`catalog-builder status` gives the reasons; put them right (more memory, say) and give"
        " the command with --retry-quarantined.",
    )
