"""The sections of the page: words, tables and figures in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from catalog_builder.catalog.credit_record import Credit
from catalog_builder.catalog.origins import (
    measured_in_words,
    unverified_in_words,
    whose_metrics,
)
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.words import in_words, listed
from catalog_builder.model.origin import ModelOrigin
from catalog_builder.report import (
    brief,
    chosen_figures,
    comparison,
    curves,
    diagrams,
    distances,
    made_from,
    measures,
    model_card,
    other_figures,
    prior_figures,
    regional,
    skies,
    tables,
    verdict,
)
from catalog_builder.report.html import Html, number, paragraph, percent, text
from catalog_builder.report.known import Known
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.made_from import digest_cell
from catalog_builder.report.pictures import report_style
from catalog_builder.report.pooling import LEAST
from catalog_builder.report.summary import Summary
from catalog_builder.report.words import a_spectrum, numbers

Record = Mapping[str, Any]


def write(
    summary: Summary,
    record: Record,
    schema: CatalogSchema,
    known: Known | None = None,
) -> Iterator[tuple[str, str, str]]:
    """Yield anchor, title and markup of each section."""
    known = known or Known()
    labelled, card = known.labelled, known.card
    with report_style():
        yield "brief", "In brief", brief.section(summary, record, schema, known)
        if record.get("checks"):
            yield "checks", "Checks", verdict.section(record)
        yield "labels", "Labels", _labels(summary, schema)
        yield "accounting", "Accounting", tables.accounting(record)
        yield "test", "Test stars of the model", _test(record, schema, summary)
        if labelled is not None and labelled.stars >= LEAST:
            yield (
                "accuracy",
                "Stars with survey labels",
                comparison.accuracy(labelled, schema, folds=known.folds),
            )
        if known.others:
            yield (
                "others",
                "Beside the archive's own labels",
                other_figures.section(known.others, schema),
            )
        yield "completeness", "Completeness", _completeness(summary, known)
        yield "precision", "Uncertainties", diagrams.precision(summary, schema)
        if priors := prior_figures.section(summary):
            yield "prior", "Share of the training population", priors
        yield "kiel", "Kiel diagram", diagrams.kiel(summary, schema)
        yield "abundances", "Abundances", diagrams.abundances(summary, schema)
        yield "tiers", "Tiers", regional.tiers(summary, schema, labelled)
        if places := regional.galaxy(summary):
            yield "galaxy", "Places in the Galaxy", places
        yield "sky", "Sky", _sky(summary, schema, labelled)
        yield "flags", "Flags and training range", _flags(summary, schema)
        for place, (name, spec) in enumerate(summary.shown.contract.inputs.lines.items()):
            anchor, title = f"map-{name}" if place else "map", f"Map of the {spec.title} spectra"
            yield anchor, title, diagrams.spectra(summary, schema, name)
        if card is not None:
            enough = labelled if labelled is not None and labelled.stars >= LEAST else None
            enough = enough if known.folds else None
            simulated = bool((record.get("model") or {}).get("simulated"))
            told = model_card.section(card, schema.inputs, enough, simulated=simulated)
            yield "model", "The model", told
        yield "reading", "How to read it", _reading(summary, schema)
        yield "columns", "Columns", _columns(summary, schema)
        yield "made-from", "What it was made from", made_from.section(record, schema)
    if credit := _credit(record):
        yield "credit", "Acknowledgements", credit


def _completeness(summary: Summary, known: Known) -> str:
    chosen = "" if known.chosen is None else chosen_figures.section(known.chosen, summary)
    return "\n".join(filter(None, [diagrams.completeness(summary), chosen]))


def _sky(summary: Summary, schema: CatalogSchema, labelled: Labelled | None) -> str:
    parts = [diagrams.sky(summary)]
    if summary.pixels.stars:
        parts.append(skies.labels(summary, schema))
        if labelled is not None and labelled.stars >= LEAST:
            parts.append(skies.residuals(labelled, schema))
    return "\n".join(parts)


def _credit(record: Record) -> str:
    """Return whom to credit and what to cite, and the licence; nothing if there is none of it."""
    parts = []
    if record["acknowledgements"]:
        parts.append(paragraph("Work that uses this catalogue should credit:"))
        parts.append(_listed(record["acknowledgements"]))
    credit = Credit.model_validate(record.get("credit") or {})
    parts += [paragraph(words) for words in credit.thanks]
    if credit.references:
        parts.append(paragraph("and cite:"))
        parts.append(_listed(one.line for one in credit.references))
        parts.append(paragraph("The command `cite` prints BibTeX of the catalogue and of these."))
    if credit.license:
        parts.append(paragraph(f"Licence of the data: {credit.license}."))
    return "\n".join(parts)


def _listed(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>"


def headline(summary: Summary, record: Record) -> str:
    """Return the figures that a reader wants first."""
    requested = int(record["accounting"]["requested"])
    facts = (
        ("Sources published", summary.rows, "of requested", requested),
        (
            f"{_all_labels(summary).capitalize()} given",
            summary.with_all_labels,
            "of published",
            summary.rows,
        ),
        ("Outside a training limit", summary.outside, "of published", summary.rows),
        *_with_spectra(summary),
        *_of_tiers(summary),
    )
    items = "".join(
        f"<div><dt>{text(title)}</dt><dd>{text(number(count))}"
        f" <small>{text(percent(count, whole))} {of}</small></dd></div>"
        for title, count, of, whole in facts
    )
    return f'<dl class="facts">{items}</dl>'


def _with_spectra(summary: Summary) -> Iterator[tuple[str, int, str, int]]:
    for name, spec in summary.shown.contract.inputs.spectra.items():
        count = summary.filled[f"has_{name}"]
        yield f"With {a_spectrum(spec.title)}", count, "of published", summary.rows


def _of_tiers(summary: Summary) -> Iterator[tuple[str, int, str, int]]:
    for tier in summary.schema.flags.tiers:
        count = summary.tiers[tier.tier]
        yield (
            f"Tier {tier.tier}, {tier.name.replace('_', ' ')}",
            count,
            "of published",
            summary.rows,
        )


def _labels(summary: Summary, schema: CatalogSchema) -> str:
    parts = [tables.labels(summary, schema)]
    if missing := [q.html for name, q in summary.shown.items() if not summary.filled[name]]:
        parts.append(
            paragraph(
                Html(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'}"),
                " given for no star: no star had an input from which the model could tell,"
                " or too few training stars had the label.",
            )
        )
    picture = curves.distributions(summary, schema)
    words = (
        "Distribution of each label. Shaded: stars whose value lies inside the range of the"
        " training labels; line: all stars that have the label. The axes leave out the outermost"
        " 0.05 per cent on each side."
    )
    absent = "No star has a label: there is no distribution to show."
    parts.append(diagrams.figure(picture, words, absent))
    parts.append(tables.inputs_used(summary, schema))
    return "\n".join(parts)


def _test(record: Record, schema: CatalogSchema, summary: Summary) -> str:
    words = paragraph(
        "Of the model's labelled stars the few that took part neither in training nor in"
        " calibration. The difference is prediction minus label. ",
        Html("<em>Robust scatter</em>"),
        " is 1.4826 times the median absolute deviation about the median; ",
        Html("<em>bias</em>"),
        " the median; coverage is the share of stars whose difference is smaller than √(σ² + σ²",
        Html("<sub>label</sub>"),
        "), and smaller than the 95 % interval widened likewise: honest uncertainties bring them"
        " to 68.3 and 95 %. ▾ marks shares that are too small, ▴ too large, by more than chance"
        " brings in 5 of 100 cases.",
    )
    parts = [_whose(record), words, measures.metrics(record, schema, summary.shown)]
    if measured := record.get("measured_here"):
        parts.append(paragraph(Html("<strong>"), measured_in_words(measured), Html("</strong>")))
        parts.append(measures.metrics(measured, schema, summary.shown))
    if unverified := unverified_in_words(record):
        parts.append(paragraph(Html("<strong>"), unverified, Html("</strong>")))
    return "\n".join(parts)


def _whose(record: Record) -> str:
    """Say whose test stars these are."""
    facts = record.get("model")
    if not facts:
        return paragraph("Of the model ", digest_cell(record["model_digest"]), ".")
    origin = ModelOrigin.model_validate(facts)
    given = bool(facts["trained_elsewhere"])
    return paragraph(
        Html("<strong>"),
        whose_metrics(record["model_digest"], origin, given=given),
        Html("</strong>"),
    )


def _flags(summary: Summary, schema: CatalogSchema) -> str:
    digits = in_words(len(summary.digit_names))
    words = paragraph(
        "Labels are reliable inside the training sample only. The string ",
        Html("<code>training_range</code>"),
        f" says where each star lies, with a digit for each of {digits} quantities, after Guiglion"
        " et al. 2024 (A&A 682, A9): 0 inside the limits of the training stars, 1 outside,"
        " 9 nothing to test: the star lacks this label, or its labels do not rest on the magnitude"
        " or the parallax, though the column may have a value. The zarr store carries the same in"
        " the bits of ",
        Html("<code>flags</code>"),
        ". A limit is no guarantee: a star can lie inside every one of them and still be unlike"
        " any training star.",
    )
    compared = [bit.bit for bit in schema.flags.bits if "distance" in bit.parameters]
    strange = paragraph(
        f"Bits {numbers(compared)} look at the spectra themselves. Each compares a distance to the"
        " training stars, a column of its own, with a limit beyond which lie 1 % of ordinary stars"
        " of the same noise; the column is in units of that limit, to draw it elsewhere."
    )
    parts = [words, tables.training_range(summary), strange]
    return "\n".join([*parts, tables.flags(summary, schema)])


def _reading(summary: Summary, schema: CatalogSchema) -> str:
    best = " and ".join(f"{tier.tier} ({tier.name})" for tier in schema.flags.tiers[:-1])
    inputs = summary.shown.contract.inputs
    read = [f"has_{name}" for name in inputs.names if f"has_{name}" in schema.names]
    rules = (
        "A null is NaN. A label is null where no answer could be given. One that is flagged has an"
        " answer, which is not to be used without thought: it stays, for selections need to see it;"
        " open_catalog(path, clean=True) makes it null.",
        "e_ columns are one sigma, calibrated on stars that trained nothing: the distance of the"
        " prediction to the truth. Errors of the labels of one star are correlated; the corr_"
        " columns complete the covariance matrix.",
        f"{listed(read)} say{'s' if len(read) == 1 else ''} what was read; the bits"
        f" {listed([f'{name}_used' for name in inputs.names])} say what the labels were derived"
        " from.",
        f"quality_tier is the one column to filter on: {best} are the stars to work with. Stars"
        f" with digits {'0' * len(summary.shown)} at the start of training_range lie inside the"
        f" limits of {_all_labels(summary)}; cut further on flags and e_ columns as the question at"
        " hand needs.",
        *distances.rules(summary, schema),
        "source_id is valid within this release of Gaia only.",
    )
    items = "".join(f"<li>{text(rule)}</li>" for rule in rules)
    example = (
        "from catalog_builder import open_catalog\n\n"
        'catalogue = open_catalog("the folder of this page")\n'
        "good = catalogue.quality_tier.isin([1, 2])\n"
        f"{_regular(summary, schema)}"
    )
    return f"<ul>{items}</ul>\n<pre><code>{text(example)}</code></pre>"


def _regular(summary: Summary, schema: CatalogSchema) -> str:
    """Return the end of the example: with a bit, where there are spectra of lines."""
    first = next(iter(summary.shown.contract.inputs.lines), None)
    if first is None:
        return "stars = catalogue.isel(source=good.values)\n"
    bit = schema.flags[f"{first}_unlike_any_star"]
    return (
        f"regular = (catalogue.{bit.column} & {bit.mask}) == 0  # bit {bit.name}\n"
        "stars = catalogue.isel(source=(good & regular).values)\n"
    )


def _all_labels(summary: Summary) -> str:
    count = len(summary.shown)
    return "the label" if count == 1 else f"all {in_words(count)} labels"


def _columns(summary: Summary, schema: CatalogSchema) -> str:
    empty = tables.null_columns(summary, schema)
    words = ""
    if empty:
        names = ", ".join(f"<code>{text(name)}</code>" for name in empty)
        words = paragraph("Null for every source: ", Html(names), ".") + "\n"
    return words + tables.columns(summary, schema)
