"""The page of a comparison: one file, with nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from catalog_builder.catalog.origins import heading, record_in_words
from catalog_builder.comparing import figures, tables, verdict
from catalog_builder.comparing.engine import Comparison
from catalog_builder.comparing.sides import Side
from catalog_builder.report.diagrams import figure
from catalog_builder.report.html import Html, paragraph, text
from catalog_builder.report.pictures import report_style

#: How the expected difference is made, as the page says it.
_EXPECTED = (
    "The expected difference of a star is √(σ<sub>old</sub>² + σ<sub>new</sub>² − 2ρ"
    " σ<sub>old</sub> σ<sub>new</sub>). ρ is what the errors of both have in common: photons that"
    " both releases saw, labels that both networks learnt from, and the population that both lean"
    " on where data say little. Three cases: <em>errors independent</em>, ρ = 0; <em>data"
    " nested</em>, where the new data contain the old ones and each answer is the best one from its"
    " data, and the variance of the difference is |σ<sub>old</sub>² − σ<sub>new</sub>²|; and wholly"
    " shared errors, ρ = 1, the least that there can be."
)


def write_page(comparison: Comparison) -> str:
    """Return the page as HTML; the same comparison gives the same bytes."""
    with report_style():
        sections = list(_sections(comparison))
    old, new = text(comparison.old.title), text(comparison.new.title)
    head = (
        f'<p class="edition">New less old, for stars matched by {text(comparison.matched_by)}</p>\n'
        f"<p><strong>{text(verdict.in_words(comparison))}</strong></p>\n"
        f"{tables.headline(comparison)}"
    )
    banners = "".join(banner(side) for side in (comparison.old, comparison.new))
    return whole_page(
        f"Drift from {old} to {new}", banners, head, sections, "catalog-builder drift"
    )


def whole_page(
    title: str, banners: str, head: str, sections: Sequence[tuple[str, str, str]], made_by: str
) -> str:
    """Return a page: banners, title, what is said first, and sections with links to them.

    Parameters
    ----------
    title, banners, head : str
        Markup.
    sections : sequence of (str, str, str)
        Anchor, title as text, and markup.
    made_by : str
        The command.
    """
    links = "".join(f'<li><a href="#{a}">{text(words)}</a></li>' for a, words, _ in sections)
    main = "\n".join(
        f'<section id="{anchor}">\n<h2>{text(words)}</h2>\n{body}\n</section>'
        for anchor, words, body in sections
    )
    style = files("catalog_builder.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"{banners}<header>\n<h1>{title}</h1>\n{head}\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n</header>\n'
        f"<main>\n{main}\n</main>\n"
        f"<footer>Made by <code>{made_by}</code>; the same numbers are in the JSON file"
        " beside this page.</footer>\n</body>\n</html>\n"
    )


def _sections(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    yield "labels", "Labels", _labels(comparison)
    yield "regimes", "By regime", _regimes(comparison)
    yield "correlation", "What the errors share", _correlation(comparison)
    yield "tiers", "Tiers and nulls", _tiers(comparison)
    yield "flags", "Flags", tables.flags(comparison)
    yield "stars", "Stars gained and lost", _stars(comparison)
    yield "rules", "How it is judged", _rules()


def _labels(comparison: Comparison) -> str:
    if not comparison.tallies:
        return paragraph("The two have no label in common.")
    words = (
        "Differences in units of the expected ones; dashed: a Gaussian of width 1. Beyond ± 5 are"
        " counted, not shown."
    )
    parts = [tables.labels(comparison)]
    for names, whose in ((comparison.only_old, "old"), (comparison.only_new, "new")):
        if names:
            parts.append(paragraph(f"Only the {whose} one has: {', '.join(names)}."))
    absent = f"No label has {verdict.LEAST_STARS} stars in both: there is nothing to draw."
    parts.append(figure(figures.pulls(comparison), words, absent))
    return "\n".join(parts)


def _regimes(comparison: Comparison) -> str:
    few = f"Regimes of fewer than {verdict.LEAST_STARS} stars are left out."
    absent = "No regime holds enough stars."
    first = f"Median difference in units of the new sigma, with its error. {few}"
    second = "Share of stars within one expected difference; strong: at the adopted ρ."
    return "\n".join(
        [
            tables.outstanding(comparison),
            figure(figures.medians(comparison), first, absent),
            figure(figures.shares(comparison), second, absent),
            "<details><summary>The same in numbers</summary>\n"
            f"{tables.regimes(comparison)}\n</details>",
        ]
    )


def _correlation(comparison: Comparison) -> str:
    words = paragraph(
        "The last column is the ρ at which 68 % of the differences would be within the expected"
        " one, taking all uncertainties for right; nothing is judged by it. Below 0, differences"
        " are larger than independent errors allow."
    )
    return "\n".join([paragraph(Html(_EXPECTED)), tables.correlations(comparison), words])


def _tiers(comparison: Comparison) -> str:
    parts = [tables.tiers(comparison)] if comparison.changes.tiers is not None else []
    return "\n".join([*parts, tables.nulls(comparison)])


def _stars(comparison: Comparison) -> str:
    words = paragraph(
        "Of a star that is not in a catalogue, the catalogue does not say why: its accounting has"
        " the reasons as totals. Below are what the ids tell, and both accountings."
    )
    return "\n".join([words, tables.departures(comparison), tables.accountings(comparison)])


def _rules() -> str:
    items = (
        f"A label drifts if its median difference is more than {verdict.MEDIAN:g} of the new sigma"
        f" and more than {verdict.ERRORS:g} of its own errors from 0; or if the share within one"
        f" expected difference is below 68.3 % by more than {100 * verdict.SHARE:g} % and than"
        f" {verdict.ERRORS:g} of its own errors, even for independent errors. It agrees if the"
        " share is right at the adopted ρ. Within bounds: at some other ρ from 0 to 1. Too small:"
        " above it at any; the answers agree better than their sigma says.",
        "The median's error is a quarter of the distance between the quantiles 0.5 ± 1/√n, whatever"
        " the distribution. The scatter is 1.4826 times the median absolute deviation. Both come"
        " from bins 1 % wide.",
        "Temperatures of regimes are the mean of old and new weighted by 1/σ²: a division by one of"
        " them alone would show a shift where errors were large. S/N is the old one, the tier the"
        " worse of both.",
        f"Regimes are judged likewise, by {verdict.REGIME_ERRORS:g} errors in place of"
        f" {verdict.ERRORS:g}: there are a hundred of them. Those of fewer than"
        f" {verdict.LEAST_STARS} stars are not judged.",
    )
    return f"<ul>{''.join(f'<li>{text(item)}</li>' for item in items)}</ul>"


def banner(side: Side) -> str:
    """Return the words above a page of a catalogue that is simulated or not proven real."""
    facts: Mapping[str, Any] = getattr(side, "facts", {})
    words = record_in_words(facts)
    if not words:
        return ""
    what = heading(bool(facts.get("simulated")))
    return (
        f'<p class="banner" role="note"><strong>{what}.</strong> {text(side.title)}:'
        f" {text(words)}</p>\n"
    )
