"""The model's card on the page."""

from __future__ import annotations

from collections.abc import Iterator

from catalog_builder.contract.inputs import Inputs
from catalog_builder.model.card import RANGES_HEAD, TESTS_HEAD, Card
from catalog_builder.report.html import measure, number, paragraph, table, text
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.too_small import bins_of
from catalog_builder.report.words import regime


def section(card: Card, inputs: Inputs, labelled: Labelled | None, *, simulated: bool) -> str:
    """Return what the model was trained on, its ranges, its numbers and its known failures.

    Failures are those of its own test stars, and those that more stars with labels show.
    """
    told = [text(regime(failure, inputs)) for failure in card.failures]
    told[:0] = [] if labelled is None else list(_too_small(labelled))
    items = "".join(f"<li>{failure}</li>" for failure in told)
    tests = [(regime(first, inputs), *others) for first, *others in card.tests]
    numbers = table("On its test stars, by regime", TESTS_HEAD, tests, words=2)
    facts = [_fact(title, value, simulated=simulated) for title, value in card.facts]
    words = paragraph(
        "Of the stars with labels most taught the model: networks were fitted to the larger part of"
        " these (fit stars), and the others said when to stop and how large σ is. The rest are its"
        " test stars."
    )
    return "\n".join(
        [
            table("Made from", ("What", "Value"), facts, words=2),
            words,
            table(
                "Ranges: beyond them answers are extrapolated, and flagged",
                RANGES_HEAD,
                card.ranges,
            ),
            f"<details><summary>Its test stars, by regime</summary>\n{numbers}\n</details>",
            f"<p><strong>Known failures</strong></p>\n<ul>{items}</ul>",
        ]
    )


def _fact(title: str, value: str, *, simulated: bool) -> tuple[str, str]:
    """Return a fact; of simulated stars it does not read as of real ones."""
    if simulated and title in {"stars of", "labels of"}:
        return title, f"simulated, in the layout of {value}"
    return title, value


def _too_small(labelled: Labelled) -> Iterator[str]:
    """Yield in which parts of labels' ranges sigma is too small."""
    for one in bins_of(labelled).stretches:
        scatter = text(measure(one.scatter, one.quantity.decimals))
        yield (
            f"σ of {one.quantity.html} is too small from {one.where}: {one.shares}, of"
            f" {text(number(one.stars))} stars with survey labels; the scatter reaches {scatter}."
        )
