"""What a report is drawn of beside the sums of all rows and the facts of the release."""

from __future__ import annotations

from dataclasses import dataclass

from catalog_builder.model.card import Card
from catalog_builder.report.chosen import Chosen
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.other_figures import OtherTable


@dataclass(frozen=True)
class Known:
    """Parts of a report that not every catalogue has.

    Attributes
    ----------
    labelled : Labelled, optional
        The sums of stars with labels.
    card : Card, optional
        Of the model.
    chosen : Chosen, optional
        Which sources of the archive are in the catalogue.
    others : tuple of OtherTable
        Other labels of the archive.
    folds : bool
        Whether stars that taught the model were answered by networks that never saw them; without,
        nothing is judged by them.
    """

    labelled: Labelled | None = None
    card: Card | None = None
    chosen: Chosen | None = None
    others: tuple[OtherTable, ...] = ()
    folds: bool = True
