"""What readers of a catalogue ask first, answered from its sums, with where more is said."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.words import listed
from catalog_builder.report.histogram import span
from catalog_builder.report.html import (
    NOTHING,
    Cell,
    Html,
    covered,
    measure,
    number,
    paragraph,
    percent,
    table,
    text,
)
from catalog_builder.report.known import Known
from catalog_builder.report.labelled import KEPT_BACK, Labelled
from catalog_builder.report.measured import along
from catalog_builder.report.measures import ONE_SIGMA, abreast
from catalog_builder.report.other_figures import OtherTable
from catalog_builder.report.others import BOTH, OURS
from catalog_builder.report.pooling import LEAST, pooled
from catalog_builder.report.priors import SHARE
from catalog_builder.report.quantities import difference_unit
from catalog_builder.report.reasons import reasons
from catalog_builder.report.regional import alone
from catalog_builder.report.standing import Group, Off, groups, spreads
from catalog_builder.report.summary import Summary
from catalog_builder.report.words import regime

Record = Mapping[str, Any]
Answer = tuple[str, str, str]

#: Errors by which a share within sigma must be too small to be told of, in a hundred numbers.
_ERRORS: Final = 3.3
#: An answer more of which is the training population's than the star's.
_HALF: Final = 0.5


class _Page:
    """What the answers are made of."""

    def __init__(
        self, summary: Summary, record: Record, schema: CatalogSchema, known: Known
    ) -> None:
        self.summary, self.schema, self.known = summary, schema, known
        # Of stars that networks have seen nothing can be learnt.
        self.group = KEPT_BACK if known.saw_teachers else None
        enough = known.labelled is not None and known.labelled.enough(self.group, LEAST)
        self.labelled: Labelled | None = known.labelled if enough else None
        self.groups = groups(summary, self.labelled, record.get("metrics") or {}, self.group)
        self.spreads = spreads(summary)
        taught = ", without those that taught," if known.saw_teachers else ""
        self.whose = f"stars with labels{taught}" if enough else "the model's test stars"
        self.place = "accuracy" if enough else "test"

    def html(self, name: str) -> str:
        """Return the symbol of a label, or the name of another column for people."""
        if name in self.summary.shown:
            return self.summary.shown[name].html
        return text(regime(name, self.schema.inputs))

    def amount(self, name: str, value: float, *, signed: bool = False) -> str:
        """Return a value of a label with its unit."""
        shown = measure(value, self.summary.shown[name].decimals, signed=signed)
        return f"{text(shown)}\u202f{text(difference_unit(self.schema, name))}"

    def of_spread(self, group: Group, name: str) -> str:
        """Return the scatter of a label in per cent of its spread."""
        return percent(group.off[name].scatter, self.spreads[name], 0)

    def off(self, group: Group, name: str) -> str:
        """Say how far off a label is."""
        one = group.off[name]
        return (
            f"{self.html(name)}, off by {self.amount(name, one.scatter)} (1 σ), which is"
            f" {self.of_spread(group, name)} of the spread of its values"
        )


def section(summary: Summary, record: Record, schema: CatalogSchema, known: Known) -> str:
    """Return questions with their answers, and how far off each label is for which stars."""
    page = _Page(summary, record, schema, known)
    answers = (_least(page), _sigma(page), _first_tier(page), _extrapolated(page), _left_out(page))
    rows: list[tuple[Cell, ...]] = [
        (question, Html(f'{answer} <a href="#{anchor}">More</a>'))
        for some in (*answers, *(_beside(page, other) for other in known.others))
        for question, answer, anchor in some
    ]
    parts = [table("What readers ask first", ("Question", "Answer"), rows, words=2)]
    return "\n".join([*parts, *_how_far(page)])


def _least(page: _Page) -> Iterator[Answer]:
    """Yield which label is worth least, of all stars and of the faintest."""
    if not page.groups:
        return
    every, *others = page.groups
    words = f"{_capital(page.off(every, every.worst(page.spreads)))}."
    faint = next((one for one in others if one.division == "regime"), None)
    if faint is not None:
        name = faint.worst(page.spreads)
        words += f" {text(_capital(faint.title))}: {page.off(faint, name)}."
    yield "Which label is least to be trusted?", words, page.place


def _sigma(page: _Page) -> Iterator[Answer]:
    """Yield whether sigma says so, and where it does not."""
    if not page.groups:
        return
    shares = [one.within for one in page.groups[0].off.values()]
    words = (
        f"Of {page.whose} {percent(min(shares), 1.0, 0)} to {percent(max(shares), 1.0, 0)} are"
        " within 1 σ, label by label; 68 % should be."
    )
    found = [] if page.labelled is None else list(_too_small(page, page.labelled))
    if found:
        words += f" σ is too small for {'; '.join(found)}."
    yield "Do the uncertainties hold?", words, page.place


def _too_small(page: _Page, labelled: Labelled) -> Iterator[str]:
    """Yield each label in whose bins sigma is too small, with the bins."""
    for name, quantity in page.summary.shown.items():
        edges, bins = along(quantity).edges(), []
        for first, stop, one in pooled(labelled, name, "own", group=page.group):
            off = Off(one.stars, one.scatter, one.within_68 / one.stars)
            bins.append((first, stop, off.within, _few(off)))
        for small, some in groupby(bins, key=lambda one: one[3]):
            run = list(some)
            if small:
                where = span(edges[run[0][0]], edges[run[-1][1]]).replace(" … ", " to ")
                least = percent(min(one[2] for one in run), 1.0, 0)
                yield f"{quantity.html} {where} ({least} within 1 σ)"


def _first_tier(page: _Page) -> Iterator[Answer]:
    """Yield how good the stars of the best tier are, or why there are none."""
    summary, schema = page.summary, page.schema
    tier = schema.flags.tiers[0]
    name, count = tier.name.replace("_", " "), summary.tiers[tier.tier]
    if not count:
        found = reasons(summary, schema, tier)[:2]
        why = "; ".join(
            f"{words.markup}: {percent(n, summary.rows)} of stars" for words, n in found
        )
        yield f"May I use {name} stars?", f"No star is {name}. {why}.", "flags"
        return
    words = f"{text(number(count))} stars, {percent(count, summary.rows)}."
    for group in page.groups:
        if group.division in {"tier", "near"} and group.title.startswith(name):
            worst = group.worst(page.spreads)
            small = [page.html(one) for one, off in group.off.items() if _few(off)]
            holds = f"σ is too small for {listed(small)}" if small else "σ holds for every label"
            words += (
                f" {_capital(text(group.title))}: {holds}; the worst is {page.off(group, worst)}."
            )
    yield f"May I use {name} stars, and those near the Sun?", words, "tiers"


def _few(off: Off) -> bool:
    """Say whether fewer are within sigma than chance brings in some hundred numbers."""
    error = math.sqrt(ONE_SIGMA * (1 - ONE_SIGMA) / off.stars)
    return ONE_SIGMA - off.within > _ERRORS * error


def _extrapolated(page: _Page) -> Iterator[Answer]:
    """Yield which share of stars is beyond what the training stars cover, and by what."""
    summary = page.summary
    beyond = summary.rows - summary.wholly_inside
    words = f"{percent(beyond, summary.rows)} of stars lie outside a limit of the training stars"
    names = zip(summary.digit_names, summary.digits[:, 1].tolist(), strict=True)
    most = sorted((one for one in names if one[1]), key=lambda one: -one[1])[:3]
    if most:
        told = (f"{page.html(name)} {percent(n, summary.rows)}" for name, n in most)
        words += f": {', '.join(told)}"
    words += " (<code>training_range</code>)."
    found = alone(summary, page.labelled)
    if found is not None:
        every, lone = (int(one.sum()) for one in found)
        words += f" {percent(lone, every)} have no star with labels near them in the Kiel diagram."
    yield "How much is extrapolated?", words, "flags"


def _left_out(page: _Page) -> Iterator[Answer]:
    """Yield which stars are not to be used."""
    summary, schema = page.summary, page.schema
    good = [str(tier.tier) for tier in schema.flags.tiers[:-1]]
    rest = summary.rows - sum(summary.tiers[tier.tier] for tier in schema.flags.tiers[:-1])
    words = (
        f"Keep <code>quality_tier</code> {' and '.join(good)}: that leaves out"
        f" {text(number(rest))} stars, {percent(rest, summary.rows)}."
    )
    priors = summary.priors.by_inputs
    if priors is not None and priors.stars:
        drawn = int(priors.counts.sum(axis=0)[SHARE.edges()[:-1] >= _HALF - 1e-9].sum())
        words += (
            f" For what a population looks like leave out <code>prior_share</code> &gt; {_HALF:g},"
            f" too: {text(number(drawn))} stars, {percent(drawn, summary.rows)}."
        )
    taught = summary.filled["in_training_sample"]
    words += (
        " Beside the label survey itself leave out <code>in_training_sample</code>:"
        f" {text(number(taught))}."
    )
    yield "Which stars are to be left out?", words, "reading"


def _beside(page: _Page, other: OtherTable) -> Iterator[Answer]:
    """Yield what another table says of the faintest stars that have labels in both, and of all."""
    sums, parts = other.sums, []
    if not sums.labels:
        return
    lines = [(at, name) for at, name in enumerate(sums.sums.divisions["regime"].cells)]
    counted = sums.counted[list(sums.sums.shown).index(sums.labels[0])]
    faint = next(((at, name) for at, name in lines if counted[at, BOTH] >= LEAST), None)
    if faint is not None:
        title = _capital(regime(faint[1], page.schema.inputs))
        parts.append(_both(page, other, title, [faint[0]]))
    parts.append(_both(page, other, "All stars", list(range(len(counted)))))
    simulated = " (simulated)" if other.simulated else ""
    yield f"Beside {other.title}{simulated}?", " ".join(parts), "others"


def _both(page: _Page, other: OtherTable, title: str, places: list[int]) -> str:
    sums, told = other.sums.sums, []
    counted = other.sums.counted[:, places].sum(axis=1)
    for name in other.sums.labels:
        if counted[list(sums.shown).index(name), BOTH] < LEAST:
            continue
        found = sums.measured(name, [sums.cell("regime", at) for at in places])
        bias = page.amount(name, found.bias, signed=True)
        told.append(f"{page.html(name)} {bias} (scatter {page.amount(name, found.scatter)})")
    first = counted[list(sums.shown).index(other.sums.labels[0])]
    both, ours = (text(number(int(first[at]))) for at in (BOTH, OURS))
    said = f"{both} of our {ours} stars have theirs"
    return f"{text(title)}: {said}; ours less theirs {', '.join(told) or NOTHING}."


def _how_far(page: _Page) -> Iterator[str]:
    """Yield how far off each label is, for all groups of stars."""
    if not page.groups:
        return
    yield paragraph(
        f"Of {page.whose}: the scatter of answer less label, and how much that is of the spread of"
        " the label's values in this catalogue (half the distance of 16 and 84 %). At 100 % a label"
        " says no more than that a star is one of these. ▾ marks labels of which fewer stars are"
        " within 1 σ than chance makes of honest σ in 5 of 100 cases, ▴ more."
    )
    for labels in abreast(list(page.summary.shown.values())):
        rows = [_row(page, group, [one.name for one in labels]) for group in page.groups]
        titles = [
            Html(f"{one.html} [{text(difference_unit(page.schema, one.name))}]") for one in labels
        ]
        head: tuple[Cell, ...] = ("Stars", "Number", "Least to be trusted", *titles)
        yield table("How far off labels are, and how much of their spread that is", head, rows)


def _row(page: _Page, group: Group, names: list[str]) -> tuple[Cell, ...]:
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
    return _capital(group.title), number(group.stars), Html(page.html(worst)), *cells


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
