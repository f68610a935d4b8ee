"""What a run tells the checks of its catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog_builder.catalog.origins import Model
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.population import inputs_of
from catalog_builder.ground.documents import parse_json
from catalog_builder.inference.alarms import all_tests
from catalog_builder.inference.settings import AlarmSettings
from catalog_builder.model.card import Card, card_of
from catalog_builder.model.files import read_whole
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.model.population import answers_of
from catalog_builder.publish.labelled import LabelStores, label_stores
from catalog_builder.report.labelled import Edges
from catalog_builder.run.protocol import Run
from catalog_builder.verdict.facts import VerdictFacts
from catalog_builder.verdict.settings import CheckSettings

#: Bytes of a model's document (`model.document`).
_LARGEST: Final = 32 << 20
#: Settings of alarms that checks do not look at.
_ALARMS_ALONE: Final = {"strict", "strangers", "false_alarm_rate"}


def verdict_facts(run: Run, schema: CatalogSchema) -> VerdictFacts:
    """Return what the checks know of a run beside the sums of its rows."""
    model, seen, answers = run.model, inputs_of(run.features), answers_of(run.predictions)
    inputs, settings = model.contract.inputs, run.config.alarms
    found = all_tests(model.population, inputs, seen, answers, schema, settings)
    return VerdictFacts(
        settings=run.config.checks,
        edges=Edges(model.snr_edges, model.magnitude_edges),
        survey_labels=run.survey.declared.names if run.matches else (),
        folds=model.folds,
        ingested=seen,
        population=() if isinstance(found, str) else tuple(found),
        card=_card(model),
        not_compared=found if isinstance(found, str) else "there is nothing of this kind",
    )


def _card(model: Model) -> Card:
    """Return the card of a model: of one that was given it was made when it was read."""
    if model.given and model.card is not None:
        return model.card
    return card_of(parse_json(read_whole(model.path / MODEL_JSON, _LARGEST)))


def labels_of(run: Run) -> Mapping[str, LabelStores]:
    """Return where the labels of this run's stars are, if it read any."""
    return label_stores(run.features, run.matches) if run.matches else {}


def checked_by(
    settings: CheckSettings, alarms: AlarmSettings, labels: Mapping[str, LabelStores]
) -> dict[str, Any]:
    """Return what an edition is known by beside its rows: its labels, and other tolerances."""
    digests = [one.digest for _, one in sorted(labels.items())]
    changed = settings.model_dump(exclude_defaults=True)
    alarmed = alarms.model_dump(exclude_defaults=True, exclude=_ALARMS_ALONE)
    return {
        **({"labels": digests} if digests else {}),
        **({"settings": changed} if changed else {}),
        **({"alarms": alarmed} if alarmed else {}),
    }
