"""What a run says of itself: in its model's document, and in RELEASE.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from catalog_builder.catalog import origins, provenance
from catalog_builder.catalog.credit import credit_owed, with_entry
from catalog_builder.catalog.credit_record import Credit
from catalog_builder.catalog.incidents import collect_incidents
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.side_table import SideTable
from catalog_builder.ground.digests import digest_json
from catalog_builder.run.crossing import Crossing
from catalog_builder.run.protocol import Run
from catalog_builder.runtime.receipts import Receipt

#: The parts of the configuration that shape the catalogue's content.
_SCIENCE: Final = {"release", "seed", "ingest", "training", "model", "predict", "publish"}


def provenance_of(run: Run, crossing: Crossing, training: Receipt) -> dict[str, Any]:
    """Return what a model's document says of the stars that it was trained on."""
    taken = {match.task for match in run.matches if match.rows_out}
    features = [receipt for receipt in run.features if receipt.task in taken]
    return origins.provenance_of_model(
        run.release,
        run.survey,
        features,
        run.taught[0],
        training,
        run.config.seed,
        crossing.read,
    )


def credit_facts(
    run: Run, origin: dict[str, Any], schema: CatalogSchema, beside: Iterable[SideTable] = ()
) -> dict[str, Any]:
    """Return whom users of the catalogue cite and thank; its own entry follows with its version."""
    settings = run.config.publish
    credit = credit_owed(
        {**origin, "release": run.release.name},
        [
            *(column.name for column in schema.all_columns),
            *(column.name for table in beside for column in table.columns),
        ],
        [run.release, run.survey],
        creators=settings.creators,
        license=settings.license,
        year=settings.year,
    )
    return credit.model_dump(mode="json")


def record_of(
    run: Run,
    crossing: Crossing,
    edition: str,
    books: dict[str, Any],
    inputs: dict[str, str],
    origin: dict[str, Any],
    beside: Sequence[Receipt] = (),
) -> dict[str, Any]:
    """Return the facts of RELEASE.json that are not read from the files."""
    facts = {
        **origin,
        "release": run.release.name,
        "version": edition,
        "software": provenance.software_versions(),
        "model_digest": run.model.digest,
    }
    credit = with_entry(Credit.model_validate(origin["credit"]), facts)
    return {
        **facts,
        "credit": credit.model_dump(mode="json"),
        "config_digest": digest_json(run.config.model_dump(mode="json", include=_SCIENCE)),
        "inputs": inputs,
        "metrics": run.model.metrics,
        "accounting": books,
        "sun": run.config.predict.galaxy.model_dump(mode="json"),
        "alarms": None if run.compared is None else run.compared.model_dump(mode="json"),
        "incidents": collect_incidents(
            [*run.features, *beside],
            run.given_up,
            run.archive,
            run.taught,
            run.matches,
            run.counts,
            crossing.translated,
        ),
    }
