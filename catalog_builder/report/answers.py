"""What readers of a catalogue ask first, answered from its sums, with where more is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from catalog_builder.contract.places import Digit, digits_of
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.words import listed
from catalog_builder.report.html import measure, number, percent, text
from catalog_builder.report.known import Known
from catalog_builder.report.labelled import KEPT_BACK, Labelled
from catalog_builder.report.pooling import LEAST
from catalog_builder.report.priors import SHARE
from catalog_builder.report.quantities import difference_unit
from catalog_builder.report.reasons import reasons
from catalog_builder.report.regional import alone
from catalog_builder.report.standing import Group, Off, groups, spreads
from catalog_builder.report.summary import Summary
from catalog_builder.report.too_small import CLEAR, Bins, bins_of, short_of
from catalog_builder.report.words import regime, tier_name

#: Question, answer, and the section that says more.
Answer = tuple[str, str, str]

#: Parts of labels' ranges that are named, and quantities.
_MOST: Final = 3
#: An answer more of which is the training population's than the star's.
_HALF: Final = 0.5


class Page:
    """What the answers are made of."""

    def __init__(
        self, summary: Summary, record: Mapping[str, Any], schema: CatalogSchema, known: Known
    ) -> None:
        self.summary, self.schema, self.known = summary, schema, known
        group = None if known.folds else KEPT_BACK
        enough = known.labelled is not None and known.labelled.stars_of(group) >= LEAST
        self.labelled: Labelled | None = known.labelled if enough else None
        self.groups = groups(summary, self.labelled, record.get("metrics") or {}, group)
        self.spreads = spreads(summary)
        self.bins: Bins | None = None if self.labelled is None else bins_of(self.labelled, group)
        self.whose = "stars with survey labels" if enough else "the model's test stars"
        if enough and not known.folds:
            self.whose += " that did not teach"
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
        scatter = group.off[name].scatter
        words = f"{self.html(name)}, off by {self.amount(name, scatter)} (1 σ)"
        if scatter > self.spreads[name]:
            return f"{words}, which is more than its values spread: of single stars it says nothing"
        return f"{words}, which is {self.of_spread(group, name)} of the spread of its values"


def answers(page: Page) -> Iterator[Answer]:
    """Yield each question that this catalogue has an answer to."""
    if page.groups:
        yield _least(page)
        yield _sigma(page)
    yield _first_tier(page)
    yield _extrapolated(page)
    yield _left_out(page)


def capital(words: str) -> str:
    """Return a sentence's beginning with a capital letter."""
    return words[:1].upper() + words[1:]


def _least(page: Page) -> Answer:
    """Say which label is worth least, of all stars and of the faintest."""
    every, *others = page.groups
    words = f"{capital(page.off(every, every.worst(page.spreads)))}."
    faint = next((one for one in others if one.division == "regime"), None)
    if faint is not None:
        name = faint.worst(page.spreads)
        words += f" {text(capital(faint.title))}: {page.off(faint, name)}."
    return "Which label is least to be trusted?", words, page.place


def _sigma(page: Page) -> Answer:
    """Say whether sigma says so, and where it does not."""
    shares = [one.within for one in page.groups[0].off.values()]
    low, high = (percent(end(shares), 1.0, 0) for end in (min, max))
    many = low if low == high else f"{low} to {high}"
    words = f"On average: of {page.whose} {many} are within 1 σ, label by label; 68 % should be."
    bins = page.bins
    if bins is not None and bins.stretches:
        worst = sorted(bins.stretches, key=lambda one: one.within)[:_MOST]
        found = "; ".join(f"{one.quantity.html} {one.where} ({one.shares})" for one in worst)
        others = len(bins.stretches) - len(worst)
        more = f"; and in {others} other parts of labels' ranges" if others else ""
        words += f" It is clearly too small for {found}{more}: enlarge it there."
        if bins.marked:
            words += (
                f" ▾ marks {bins.marked} other bins of {bins.count} in the tables;"
                f" chance makes about {max(1, round(0.025 * bins.count))} so."
            )
    elif bins is not None and bins.count:
        words += f" In none of {bins.count} bins along labels is it clearly too small."
    return "Do the uncertainties hold?", words, page.place


