"""What was measured on the model's test stars, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from catalog_builder.contract.inputs import PARALLAX
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.html import (
    NOTHING,
    Cell,
    Html,
    covered,
    measure,
    number,
    paragraph,
    share,
    table,
    text,
)
from catalog_builder.report.pooling import LEAST
from catalog_builder.report.quantities import Quantities, Quantity, difference_unit
from catalog_builder.report.words import regime

#: Share of a Gaussian within one deviation.
ONE_SIGMA: Final = 0.6827
#: Labels side by side in a table.
_LABELS_ABREAST: Final = 8


def metrics(record: Mapping[str, Any], schema: CatalogSchema, shown: Quantities) -> str:
    """Return the measures on the test stars, of all and per regime."""
    views = []
    for words, measured in _measured(record["metrics"], shown):
        parts = [_overall(words, measured.get("all") or {}, schema, shown)]
        for some in abreast(list(shown.values())) if measured.get("by_regime") else ():
            parts.append(_by_regime(words, measured["by_regime"], schema, some))
        views.append("\n".join(parts))
    if not views:
        return paragraph("The model records no measures on test stars.")
    first, *others = views
    if not others:
        return first
    title = "<summary>The same stars with an input withheld</summary>"
    return "\n".join([first, f"<details>{title}", *others, "</details>"])


def _measured(
    recorded: Mapping[str, Any], shown: Quantities
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what was measured on which stars; a bare table per label is taken as of all stars."""
    if any(name in shown for name in recorded):
        yield "", {"all": recorded}
        return
    for view, measured in recorded.items():
        if isinstance(measured, Mapping):
            yield _view(view, shown), measured


def _view(view: str, shown: Quantities) -> str:
    """Say in words what test stars were seen with, as `catalog_builder.model.ensemble` names it."""
    inputs = shown.contract.inputs
    hidden = view.removeprefix("without_")
    if view == "without_their_fold":
        return "of the stars that taught the model, answered by models trained without them"
    if view == "as_observed":
        return "with all inputs they have"
    if hidden == view or hidden not in inputs.names:
        return view
    if hidden in inputs.spectra:
        return f"with their {inputs.title(hidden)} spectra withheld"
    many = "parallaxes" if hidden == PARALLAX else inputs.title(hidden)
    return f"with their {many} withheld"


def _overall(
    words: str, measured: Mapping[str, Any], schema: CatalogSchema, shown: Quantities
) -> str:
    rows = []
    for name, quantity in shown.items():
        values = measured.get(name) or {}
        stars, decimals = values.get("stars"), quantity.decimals
        rows.append(
            (
                Html(quantity.html),
                difference_unit(schema, name),
                number(stars) if isinstance(stars, int) else NOTHING,
                measure(values.get("robust_scatter"), decimals),
                measure(values.get("bias"), decimals, signed=True),
                measure(values.get("rmse"), decimals),
                _covered(values, "coverage_68", ONE_SIGMA),
                _covered(values, "coverage_95", 0.95),
            )
        )
    head = (
        "Label", "Unit", "Stars", "Robust scatter", "Bias", "RMSE",
        "Within 1 σ (68.3 %)", "In the 95 % interval",
    )  # fmt: skip
    return table(f"Test stars{f', {words}' if words else ''}", head, rows, words=2)


def abreast(labels: list[Quantity]) -> Iterator[list[Quantity]]:
    """Cut the labels into groups, of nearly equal numbers, that a table has room for."""
    groups = -(-len(labels) // _LABELS_ABREAST)
    size = -(-len(labels) // groups)
    return (labels[start : start + size] for start in range(0, len(labels), size))


def _by_regime(
    words: str,
    regimes: Mapping[str, Mapping[str, Any]],
    schema: CatalogSchema,
    labels: list[Quantity],
) -> str:
    rows: list[tuple[Cell, ...]] = []
    small = []
    for name, measured in regimes.items():
        stars = max((values.get("stars", 0) for values in measured.values()), default=0)
        if stars < LEAST:
            small.append(measured)
            continue
        cells = [_scatter_and_coverage(measured.get(one.name) or {}, one) for one in labels]
        rows.append((regime(name, schema.inputs), number(stars), *cells))
    if small:
        together = [_together(small, one.name) for one in labels]
        most = max(stars for stars, _ in together)
        kind = "regime" if len(small) == 1 else "regimes"
        pooled = f"{len(small)} {kind} of fewer than {LEAST} stars, together"
        cells = [_coverage_alone(stars, within) for stars, within in together]
        rows.append((pooled, number(most), *cells))
    titles = [Html(f"{one.html} [{difference_unit(schema, one.name)}]") for one in labels]
    caption = f"Test stars {words}, by regime: robust scatter, and share within 1 σ"
    return table(caption, ("Regime", "Stars", *titles), rows)


def _scatter_and_coverage(values: Mapping[str, Any], label: Quantity) -> Cell:
    scatter = measure(values.get("robust_scatter"), label.decimals)
    if scatter == NOTHING:
        return NOTHING
    return Html(f"{text(scatter)} · {_covered(values, 'coverage_68', ONE_SIGMA).markup}")


def _together(small: list[Mapping[str, Any]], label: str) -> tuple[int, float]:
    """Return stars of several regimes, and how many are within one sigma."""
    found = [measured.get(label) or {} for measured in small]
    stars = sum(values.get("stars", 0) for values in found)
    within = sum(values.get("stars", 0) * (values.get("coverage_68") or 0) for values in found)
    return stars, within


def _coverage_alone(stars: int, within: float) -> Cell:
    """Return a coverage without a scatter, which regimes do not have together."""
    return NOTHING if stars < LEAST else covered(within / stars, stars, ONE_SIGMA)


def _covered(values: Mapping[str, Any], name: str, nominal: float) -> Html:
    found, stars = values.get(name), values.get("stars")
    if not isinstance(found, int | float) or not isinstance(stars, int) or not stars:
        return Html(text(share(found)))
    return covered(float(found), stars, nominal)
