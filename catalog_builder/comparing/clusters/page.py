"""The page about clusters: one file, with nothing loaded from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from catalog_builder.comparing.clusters import figures
from catalog_builder.comparing.clusters.engine import Clusters
from catalog_builder.comparing.clusters.fit import LEAST_STARS
from catalog_builder.comparing.page import banner, whole_page
from catalog_builder.contract.labels import Label
from catalog_builder.report.diagrams import figure
from catalog_builder.report.html import NOTHING, Cell, Html, measure, number, table, text
from catalog_builder.report.pictures import report_style
from catalog_builder.report.quantities import difference_unit

#: Clusters of each label that the page lists; the JSON file has all.
_LISTED: Final = 60


def write_page(found: Clusters, words: str) -> str:
    """Return the page as HTML; the same clusters give the same bytes.

    Parameters
    ----------
    found : Clusters
    words : str
        What is said first.
    """
    with report_style():
        sections = list(_sections(found))
    title = f"{text(found.side.title)} within star clusters"
    head = f"<p><strong>{text(words)}</strong></p>\n{_headline(found)}"
    return whole_page(title, banner(found.side), head, sections, "catalog-builder clusters")


def _sections(found: Clusters) -> Iterator[tuple[str, str, str]]:
    yield "labels", "Scatter within clusters", _scatter(found)
    yield "trend", "Trend with temperature", _trend(found)
    if found.literature:
        yield "literature", "Means beside the literature", _literature(found)
    yield "clusters", "Cluster by cluster", _clusters(found)
    yield "rules", "How it is computed", _rules(found)


def _headline(found: Clusters) -> str:
    most = max((each.clusters for each in found.pooled.values()), default=0)
    facts = (
        ("Clusters", most, f"with {LEAST_STARS} stars or more"),
        ("Stars", found.stars, f"of {len(found.members.ids)} members"),
        *((why[:1].upper() + why[1:], n, "left out") for why, n in found.left_out.items() if n),
    )
    items = "".join(
        f"<div><dt>{text(title)}</dt><dd>{text(number(count))}"
        f" <small>{text(small)}</small></dd></div>"
        for title, count, small in facts
    )
    return f'<dl class="facts">{items}</dl>'


def _scatter(found: Clusters) -> str:
    rows: list[tuple[Cell, ...]] = []
    for label in found.labels:
        if (each := found.pooled.get(label.name)) is None:
            continue
        digits = label.decimals + 1
        rows.append(
            (
                _symbol(label),
                difference_unit(found.side.schema, label.name),
                number(each.clusters),
                number(each.stars),
                _pair(each.factor, each.factor_error, 2),
                measure(each.intrinsic, digits),
                _pair(each.slope, each.slope_error, digits, signed=True),
            )
        )
    head = (
        *("Label", "Unit", "Clusters", "Stars", "Scatter / σ", "Median intrinsic scatter"),
        "Slope per 1000 K",
    )
    words = (
        "Each point is a cluster: robust scatter of its stars against their median uncertainty."
        " On the line, σ says it all; above it there is more."
    )
    return "\n".join(
        [
            table("All clusters together", head, rows, words=2),
            figure(figures.scatters(found), words, "No cluster has enough stars."),
        ]
    )


def _trend(found: Clusters) -> str:
    words = (
        "Differences of stars from the mean of their cluster against their temperature: medians"
        " with errors, and the range of 68 %. Stars of a cluster were born with the same"
        " abundances: a trend is ours, or of diffusion and evolution."
    )
    return figure(figures.trends(found), words, "No cluster has enough stars.")


def _literature(found: Clusters) -> str:
    words = "Mean of each cluster less the literature's, against the literature's."
    parts = [figure(figures.literature(found), words, "No cluster is in both.")]
    for label in found.labels:
        rows: list[tuple[Cell, ...]] = []
        digits = label.decimals
        for cluster, each in found.fits[label.name].items():
            if (said := found.of_literature(label.name, cluster)) is None:
                continue
            value, error = said
            off = math.hypot(each.mean_error, error) if math.isfinite(error) else math.nan
            rows.append(
                (
                    cluster,
                    number(each.stars),
                    _pair(each.mean, each.mean_error, digits, signed=True),
                    _pair(value, error, digits, signed=True),
                    measure(each.mean - value, digits, signed=True),
                    measure((each.mean - value) / off, 1, signed=True),
                )
            )
        if rows:
            head = ("Cluster", "Stars", "Ours", "Literature", "Difference", "In errors")
            parts.append(table(f"{label.short}", head, rows[:_LISTED]))
    return "\n".join(parts)


def _clusters(found: Clusters) -> str:
    parts = []
    for label in found.labels:
        fits = sorted(found.fits[label.name].items(), key=lambda item: -item[1].stars)
        digits = label.decimals
        rows: list[tuple[Cell, ...]] = [
            (
                cluster,
                number(each.stars),
                number(each.strays),
                _pair(each.mean, each.mean_error, digits, signed=True),
                measure(each.scatter, digits),
                measure(each.sigma, digits),
                _pair(each.chi2, each.chi2_error, 2),
                measure(each.intrinsic, digits),
                Html(
                    f"{_shown(each.intrinsic_low, digits)} to {_shown(each.intrinsic_high, digits)}"
                ),
                measure(each.intrinsic_upper, digits),
                _pair(each.slope, each.slope_error, digits, signed=True),
            )
            for cluster, each in fits[:_LISTED]
        ]
        head = (
            *("Cluster", "Stars", "Strays", "Mean", "Scatter", "σ", "Reduced χ²", "Intrinsic"),
            *("68 %", "95 % below", "Slope per 1000 K"),
        )
        caption = f"{label.short}: {len(rows)} of {len(fits)} clusters"
        parts.append(
            f"<details><summary>{text(label.short)}</summary>\n"
            f"{table(caption, head, rows)}\n</details>"
        )
    return "\n".join(parts)


def _rules(found: Clusters) -> str:
    taught = (
        "Stars that taught the model count like all others."
        if found.taught
        else "Stars that taught the model (in_training_sample) are left out, and counted."
    )
    items = (
        taught,
        "Scatter² = σ² + intrinsic²: mean and intrinsic scatter are those of the greatest"
        " likelihood, with the mean integrated out; its interval is where 2 ln L is within 1 of its"
        " maximum.",
        "Strays, stars further than 4 deviations from the median of their cluster, are left out:"
        " not every member is one.",
        "Scatter / σ is the root of the reduced χ² of all clusters: what σ would have to be"
        " multiplied with, were no cluster intrinsically scattered. It cannot be told apart from"
        " intrinsic scatter, or from members that are none.",
        "A label and our temperature have errors in common (the columns corr_...): a slope of a few"
        " thousandths per 1000 K can come from there where temperatures hardly differ.",
    )
    return f"<ul>{''.join(f'<li>{text(item)}</li>' for item in items)}</ul>"


def _pair(value: float, error: float, digits: int, *, signed: bool = False) -> Cell:
    if not math.isfinite(value):
        return NOTHING
    shown = _shown(value, digits, signed=signed)
    return Html(f"{shown} ± {_shown(error, digits)}" if math.isfinite(error) else shown)


def _shown(value: float, digits: int, *, signed: bool = False) -> str:
    return text(measure(value, digits, signed=signed))


def _symbol(label: Label) -> Html:
    return Html(f"{label.html} <code>{label.name}</code>")