def _first_tier(page: Page) -> Answer:
    """Say how good the stars of the best tier are, or why there are none."""
    summary, schema = page.summary, page.schema
    tier = schema.flags.tiers[0]
    name, count = tier_name(tier), summary.tiers[tier.tier]
    if not count:
        found = reasons(summary, schema, tier)[:2]
        why = "; ".join(
            f"{words.markup}: {percent(n, summary.rows)} of stars" for words, n in found
        )
        return f"May I use {name} stars?", f"No star is {name}. {why}.", "tiers"
    words = f"{text(number(count))} stars, {percent(count, summary.rows)}."
    for group in page.groups:
        if group.division in {"tier", "near"} and group.title.startswith(name):
            worst = group.worst(page.spreads)
            small = [page.html(one) for one, off in group.off.items() if _few(off)]
            holds = "σ holds on average for every label"
            if small:
                holds = f"σ is too small for {listed(small)}"
            elif page.bins is not None and page.bins.stretches:
                holds += " (not in the parts of their ranges named above)"
            words += (
                f" {capital(text(group.title))}: {holds}; the worst is {page.off(group, worst)}."
            )
    return f"May I use {name} stars, and those near the Sun?", words + _no_better(page), "tiers"


def _few(off: Off) -> bool:
    """Say whether fewer are within sigma than chance brings in some hundred numbers."""
    return short_of(off.stars, off.within) > CLEAR


def _no_better(page: Page) -> str:
    """Say which label is no better in a tier than in the one after it, and why."""
    tiers = [one for one in page.groups if one.division == "tier"]
    for better, worse in pairwise(tiers):
        found = [
            name for name, off in better.off.items()
            if name in worse.off and off.scatter > 0.97 * worse.off[name].scatter
        ]  # fmt: skip
        if found:
            names = listed([page.html(name) for name in found])
            sigma = listed([f"<code>e_{name}</code>" for name in found])
            return (
                f" {capital(text(better.title))} is no better than {text(worse.title)} in"
                f" {names}: a tier looks at all labels and flags together. For one label alone cut"
                f" on {sigma} instead."
            )
    return ""


def _extrapolated(page: Page) -> Answer:
    """Say which share of stars is beyond what the training stars cover, and in what."""
    summary = page.summary
    words = (
        f"{text(number(summary.outside))} stars, {percent(summary.outside, summary.rows)}, lie"
        " outside a limit of the training stars (a 1 in <code>training_range</code>)"
    )
    digits = digits_of(page.schema.contract)
    counted = zip(summary.digit_names, digits, summary.digits[:, 1].tolist(), strict=True)
    most = sorted((one for one in counted if one[2]), key=lambda one: -one[2])[:_MOST]
    if most:
        told = (
            f"{page.html(name)}{_limits(page, name)} ({number(n).markup})" for name, _, n in most
        )
        words += f", where nothing was tested: {'; '.join(told)}"
    words += f".{_admitted(page, [(name, digit) for name, digit, _ in most])}"
    if untested := summary.rows - summary.outside - summary.wholly_inside:
        words += (
            f" {percent(untested, summary.rows)} more have nothing to test in some digit (a 9)."
        )
    found = alone(summary, page.labelled)
    if found is not None:
        every, lone = (int(one.sum()) for one in found)
        words += f" {percent(lone, every)} have no labelled star near them in the Kiel diagram."
    return "How much is extrapolated: faint, hot, rare stars?", words, "flags"


def _limits(page: Page, name: str) -> str:
    """Return the ends of what the training stars cover, if the model says them."""
    card, inputs = page.known.card, page.schema.inputs
    called = "magnitude" if name == inputs.magnitude else name
    for quantity, _, low, high, unit in () if card is None else card.ranges:
        if quantity == called:
            ends = f" below {low} or above {high}".replace("-", "−")
            return f"{ends}\u202f{text(unit)}".removesuffix("\u202f1")
    return ""


def _admitted(page: Page, outside: list[tuple[str, Digit]]) -> str:
    """Say which tiers take stars that are outside."""
    tiers = page.schema.flags.tiers[:-1]
    for tier in tiers:
        found = [page.html(name) for name, digit in outside if digit.outside not in tier.without]
        if found:
            names = listed([tier_name(one) for one in tiers])
            them = "them" if len(found) > 1 else "it"
            return f" {capital(names)} do not look at {listed(found)}: cut on {them} yourself."
    names = listed([tier_name(one) for one in tiers], "or")
    return f" None of them is {names}." if outside and tiers else ""


def _left_out(page: Page) -> Answer:
    """Say which stars are not to be used."""
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
        f" {text(number(taught))}, and {text(number(summary.rows - taught))} stay."
    )
    return "Which stars are to be left out?", words, "reading"
