"""The steps of a run in their order, what each makes, and the stages that it is made of."""

from __future__ import annotations

from catalog_builder.run.config import RunConfig

#: The steps in order, each also a command, and what it makes: a property of the pipeline.
MAKES = {
    "ingest": "features",
    "training-set": "training",
    "train": "model",
    "predict": "predictions",
    "publish": "catalogue",
}
STEPS = tuple(MAKES)
#: The stages of each step, by which `status` shows how far it is.
STAGES = {
    "ingest": ("ingest", "count", "census"),
    "training-set": ("labels", "neighbours", "crosswalk", "match", "training-set"),
    "train": ("train", "model", "recalibrate"),
    "predict": ("taught", "predict", "compare", "measure"),
    "publish": ("publish-chunks", "publish"),
}


def steps_of(config: RunConfig) -> tuple[str, ...]:
    """Return the steps of a whole run; with a model given there is nothing to learn."""
    if config.model_path is None or config.recalibrate:
        return STEPS
    return tuple(step for step in STEPS if step not in ("training-set", "train"))
