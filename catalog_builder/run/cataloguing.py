"""The last step of a run: what predictions are published as, and with which facts."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from catalog_builder.catalog import origins, provenance
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.inference.limits import refuse_lost_predictions
from catalog_builder.publish import stage as publishing
from catalog_builder.publish.edition import accounting, compared_by
from catalog_builder.publish.selection import SelectionPlan, plan_selection
from catalog_builder.publish.taught import taught_table
from catalog_builder.run.alarms import alarms_of
from catalog_builder.run.beside import tables_beside
from catalog_builder.run.crossing import Crossing
from catalog_builder.run.facts import credit_facts, record_of
from catalog_builder.run.protocol import Run
from catalog_builder.run.verdict import checked_by, labels_of, verdict_facts
from catalog_builder.runtime.receipts import Receipt


def make_catalogue(
    run: Run, crossing: Crossing, schema: CatalogSchema, census: Sequence[Receipt]
) -> Receipt:
    """Publish what a run predicted; return the receipt of the seal.

    Parameters
    ----------
    run : Run
        Its predictions are made now, if they are not there.
    crossing : Crossing
        The run's crosswalks.
    schema : CatalogSchema
        Columns of the catalogue.
    census : sequence of Receipt
        Counts of partitions without features.

    Raises
    ------
    CatalogBuilderError
        If rows were lost, or the chunks are not the catalogue.
    """
    predictions, model, settings = run.predictions, run.model, run.config.publish
    if crossing.checks_labels or crossing.measures:
        _ = run.matched  # whichever steps this run is of: an edition is known by its labels
    labels = labels_of(run)
    books = accounting(run.features, census, predictions)
    refuse_lost_predictions(books, model.path, run.config.ingest.max_rejected)
    origin = {
        **origins.origin_of_catalogue(run.release, [*run.features, *census], model),
        **crossing.facts(),
    }
    beside = tables_beside(run)
    origin["credit"] = credit_facts(run, origin, schema, beside.tables)
    inputs = provenance.input_digests(
        [*run.features, *run.taught, *crossing.read, *beside.receipts]
    )
    counts = {name: count.model_dump() for name, count in run.counts.items()}
    selection = _selection(run, schema)
    edition = publishing.edition_of(
        predictions,
        {
            **books,
            **({"counts": counts} if counts else {}),
            **alarms_of(run.compared),
            **compared_by(settings),
            **(selection.facts if selection else {}),
            **beside.facts,
        },
        inputs,
        model.digest,
        schema,
        settings,
        run.release.name,
        run.config.version,
        origin,
        checked_by(run.config.checks, run.config.alarms, labels),
    )
    context = publishing.PublishContext(
        *(run.workdir, schema, settings, edition),
        record_of(run, crossing, edition.name, books, inputs, origin, beside.receipts),
        verdict=verdict_facts(run, schema),
        cells=selection.grid if selection else None,
        tables=beside.tables,
        taught=taught_table(run.survey, schema) if run.matches else None,
        survey_labels=run.survey.declared.names if run.matches else (),
    )
    step = functools.partial(run.step, "publish")
    chunks = publishing.plan_chunk_tasks(edition, predictions, settings, labels, beside.values)
    seal = publishing.plan_seal(edition, chunks, selection)
    plan = origins.of_any_stars(seal, predictions)
    if run.driver.unfinished(plan) and not edition.folder(run.workdir).exists():
        context = publishing.prepare_store(context, predictions)
        step(publishing.CHUNKS, context, origins.of_any_stars(chunks, predictions))
    (sealed,) = step(publishing.SEAL, context, plan)
    return sealed


def _selection(run: Run, schema: CatalogSchema) -> SelectionPlan | None:
    """Return what is counted for the selection function, if it is wanted."""
    if not run.config.publish.selection:
        return None
    return plan_selection(run.release, run.features, schema, run.config.ingest.count_order)
