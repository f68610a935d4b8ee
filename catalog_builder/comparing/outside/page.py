"""The page of a comparison with another table: one file, with nothing loaded from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from catalog_builder.comparing.outside import figures, tables
from catalog_builder.comparing.outside.engine import Beside
from catalog_builder.comparing.outside.outliers import BEYOND
from catalog_builder.comparing.outside.words import ERRORS, LEAST_STARS, SIMULATED, in_words
from catalog_builder.comparing.page import banner, whole_page
from catalog_builder.report.diagrams import figure
from catalog_builder.report.html import Html, paragraph, text
from catalog_builder.report.pictures import report_style


def write_page(found: Beside) -> str:
    """Return the page as HTML; the same comparison gives the same bytes."""
    with report_style():
        sections = list(_sections(found))
    ours, theirs = text(found.side.title), text(found.mapping.title)
    calibrated = f", calibrated by {text(found.calibration)}" if found.calibration else ""
    head = (
        f'<p class="edition">Ours less theirs{calibrated}, for stars matched by'
        f" {text(found.matched_by)}</p>\n<p><strong>{text(in_words(found))}</strong></p>\n"
        f"{_warning(found)}{tables.headline(found)}"
    )
    return whole_page(
        f"{ours} beside {theirs}",
        banner(found.side) + _simulated(found),
        head,
        sections,
        "catalog-builder compare",
    )


def _sections(found: Beside) -> Iterator[tuple[str, str, str]]:
    yield "labels", "Labels", _labels(found)
    yield "trends", "What the differences depend on", _trends(found)
    yield "outliers", "Outliers", _outliers(found)
    yield "stars", "Stars left out", tables.left_out(found)
    yield "table", "The other table", _about(found)
    yield "rules", "How it is computed", _rules(found)


def _labels(found: Beside) -> str:
    few = f"No label has {LEAST_STARS} stars in both: there is nothing to draw."
    first = "Density of stars, theirs to the right and ours upwards; line: both are equal."
    second = (
        "Differences in units of the expected ones; dashed: a Gaussian of width 1. Beyond ± 5 are"
        " counted, not shown."
    )
    absent = f"The other table gives no errors for {LEAST_STARS} stars: there are no pulls."
    parts = [tables.labels(found), figure(figures.planes(found), first, few)]
    parts.append(figure(figures.pulls(found), second, absent))
    for names, whose in ((found.only_ours, "catalogue"), (found.only_theirs, "other table")):
        if names:
            parts.append(paragraph(f"Only the {whose} has: {', '.join(names)}."))
    return "\n".join(parts)


def _trends(found: Beside) -> str:
    words = (
        "Points: median of ours less theirs with its error. Bars: its robust scatter; blue marks:"
        " the scatter that both errors say, or our σ where the other table gives none."
        f" Left out: regimes of fewer than {LEAST_STARS} stars."
    )
    drawn = [figure(picture, words, "") for picture in figures.trends(found)]
    return "\n".join(
        [
            tables.slopes(found),
            *(drawn or [paragraph("No regime holds enough stars.")]),
            f"<details><summary>The same in numbers</summary>\n{tables.regimes(found)}\n</details>",
        ]
    )


def _outliers(found: Beside) -> str:
    words = paragraph(
        f"Stars further than {BEYOND:g} widths from the middle of the distribution of pulls. Where"
        " one of our flags is far commoner among them than among all, it says why; where none is,"
        " the other table or a wrong match may be at fault. The JSON file lists more of them."
    )
    none = [name for name, them in found.outliers.items() if not them.stars]
    parts = [words, *(tables.outliers(found, n) for n in found.tallies if n not in none)]
    if none:
        parts.append(paragraph(f"None of {', '.join(none)}."))
    return "\n".join(parts)


def _about(found: Beside) -> str:
    mapping = found.mapping
    items = [*mapping.notes]
    items += [f"{n}: {v.note}" for n, v in mapping.labels.items() if v.note]
    items += [f"Cite: {each}." for each in mapping.cite]
    if found.calibration is not None:
        calibration = mapping.calibrations[found.calibration]
        items.append(f"Calibration: {calibration.title} ({calibration.cite}).")
    if mapping.checked:
        items.append(f"Checked: {mapping.checked}")
    names = [path.name for path in found.files]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    items.append(f"Files: {shown}.")
    if found.passed_over:
        items.append(
            f"Passed over, for no star of the catalogue is there: {found.passed_over} more."
        )
    return f"<ul>{''.join(f'<li>{_with_code(item)}</li>' for item in items)}</ul>"


def _with_code(words: str) -> str:
    """Return words in which what stands in backticks is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", text(words))


def _simulated(found: Beside) -> str:
    if not found.simulated:
        return ""
    title = text(found.mapping.title)
    return (
        f'<p class="banner" role="note"><strong>{SIMULATED}.</strong> What is called {title} here'
        " are drawn values.</p>\n"
    )


def _warning(found: Beside) -> str:
    if not found.mapping.to_be_checked:
        return ""
    return paragraph(
        Html("<strong>Not checked against a published file:</strong> "),
        "the column names of this profile are from documentation. What is under them in your file"
        " is for you to look at.",
    )


def _rules(found: Beside) -> str:
    taught = (
        "Stars that taught the model are compared like all others."
        if found.taught
        else "Stars that taught the model (in_training_sample) are left out, and counted."
    )
    items = (
        taught,
        "The median's error is a quarter of the distance between the quantiles 0.5 ± 1/√n, whatever"
        " the distribution. The scatter is 1.4826 times the median absolute deviation. Both come"
        " from bins 1 % wide.",
        "The expected difference of a star is √(σ² + error²), for independent errors. Both may lean"
        " on the same photons or labels: then differences are smaller than that.",
        "Along our labels, stars are placed by the mean of both values weighted by 1/σ²: by one of"
        " them alone, noise would look like a trend. Where the other table gives no errors, what"
        " the scatter leaves for them is taken.",
        "Slopes are of straight lines through all differences within four robust deviations of the"
        f" median; told of are those of more than {ERRORS:g} errors. A label that is a mean over"
        " what is possible leans towards the middle of the training stars where data say little:"
        " slopes of a few per cent are no fault of the other table.",
    )
    return f"<ul>{''.join(f'<li>{text(item)}</li>' for item in items)}</ul>"
