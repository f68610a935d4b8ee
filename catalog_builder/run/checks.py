"""What is found out before a run begins, so that nothing is wrong after days of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog_builder.catalog.exports import formats_of
from catalog_builder.comparing.drift import check_drift
from catalog_builder.contract.words import listed
from catalog_builder.inference.limits import refuse_other_columns
from catalog_builder.publish.edition import refuse_other_order
from catalog_builder.run.budgets import label_rows

if TYPE_CHECKING:
    from catalog_builder.run.pipeline import Pipeline


def check_settings(pipeline: Pipeline) -> None:
    """Find out what is wrong with the archive, model or labels before days of ingest.

    Raises
    ------
    CatalogBuilderError
        Of whatever part of the run cannot be done.
    """
    _ = pipeline.partitions
    _ = pipeline.readable_release
    if pipeline.config.model_path is not None and pipeline.wanted & {"predict", "publish"}:
        _ = pipeline.given
    elif "training-set" in pipeline.wanted:
        pipeline.config.model.refuse_too_large(pipeline.contract)
        _warn_of_few_labels(pipeline)
    pipeline.crossing.check()
    if pipeline.wanted & {"training-set", "predict", "publish"}:
        absent = refuse_other_columns(pipeline.schema, pipeline.release)
        if absent:
            pipeline.driver.events.warn(
                f"release {pipeline.release.name} describes no {listed(absent, 'or')}: null for"
                " every star of the catalogue"
            )
    if "publish" in pipeline.wanted:
        refuse_other_order(pipeline.release)
        formats_of(pipeline.config.publish.formats, pipeline.schema)
        settings = pipeline.config.publish
        if settings.drift_from is not None:
            check_drift(settings.drift_from, pipeline.release.name, settings.drift_crosswalk)


def _warn_of_few_labels(pipeline: Pipeline) -> None:
    """Warn where the survey has fewer rows than it takes for a label to be taught."""
    rows, config = label_rows(pipeline.label_file), pipeline.config
    if rows is None or "train" not in pipeline.wanted:
        return
    shares = config.training
    fit = int(rows * (1.0 - shares.validation - shares.calibration - shares.test))
    least = config.model.min_label_stars
    if fit < least:
        pipeline.driver.events.warn(
            f"{rows:,} label rows, of which about {fit:,} at most are fit stars; a label needs"
            f" {least:,} (model.min_label_stars) and may not be trained. For a trial,"
            f" `--set model.min_label_stars={max(1, fit // 4)}`"
        )
