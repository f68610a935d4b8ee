"""What stands first on the page: answers to what readers ask, and how far off labels are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.answers import Page, answers, capital
from catalog_builder.report.html import (
    NOTHING,
    Cell,
    Html,
    covered,
    measure,
    number,
    paragraph,
    table,
    text,
)
from catalog_builder.report.known import Known
from catalog_builder.report.measures import ONE_SIGMA, abreast
from catalog_builder.report.other_figures import OtherTable
from catalog_builder.report.others import BOTH, OURS
from catalog_builder.report.pooling import LEAST
from catalog_builder.report.quantities import difference_unit
from catalog_builder.report.standing import Group
from catalog_builder.report.summary import Summary
from catalog_builder.report.words import regime, spelled


def section(
    summary: Summary, record: Mapping[str, Any], schema: CatalogSchema, known: Known
) -> str:
    """Return questions with their answers, and how far off each label is for which stars."""
    page = Page(summary, record, schema, known)
    rows: list[tuple[Cell, ...]] = [
        (question, Html(f'{answer} <a href="#{anchor}">More</a>'))
        for question, answer, anchor in answers(page)
    ]
    parts = [table("What readers ask first", ("Question", "Answer"), rows, words=2)]
    parts += [_beside(page, other) for other in known.others if other.sums.labels]
    return "\n".join([*parts, *_how_far(page)])


def _beside(page: Page, other: OtherTable) -> str:
    """Return how far another table's labels are off ours: of the faintest that have both, of all.

    The faintest are those of the first regime in which enough stars have labels in both.
    """
    sums = other.sums
    first = sums.counted[list(sums.sums.shown).index(sums.labels[0])]
    names = sums.sums.divisions["regime"].cells
    some = [("All stars", list(range(len(first))))]
    faint = next((at for at in range(len(names)) if first[at, BOTH] >= LEAST), None)
    if faint is not None:
        some.insert(0, (capital(regime(names[faint], page.schema.inputs)), [faint]))
    rows = [
        (
            Html(f"{page.html(name)} [{text(difference_unit(page.schema, name))}]"),
            *(_both(page, other, name, places) for _, places in some),
        )
        for name in sums.labels
    ]
    simulated = " (simulated)" if other.simulated else ""
    caption = f"Ours less {other.title}{simulated}: the median, and the scatter"
    counted = [[int(first[places, one].sum()) for one in (BOTH, OURS)] for _, places in some]
    told = "; ".join(
        f"{title}: {spelled(both)} of our {spelled(ours)} stars have both"
        for (title, _), (both, ours) in zip(some, counted, strict=True)
    )
    link = paragraph(f"{told}. ", Html('<a href="#others">More, and what is known of it</a>'))
    return f"{table(caption, ('Label', *(title for title, _ in some)), rows)}\n{link}"


def _both(page: Page, other: OtherTable, name: str, places: list[int]) -> Cell:
    sums = other.sums
    if sums.counted[list(sums.sums.shown).index(name), places, BOTH].sum() < LEAST:
        return NOTHING
    found = sums.sums.measured(name, [sums.sums.cell("regime", at) for at in places])
    decimals = page.summary.shown[name].decimals
    bias, scatter = measure(found.bias, decimals, signed=True), measure(found.scatter, decimals)
    return Html(f"{text(bias)}, scatter {text(scatter)}")


def _how_far(page: Page) -> Iterator[str]:
    """Yield how far off all labels are, for all groups of stars."""
    if not page.groups:
        return
    yield paragraph(
        f"Of {page.whose}: the scatter of answer less label, and how much that is of the spread of"
        " the label's values in this catalogue (half the distance of 16 and 84 %). At 100 % a label"
        " says no more than that a star is one of these. The largest share of a row is bold. ▾"
        " marks labels of which so few stars are within 1 σ, ▴ so many, as chance makes of honest σ"
        " in 2.5 of 100 cases each."
    )
    for labels in abreast(list(page.summary.shown.values())):
        rows = [_row(page, group, [one.name for one in labels]) for group in page.groups]
        titles = [
            Html(f"{one.html} [{text(difference_unit(page.schema, one.name))}]") for one in labels
        ]
        head: tuple[Cell, ...] = ("Stars", "Number", *titles)
        yield table("How far off labels are, and how much of their spread that is", head, rows)


def _row(page: Page, group: Group, names: list[str]) -> tuple[Cell, ...]:
    worst = group.worst(page.spreads)
    cells: list[Cell] = []
    for name in names:
        one = group.off.get(name)
        if one is None:
            cells.append(NOTHING)
            continue
        mark = covered(one.within, one.stars, ONE_SIGMA).markup.partition(" <span")
        scatter = measure(one.scatter, page.summary.shown[name].decimals)
        shown = f"{text(scatter)} · {page.of_spread(group, name)}{''.join(mark[1:])}"
        cells.append(Html(f"<strong>{shown}</strong>" if name == worst else shown))
    return capital(group.title), number(group.stars), *cells
