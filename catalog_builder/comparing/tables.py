"""Tables of a comparison's page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from catalog_builder.comparing import verdict
from catalog_builder.comparing.changes import Departures
from catalog_builder.comparing.engine import Comparison, total_rows
from catalog_builder.comparing.expected import INDEPENDENT, NESTED
from catalog_builder.comparing.tally import Numbers, Tally
from catalog_builder.report.html import (
    NOTHING,
    Cell,
    Html,
    measure,
    number,
    paragraph,
    percent,
    share,
    table,
    text,
)
from catalog_builder.report.quantities import difference_unit

_MARKS: Final[dict[str, Cell]] = {
    "agrees": "agrees",
    "within bounds": "within bounds",
    "too small": Html("<strong>too small</strong>"),
    "drifts": Html("<strong>drifts</strong>"),
    "too few stars": "too few stars",
}
_NUMBERS: Final = (
    *("Stars", "Median Δ", "±", "Median Δ / σ", "Scatter of Δ", "σ old", "σ new"),
    *("Within 1 expected", "Beyond 3 expected"),
)


def headline(comparison: Comparison) -> str:
    """Return the numbers that a reader wants first."""
    old, new = total_rows(comparison)
    facts = (
        ("In both", comparison.stars, old, "of the old"),
        ("Lost", comparison.changes.lost.stars, old, "of the old"),
        ("Gained", comparison.changes.gained.stars, new, "of the new"),
        *_better(comparison),
    )
    items = "".join(
        f"<div><dt>{text(title)}</dt><dd>{text(number(count))}"
        f" <small>{text(percent(count, whole))} {of}</small></dd></div>"
        for title, count, whole, of in facts
    )
    return f'<dl class="facts">{items}</dl>'


def _better(comparison: Comparison) -> Iterator[tuple[str, int, int, str]]:
    tiers = comparison.changes.tiers
    if tiers is not None:
        # Tier 1 is the best and 0 is none at all.
        order = [*range(1, len(tiers)), 0]
        ranked = tiers[order][:, order]
        better = sum(int(ranked[row, :row].sum()) for row in range(len(ranked)))
        worse = sum(int(ranked[row, row + 1 :].sum()) for row in range(len(ranked)))
        yield "In a better tier", better, comparison.stars, "of both"
        yield "In a worse tier", worse, comparison.stars, "of both"


def labels(comparison: Comparison) -> str:
    """Return the numbers of each label, for all stars."""
    rows: list[tuple[Cell, ...]] = [
        (_symbol(tally), _unit(comparison, tally), _MARKS[judged.state], *_cells(judged, tally))
        for tally in comparison.tallies.values()
        for judged in [verdict.judge(tally)]
    ]
    head = ("Label", "Unit", "Verdict", *_NUMBERS)
    shown = table("Differences of the labels, all stars", head, rows, words=3)
    reasons = [
        f"{judged.label}: {'; '.join(judged.reasons)}."
        for judged in verdict.judgements(comparison)
        if judged.reasons
    ]
    return "\n".join([shown, *(paragraph(reason) for reason in reasons)])


def outstanding(comparison: Comparison) -> str:
    """Return the regimes that drift, or say that none does."""
    judged = list(verdict.regime_judgements(comparison))
    found = [each for each in judged if each.state == "drifts"]
    # First what the table of all stars does not show.
    whole = {each.label for each in verdict.judgements(comparison) if each.state == "drifts"}
    found.sort(key=lambda each: each.label in whole)
    tested = sum(each.state != "too few stars" for each in judged)
    if not found:
        return paragraph(f"None of the {tested} regimes that were judged drifts.")
    rows: list[tuple[Cell, ...]] = [
        (
            each.label,
            each.division,
            each.regime,
            number(each.numbers.stars),
            "; ".join(each.reasons),
        )
        for each in found
    ]
    head = ("Label", "By", "Regime", "Stars", "What")
    caption = f"Regimes that drift: {len(found)} of {tested}"
    return table(caption, head, rows, words=len(head))


def regimes(comparison: Comparison) -> str:
    """Return a table for each division: every label in every regime."""
    parts = []
    for division in comparison.divisions:
        first = comparison.first_cell(division)
        rows: list[tuple[Cell, ...]] = [
            (_symbol(tally), regime, _MARKS[judged.state], *_cells(judged, tally))
            for tally in comparison.tallies.values()
            for place, regime in enumerate(division.regimes)
            if (judged := verdict.judge(tally, first + place)).numbers.stars
        ]
        head = ("Label", "Regime", "Verdict", *_NUMBERS)
        parts.append(table(f"By: {division.title}", head, rows, words=3))
    return "\n".join(parts)


def correlations(comparison: Comparison) -> str:
    """Return the shares by what is assumed of the errors, and what was measured."""
    measured = comparison.correlation.get("measured") or {}
    rows: list[tuple[Cell, ...]] = []
    for name, tally in comparison.tallies.items():
        numbers = tally.numbers()
        needed, error = tally.needed_correlation()
        rows.append(
            (
                _symbol(tally),
                measure(tally.correlation, 2),
                _with_error(measured.get(name, {})),
                share(numbers.shares[tally.lines[0].name].within_1),
                share(numbers.shares[INDEPENDENT].within_1),
                share(numbers.shares[NESTED].within_1),
                share(numbers.least_within_1),
                Html(f"{text(measure(needed, 2))} ± {text(measure(error, 2))}"),
            )
        )
    head = (
        "Label",
        "ρ adopted",
        "ρ measured",
        "Within 1, adopted",
        "independent",
        "nested",
        "wholly shared",
    )
    caption = "Share of stars within one expected difference; 68.3 % are expected"
    origin = paragraph(str(comparison.correlation.get("words", "")))
    return f"{origin}\n{table(caption, (*head, 'ρ needed'), rows)}"


def tiers(comparison: Comparison) -> str:
    """Return how stars moved between the tiers."""
    counts = comparison.changes.tiers
    if counts is None:
        return ""
    names = {0: "no label"} | {t.tier: t.name for t in comparison.new.schema.flags.tiers}
    used = [n for n in (*range(1, 10), 0) if n in names or counts[n].any() or counts[:, n].any()]
    title = {n: names.get(n, f"tier {n}") for n in used}
    rows: list[tuple[Cell, ...]] = [
        (f"old: {title[row]}", *(number(int(counts[row, column])) for column in used))
        for row in used
    ]
    head = ("Stars in both", *(f"new: {title[n]}" for n in used))
    return table("Tiers, old by row and new by column", head, rows)


def nulls(comparison: Comparison) -> str:
    """Return how many labels became null, or are no longer."""
    rows: list[tuple[Cell, ...]] = [
        (
            _symbol(tally),
            *map(number, (tally.nulls.both, tally.nulls.lost, tally.nulls.gained)),
            number(tally.nulls.neither),
        )
        for tally in comparison.tallies.values()
    ]
    head = ("Label", "Given in both", "Became null", "No longer null", "Null in both")
    return table("Null labels of the stars in both", head, rows)


def flags(comparison: Comparison) -> str:
    """Return the changes of each bit."""
    changes, whole = comparison.changes, comparison.stars
    rows: list[tuple[Cell, ...]] = [
        (
            bit.sentence,
            Html(f"<code>{text(name)}</code>"),
            *(number(n) for n in (bit.both, bit.set, bit.unset)),
            percent(bit.set + bit.unset, whole),
        )
        for name, bit in changes.bits.items()
    ]
    head = ("What it says", "Flag", "Set in both", "Became set", "No longer set", "Changed")
    parts = [table("Flags of the stars in both", head, rows, words=2)]
    for names, whose in ((changes.only_old, "old"), (changes.only_new, "new")):
        if names:
            parts.append(paragraph(f"Only the {whose} one has the bits {', '.join(names)}."))
    return "\n".join(parts)


def departures(comparison: Comparison) -> str:
    """Return lost and gained stars with reasons, and in which regimes they are."""
    changes = comparison.changes
    old, new = total_rows(comparison)
    sides = (("Lost", changes.lost, old), ("Gained", changes.gained, new))
    rows: list[tuple[Cell, ...]] = [
        (f"{title}: {reason}", number(count), percent(count, whole))
        for title, who, whole in sides
        for reason, count in who.reasons.most_common()
    ]
    if not rows:
        return paragraph("No star was lost, and none was gained.")
    parts = [table("Stars that only one of the two has", ("Which", "Stars", "Share"), rows)]
    for division in comparison.divisions:
        shown: list[tuple[Cell, ...]] = [
            (regime, *(number(_count(who, division.name, place)) for _, who, _ in sides))
            for place, regime in enumerate(division.regimes)
            if any(_count(who, division.name, place) for _, who, _ in sides)
        ]
        head = ("Regime", "Lost", "Gained")
        parts.append(table(f"By: {division.title}, as its own catalogue has it", head, shown))
    return f"{parts[0]}\n<details><summary>In which regimes they are</summary>\n" + (
        "\n".join(parts[1:]) + "\n</details>"
    )


def accountings(comparison: Comparison) -> str:
    """Return what both catalogues say of requested, published and rejected sources."""
    sides = (comparison.old, comparison.new)
    found = [getattr(side, "facts", {}).get("accounting") for side in sides]
    books: list[dict[str, Any]] = [each for each in found if each]
    if len(books) < len(sides):
        return paragraph("Of one of the two, no accounting of requested sources is at hand.")
    reasons = sorted({reason for each in books for reason in each["rejected"]})
    rows: list[tuple[Cell, ...]] = [
        (key.capitalize(), *(number(each[key]) for each in books))
        for key in ("requested", "published")
    ]
    rows += [
        (f"Rejected: {reason}", *(_rejected(each, reason) for each in books)) for reason in reasons
    ]
    return table("What the catalogues say of themselves", ("Sources", "Old", "New"), rows)


def _rejected(books: dict[str, Any], reason: str) -> Cell:
    count = books["rejected"].get(reason)
    return NOTHING if count is None else number(count)


def _count(who: Departures, division: str, place: int) -> int:
    return int(who.regimes[division][place]) if division in who.regimes else 0


def _cells(judged: verdict.Judgement, tally: Tally) -> tuple[Cell, ...]:
    numbers: Numbers = judged.numbers
    if judged.state == "too few stars":
        return (number(numbers.stars), *[NOTHING] * (len(_NUMBERS) - 1))
    decimals = tally.label.decimals
    found = numbers.shares[tally.lines[0].name]
    return (
        number(numbers.stars),
        measure(numbers.median, decimals + 1, signed=True),
        measure(numbers.median_error, decimals + 1),
        measure(numbers.pull, 2, signed=True),
        measure(numbers.scatter, decimals + 1),
        measure(numbers.sigma_old, decimals + 1),
        measure(numbers.sigma_new, decimals + 1),
        share(found.within_1),
        share(found.beyond_3),
    )


def _symbol(tally: Tally) -> Html:
    return Html(f"{tally.label.html} <code>{tally.label.name}</code>")


def _unit(comparison: Comparison, tally: Tally) -> str:
    return difference_unit(comparison.new.schema, tally.label.name)


def _with_error(found: dict[str, Any]) -> Cell:
    if not found or found.get("correlation") is None:
        return NOTHING
    return Html(f"{text(measure(found['correlation'], 2))} ± {text(measure(found['error'], 2))}")
