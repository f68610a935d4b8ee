"""The model's card on the page."""

from __future__ import annotations

from catalog_builder.model.card import RANGES_HEAD, TESTS_HEAD, Card
from catalog_builder.report.html import table, text


def section(card: Card) -> str:
    """Return what the model was trained on, its ranges, its numbers and its known failures."""
    items = "".join(f"<li>{text(failure)}</li>" for failure in card.failures)
    numbers = table("On its test stars, by regime", TESTS_HEAD, card.tests, words=2)
    return "\n".join(
        [
            table("Trained on", ("What", "Value"), card.facts, words=2),
            table(
                "Ranges: beyond them answers are extrapolated, and flagged",
                RANGES_HEAD,
                card.ranges,
            ),
            f"<details><summary>Its test stars, by regime</summary>\n{numbers}\n</details>",
            f"<p><strong>Known failures</strong></p>\n<ul>{items}</ul>",
        ]
    )
