"""What stops a run: columns that nothing fills, too many sources that could not be predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.inputs import PARALLAX
from catalog_builder.contract.places import colours_of
from catalog_builder.contract.schema import (
    PRIOR_SHARE,
    TRAINING,
    CatalogSchema,
    correlation_column,
    label_columns,
)
from catalog_builder.contract.units import same_unit
from catalog_builder.galaxy.columns import DIRECTION, PLACE
from catalog_builder.galaxy.label_distance import SPECTROPHOTOMETRIC
from catalog_builder.galaxy.motions import MOTION
from catalog_builder.ground.errors import ClusterError, ConfigError, ModelError
from catalog_builder.ground.resources import schemas_dir
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
    # Spectra that the release description calls too faint are left out on purpose.
    meant = rejected.get(RejectReason.BELOW_LEAST_SIG_TO_NOISE, 0)
    together = sum(rejected.values()) - meant
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


def refuse_other_columns(schema: CatalogSchema, release: ReleaseSpec) -> list[str]:
    """Find out which columns cannot be filled, before anything is ingested or trained.

    Parameters
    ----------
    schema : CatalogSchema
        Of the catalogue.
    release : ReleaseSpec
        Of the archive, from whose tables columns are copied.

    Returns
    -------
    list of str
        Columns that the release does not describe, and that are null for every star.

    Raises
    ------
    ConfigError
        If a column is neither made here nor described by the release and has no null, or is in
        another unit there; the message names it.
    """
    described = {
        name: column
        for table in release.looked_up
        for name, column in release.tables[table].columns.items()
    }
    filled = {*_made(schema), *described, *release.measured_errors}
    # Of magnitudes that the release does not have, the errors are no news.
    bands = (band.column for band in schema.inputs.bands)
    filled |= {f"{band}_error" for band in bands if band not in described}
    absent = [name for name in schema.names if name not in filled]
    if lacking := [name for name in absent if not schema[name].nullable]:
        raise ConfigError(
            f"The catalogue has the columns {', '.join(lacking)}, copied from the archive, but"
            f" release {release.name} describes none of that name in"
            f" {' or '.join(release.looked_up)}.",
            "Describe them there, with the name in the files under `names`, or take them out of"
            f" {schemas_dir() / 'catalog.yaml'}.",
        )

    labels = {name for label in schema.labels.names for name in label_columns(label)}
    for column in schema.columns:
        found = None if column.name in labels else described.get(column.name)
        if found is not None and found.unit and not same_unit(found.unit, column.unit):
            table = release.home_of(column.name)
            raise ConfigError(
                f"tables.{table}.columns.{column.name} of release {release.name} is in"
                f" {found.unit!r}; the catalogue has it in {column.unit or 'none'!r}.",
                "Nothing is converted: correct the unit, or describe a column that has it.",
            )
    return absent


def _made(schema: CatalogSchema) -> Iterator[str]:
    """Yield the columns that follow from labels and inputs, those of absent inputs as well."""
    labels, inputs = schema.labels.names, schema.inputs
    yield from (
        "source_id",
        "quality_tier",
        PRIOR_SHARE,
        *TRAINING,
        *DIRECTION,
        *SPECTROPHOTOMETRIC,
        *schema.flags.columns,
        *distances_of(inputs),
    )
    yield from (column for label in labels for column in label_columns(label))
    yield from (correlation_column(*pair) for pair in combinations(labels, 2))
    yield from (f"{name}_map_{axis}" for name in inputs.lines for axis in "xy")
    yield from (f"has_{name}" for name in inputs.names)
    yield from (one.sig_to_noise for one in inputs.spectra.values() if one.sig_to_noise)
    yield from (band.column for band in inputs.bands)
    yield from (colour.column for colour in colours_of(inputs))
    if inputs.parallax:
        yield from (PARALLAX, f"{PARALLAX}_corrected", f"{PARALLAX}_error", *PLACE, *MOTION)
