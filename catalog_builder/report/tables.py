"""The report's tables: counts of the store and facts of RELEASE.json in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from catalog_builder.archive.rejects import RejectReason
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.counts import Count, gaps_in_words
from catalog_builder.report.histogram import quantiles
from catalog_builder.report.html import (
    NOTHING,
    Cell,
    Html,
    measure,
    number,
    paragraph,
    percent,
    table,
)
from catalog_builder.report.quantities import difference_unit, printed
from catalog_builder.report.summary import Summary

#: Rows that a page shows at once.
_ROWS_SHOWN: Final = 60


def labels(summary: Summary, schema: CatalogSchema) -> str:
    """Return stars, range and uncertainty per label."""
    rows = []
    for name, quantity in summary.shown.items():
        given = summary.filled[name]
        low, high = quantiles(summary.labels[name].counts, quantity.axis, 0.05, 0.95)
        (sigma,) = quantiles(summary.sigma[name].counts, quantity.sigma, 0.5)
        decimals = min(quantity.decimals, 2)
        rows.append(
            (
                Html(f"{quantity.html} <code>{name}</code>"),
                difference_unit(schema, name),
                number(given),
                percent(given, summary.rows),
                number(summary.in_range[name]),
                Html(f"{_plain(low, decimals)} … {_plain(high, decimals)}") if given else NOTHING,
                measure(float(sigma), quantity.decimals),
            )
        )
    head = ("Label", "Unit", "Stars", "Share", "Inside training range", "5 … 95 %", "Median σ")
    return table("Stars with each label, and how well it is known", head, rows, words=2)


def inputs_used(summary: Summary, schema: CatalogSchema) -> str:
    """Return how many stars' labels rest on which input."""
    bits = [schema.flags[f"{name}_used"] for name in summary.shown.contract.inputs.names]
    rows = [
        (bit.sentence, Html(f"<code>{bit.name}</code>"), *_counted(summary.bits[bit.bit], summary))
        for bit in bits
    ]
    head = ("Input", "Flag", "Stars", "Share")
    return table("What the labels were derived from", head, rows, words=2)


#: What became of a label on its way through a crosswalk (`model.crossing`).
CROSSED: Final = {
    "one": "One star here",
    "outside_archive": "Left out: outside of this archive",
    "no_neighbour": "Left out: no neighbour",
    "no_likely_neighbour": "Left out: no likely neighbour",
    "several_likely_neighbours": "Left out: several likely neighbours",
    "shares_its_neighbour": "Left out: its neighbour is another's, too",
}


def accounting(record: Mapping[str, Any]) -> str:
    """Return requested, published and rejected sources; the last line is the sum of the others."""
    facts = record["accounting"]
    requested = int(facts["requested"])
    rows: list[tuple[Cell, ...]] = [
        ("Published", number(facts["published"]), percent(facts["published"], requested, 2))
    ]
    for reason, count in facts["rejected"].items():
        rows.append((f"Rejected: {reason}", number(count), percent(count, requested, 2)))
    if not facts["rejected"]:
        rows.append(("Rejected", number(0), percent(0, requested, 2)))
    gaps = gaps_in_words(_counts(record))
    words = "Requested, at least" if gaps else "Requested"
    total = (words, number(requested), percent(requested, requested, 2))
    head = ("Sources", "Number", "Share")
    books = table("Every requested source is a row or a counted reject", head, rows, total=total)
    remarks = [paragraph(f"Not in these numbers: {gap}") for gap in gaps]
    return "\n".join([books, *remarks, *_meant(record), *_crosswalk(record)])


def _meant(record: Mapping[str, Any]) -> Iterator[str]:
    """Say what the release description left out, or corrected in another way, on purpose."""
    incidents = record.get("incidents") or {}
    for place, reasons in incidents.get("rows", {}).items():
        if faint := reasons.get(RejectReason.BELOW_LEAST_SIG_TO_NOISE):
            words = (
                f" spectra of {place} are fainter than the least S/N that the release description"
                " asks for, and were not used."
            )
            yield paragraph(number(faint), words)
    if (fallen := incidents.get("parallax_fallback")) is not None:
        words = "The release gives no zero point for some parallaxes; those of the fallback rule: "
        yield paragraph(words, number(fallen), ".")


