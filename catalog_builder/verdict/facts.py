"""What the checks know of a run beside the sums of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from catalog_builder.features.population import InputCounts
from catalog_builder.inference.alarms import Tested
from catalog_builder.model.card import Card
from catalog_builder.report.labelled import Edges
from catalog_builder.verdict.settings import CheckSettings

#: Why there are no stars with labels.
NO_LABELS: Final = "no label survey was read in this run"
NO_COUNTS: Final = "the stars were not counted when they were read"


@dataclass(frozen=True)
class VerdictFacts:
    """What a run tells its checks.

    Attributes
    ----------
    settings : CheckSettings
        Tolerances.
    edges : Edges
        Of the regimes of the model's own numbers.
    survey_labels : tuple of str
        Names of the survey's labels, in the order of its columns; empty where none was read.
    folds : int
        Models of the folds of the training sample; without any, stars that taught were answered by
        networks that saw them.
    ingested : InputCounts
        Of all stars that were read.
    population : tuple of Tested
        The comparisons with the model's training archive (`inference.alarms`).
    not_compared : str
        Why there are none.
    card : Card, optional
        Of the model, for the report.
    """

    settings: CheckSettings = field(default_factory=CheckSettings)
    edges: Edges = field(default_factory=lambda: Edges((), ()))
    survey_labels: tuple[str, ...] = ()
    folds: int = 0
    ingested: InputCounts = field(default_factory=InputCounts)
    population: tuple[Tested, ...] = ()
    not_compared: str = "nothing was compared"
    card: Card | None = None
