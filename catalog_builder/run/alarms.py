"""The alarms of a run: its receipts against the population that its model was made for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from catalog_builder.archive.rejects import RejectReason
from catalog_builder.catalog.origins import Model
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.population import inputs_of
from catalog_builder.ground.errors import AlarmError
from catalog_builder.inference.alarm_record import Alarm, Comparison
from catalog_builder.inference.alarms import compare
from catalog_builder.inference.settings import AlarmSettings
from catalog_builder.model.population import answers_of
from catalog_builder.runtime.receipts import Receipt


def compare_run(
    model: Model,
    schema: CatalogSchema,
    settings: AlarmSettings,
    features: Sequence[Receipt],
    predictions: Sequence[Receipt] = (),
) -> Comparison:
    """Compare what a run has so far with the population of its model.

    Parameters
    ----------
    model : Model
        Trained in this run, or given.
    schema : CatalogSchema
        Of the catalogue.
    settings : AlarmSettings
        Tolerances.
    features, predictions : sequence of Receipt
        Of the partitions; without predictions only the inputs are compared.
    """
    answers = answers_of(predictions) if predictions else None
    seen, inputs = inputs_of(features), model.contract.inputs
    found = compare(model.population, inputs, seen, answers, schema, settings)
    lost = sum(receipt.rejected.get(RejectReason.NO_GAIA_SOURCE_ROW, 0) for receipt in features)
    asked = sum(receipt.rows_in for receipt in features)
    more = strangers(lost, asked, settings)
    return found.model_copy(update={"alarms": (*found.alarms, *more)})


def strangers(lost: int, asked: int, settings: AlarmSettings) -> Iterator[Alarm]:
    """Yield an alarm where many who were asked for are not in the source table.

    Every source with a spectrum is in a release's source table, so nothing is compared: spectra
    under the identifiers of another release, or a source table that lacks stars.
    """
    if lost > settings.strangers * asked:
        words = (
            f"{lost} of {asked} sources with spectra have no row in the source table: their ids may"
            " be those of another release"
        )
        about = RejectReason.NO_GAIA_SOURCE_ROW.value
        yield Alarm(about=about, here=lost / asked, expected=0.0, words=words)


def alarms_of(found: Comparison | None) -> dict[str, Any]:
    """Return what a catalogue with alarms is known by beside its rows; nothing without any."""
    alarms = found.model_dump(mode="json")["alarms"] if found is not None else []
    return {"alarms": alarms} if alarms else {}


def refuse_alarms(found: Comparison | None, sealed: Path | None) -> None:
    """End a strict run that has an alarm.

    Parameters
    ----------
    found : Comparison, optional
        Of the run, where anything was compared.
    sealed : Path, optional
        The catalogue that it sealed, and that stays.

    Raises
    ------
    AlarmError
        With the first alarm in words.
    """
    if found is None or not found.alarms:
        return
    more = f" And {len(found.alarms) - 1} more." if len(found.alarms) > 1 else ""
    stays = f" The catalogue {sealed} is sealed and stays as it is." if sealed else ""
    raise AlarmError(
        f"Far from the model's training archive: {found.alarms[0].words}.{more}{stays}",
        "See docs/alarms.md; without --strict the same ends with exit code 0.",
    )