def _crosswalk(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what became of labels whose identifiers are of another release, if they are."""
    labels = (record.get("incidents") or {}).get("labels") or {}
    walk = labels.get("crosswalk")
    if not walk:
        return
    whole = sum(walk.values())
    rows: list[tuple[Cell, ...]] = [
        (CROSSED.get(reason, reason), number(count), percent(count, whole, 2))
        for reason, count in walk.items()
    ]
    total = ("Stars with labels", number(whole), percent(whole, whole, 2))
    caption = f"Labels of {labels['survey']}, whose identifiers are of another release"
    yield table(caption, ("Through the crosswalk", "Number", "Share"), rows, total=total)


def _counts(record: Mapping[str, Any]) -> dict[str, Count]:
    found = (record.get("incidents") or {}).get("counts") or {}
    return {name: Count.model_validate(count) for name, count in found.items()}


def training_range(summary: Summary) -> str:
    """Return stars inside and outside the training sample's limits."""
    rows = [
        (
            f"{position}",
            Html(f"<code>{name}</code>"),
            *_counted(int(inside), summary),
            *_counted(int(outside), summary),
            *_counted(int(nothing), summary),
        )
        for position, (name, (inside, outside, nothing)) in enumerate(
            zip(summary.digit_names, summary.digits, strict=True), start=1
        )
    ]
    head = (
        "Digit",
        "Column",
        "0: inside",
        "Share",
        "1: outside",
        "Share",
        "9: not tested",
        "Share",
    )
    caption = "Digits of the training-range string, training_range in the exported tables"
    return table(caption, head, rows, words=2)


def tiers(summary: Summary, schema: CatalogSchema) -> str:
    """Return every value of quality_tier with its sentence and the stars that have it."""
    rows: list[tuple[Cell, ...]] = [
        (f"{tier.tier}", tier.name, tier.sentence, *_counted(summary.tiers[tier.tier], summary))
        for tier in schema.flags.tiers
    ]
    rows.append(("0", NOTHING, "No label is given.", *_counted(summary.tiers[0], summary)))
    head = ("Value", "Name", "What it says", "Stars", "Share")
    return table("Values of quality_tier", head, rows, words=3)


def flags(summary: Summary, schema: CatalogSchema) -> str:
    """Return every declared bit with its sentence and the stars that have it."""
    rows: list[tuple[Cell, ...]] = []
    for bit in schema.flags.bits:
        status = "" if bit.status == "active" else f" ({bit.status}: never set)"
        counted = _counted(summary.bits[bit.bit], summary)
        name = Html(f"<code>{bit.name}</code>")
        rows.append((f"{bit.bit}", name, f"{bit.sentence}{status}", *counted))
    if summary.undeclared:
        words = "Bits that no declaration knows."
        rows.append((NOTHING, NOTHING, words, *_counted(summary.undeclared, summary)))
    head = ("Bit", "Name", "What a set bit says", "Stars", "Share")
    return table("Bits of the column flags", head, rows, words=3)


def columns(summary: Summary, schema: CatalogSchema) -> str:
    """Return every stored column with the number of its values."""
    rows = []
    for column in schema.columns:
        filled = summary.filled[column.name]
        name = Html(f"<code>{column.name}</code>")
        kind = "true" if column.dtype == "bool" else "not null"
        rows.append((name, column.title, printed(column.unit), *_counted(filled, summary), kind))
    head = ("Column", "Title", "Unit", "Values", "Share", "Counted")
    whole = table("Columns of the zarr store", head, rows, words=3)
    if len(rows) <= _ROWS_SHOWN:
        return whole
    return f"<details><summary>All {len(rows)} columns</summary>\n{whole}\n</details>"


def software(record: Mapping[str, Any]) -> str:
    """Return versions of the program and of its libraries."""
    rows = list(record["software"].items())
    return table("Software", ("Program or library", "Version"), rows, words=2)


def null_columns(summary: Summary, schema: CatalogSchema) -> list[str]:
    """Return the columns that are null for every source."""
    return [c.name for c in schema.columns if c.nullable and not summary.filled[c.name]]


def _counted(count: int, summary: Summary) -> tuple[Cell, Cell]:
    return number(count), percent(count, summary.rows)


def _plain(value: float, decimals: int) -> str:
    shown = measure(float(value), decimals)
    return shown.markup if isinstance(shown, Html) else shown
