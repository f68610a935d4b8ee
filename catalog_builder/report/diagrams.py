"""Sections that are figures: each with its caption, and with words where there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.words import with_article
from catalog_builder.report import beside, curves, maps
from catalog_builder.report.html import Cell, Html, number, paragraph, text
from catalog_builder.report.pictures import Picture
from catalog_builder.report.summary import NO_SPECTRUM, Summary
from catalog_builder.report.words import a_spectrum, beyond, spelled, stars

# A fold says which tables are in it: so many by name.
_CAPTION: Final = re.compile(r"<caption>(.*?)</caption>", re.DOTALL)
_TITLES: Final = 3

# Width in inches of a figure that fills the page, so that letters have one size in all of them.
_PAGE_WIDTH: Final = 10.2


def completeness(summary: Summary) -> str:
    """Return the section on how many sources there are, and what they have."""
    magnitude, band = summary.shown.contract.inputs.magnitude, summary.shown.magnitude_title
    if magnitude is None:
        return paragraph("No magnitude is an input: completeness cannot be shown against one.")
    words = (
        f"First: published sources against {band}. Then, the share of them that has each label,"
        " without the labels that no star has; and the share whose labels were derived from each"
        " input. The shares are of"
        " published, not of existing stars: the selection of the archive and of the survey comes"
        f" before them. Sources without {band}:"
        f" {spelled(summary.rows - summary.filled[magnitude])}."
    )
    absent = (
        f"No source has {with_article(band)} magnitude: completeness against {band} cannot be"
        " shown."
    )
    picture = curves.completeness(summary)
    return figure(picture, words, absent, beside.completeness(summary) if picture else "")


def precision(summary: Summary, schema: CatalogSchema) -> str:
    """Return the section on uncertainties."""
    rule = (
        "Line: median of the calibrated one-sigma uncertainty; shaded: its 16 to 84 per cent"
        f" range. Bins of fewer than {curves.MIN_STARS} stars are left out."
    )
    inputs, band = summary.shown.contract.inputs, summary.shown.magnitude_title
    parts = []
    for name in (summary.shown.compared or (NO_SPECTRUM,)) if inputs.magnitude else ():
        split = f", for stars whose {inputs.title(name)} spectrum was used and was not"
        words = f"Uncertainty against {band}{split if name else ''}. {rule}"
        absent = (
            f"No bin of {band} holds {curves.MIN_STARS} stars with an uncertainty: there is no"
            f" median against {band} to show."
        )
        picture = curves.uncertainty_by_magnitude(summary, schema, name)
        parts.append(figure(picture, words, absent, beside.by_magnitude(summary, name)))
    for name in summary.shown.measured:
        title = inputs.title(name)
        words = (
            f"Uncertainty against the signal-to-noise ratio of the {title} spectrum, where it was"
            f" used. {rule}"
        )
        absent = (
            f"No bin of S/N holds {curves.MIN_STARS} stars whose {title} spectrum was used: there"
            " is no median against S/N to show."
        )
        picture = curves.uncertainty_by_snr(summary, schema, name)
        parts.append(figure(picture, words, absent, beside.by_snr(summary, name)))
    return "\n".join(parts or [paragraph("No input to show the uncertainties against.")])


def kiel(summary: Summary, schema: CatalogSchema) -> str:
    """Return the Kiel diagram with its words."""
    if summary.shown.kiel is None or summary.kiel is None:
        return paragraph("The labels do not hold both a temperature and a gravity.")
    teff, logg = summary.shown.kiel
    metallicity = maps.metallicity_of_kiel(summary)
    if metallicity:
        second = f" Second: mean {summary.shown[metallicity].html} in each cell."
    else:
        second = _no_metallicity([summary.shown[name].html for name in summary.shown.metallicities])
    words = Html(
        f"{stars(summary.kiel.stars)} inside the training ranges of"
        f" {teff.html} and {logg.html}; temperature increases to the left,"
        f" gravity downwards. First: number of stars.{second}{beyond(summary.kiel.beyond)}"
    )
    absent = (
        f"No star has both {schema[teff.name].title.lower()} and {schema[logg.name].title.lower()}"
        " inside the training ranges: there is no Kiel diagram to show."
    )
    means = summary.kiel_metallicity[metallicity] if metallicity else summary.kiel
    numbers = beside.plane(means, teff.html, logg.html)
    return figure(maps.kiel(summary, schema), words, absent, numbers)


def _no_metallicity(known: Sequence[str]) -> str:
    if not known:
        return " No label is a metallicity, so none is shown."
    given = f"Neither {' nor '.join(known)} is" if len(known) > 1 else f"{known[0]} is not"
    return f" {given} given, so no metallicity is shown."


def abundances(summary: Summary, schema: CatalogSchema) -> str:
    """Return the planes of abundances."""
    parts = []
    alpha = summary.shown.first("alpha")
    if summary.shown.alpha_planes and alpha is not None:
        planes = [plane for plane in summary.shown.alpha_planes if summary.abundance[plane].stars]
        counts = " and ".join(
            f"{text(number(summary.abundance[plane].stars))} with {summary.shown[plane[0]].html}"
            for plane in planes
        )
        hidden = sum(summary.abundance[plane].beyond for plane in planes)
        words = Html(
            f"{alpha.html} against metallicity, of stars inside the training ranges of both:"
            f" {counts}. The disc of the Galaxy is expected to show two sequences, the thick disc"
            f" above the thin one.{beyond(hidden)}"
        )
        absent = Html(
            f"No star has {alpha.html} and a metallicity inside the training ranges: there is no"
            " abundance plane to show."
        )
        numbers = _planes(summary, planes)
        parts.append(figure(maps.abundances(summary, schema), words, absent, numbers))
    if summary.shown.other_planes:
        parts.append(_other_abundances(summary, schema))
    return "\n".join(parts or [paragraph("No two labels are a metallicity and an abundance.")])


def _other_abundances(summary: Summary, schema: CatalogSchema) -> str:
    planes = summary.shown.other_planes
    metallicity = summary.shown[planes[0][0]].html
    words = Html(
        f"The other abundances against {metallicity}, of stars inside the training ranges of both."
        f"{beyond(sum(summary.abundance[plane].beyond for plane in planes))}"
    )
    absent = Html(
        f"No star has {metallicity} and another abundance inside the training ranges: there is no"
        " plane of these to show."
    )
    numbers = _planes(summary, planes)
    return figure(maps.other_abundances(summary, schema), words, absent, numbers)


def _planes(summary: Summary, planes: Sequence[tuple[str, str]]) -> str:
    return "\n".join(
        beside.plane(summary.abundance[x, y], summary.shown[x].html, summary.shown[y].html)
        for x, y in planes
        if summary.abundance[x, y].stars
    )


def sky(summary: Summary) -> str:
    """Return the map of the sky."""
    unknown = summary.rows - summary.sky.stars
    words = (
        "All published sources in galactic coordinates, Mollweide projection, in cells of equal"
        " area; the centre of the Galaxy is in the middle and longitude increases to the left."
        f" White: no source. Sources without position: {spelled(unknown)}."
    )
    absent = "No source has a position: there is no map to show."
    return figure(maps.sky(summary), words, absent, beside.sky(summary))


def spectra(summary: Summary, schema: CatalogSchema, name: str) -> str:
    """Return the map of the spectra of a kind."""
    title = text(summary.shown.contract.inputs.title(name))
    words = Html(
        f"Every star with {text(a_spectrum(summary.shown.contract.inputs.title(name)))}, at the"
        " place of its most similar training spectra on a"
        f" t-SNE map of these ({name}_map_x, {name}_map_y), coloured by the labels inside their"
        " training ranges. Neighbours resemble each other; axes, distances and sizes of islands"
        " have no meaning. White: no star."
        f" The bit outside_{name}_map marks stars unlike their neighbours."
    )
    absent = Html(f"No star has a place on the map of the {title} spectra: there is none to show.")
    numbers = "\n".join(
        f"<p>{summary.shown[label].html}</p>{beside.plane(mean, 'x', 'y')}"
        for (seen, label), mean in summary.spectra_map.items()
        if seen == name and mean.stars
    )
    return figure(maps.spectra(summary, schema, name), words, absent, numbers)


def figure(
    picture: Picture | Sequence[Picture] | None,
    caption: Cell,
    absent: Cell,
    numbers: str = "",
    anchor: str = "",
) -> str:
    """Return a picture with its caption, or the paragraph that stands in its place.

    Parameters
    ----------
    picture : Picture or sequence of Picture, optional
        What is shown; panels stand side by side where there is room, and one under the other on a
        phone.
    caption, absent : str or Html
        What is told of it, and where there is none.
    numbers : str, optional
        The same as tables, for who cannot see it.
    anchor : str
        By which links find it.
    """
    if not picture:
        return paragraph(absent)
    pictures = [picture] if isinstance(picture, Picture) else picture
    drawn = "".join(
        f'<img style="width:{100 * min(one.width / _PAGE_WIDTH, 1.0):.1f}%" src="{one.uri}"'
        f' alt="{text(one.alt)}">'
        for one in pictures
    )
    mark = f' id="{anchor}"' if anchor else ""
    return (
        f'<figure{mark}><div class="panels">{drawn}</div><figcaption>{text(caption)}</figcaption>'
        f"{folded(numbers)}</figure>"
    )


def folded(numbers: str) -> str:
    """Return tables that a reader opens."""
    if not numbers:
        return ""
    found = list(dict.fromkeys(_CAPTION.findall(numbers)))
    more = f"; and {len(found) - _TITLES} more" if len(found) > _TITLES else ""
    kind = "Table" if len(found) == 1 else "Tables"
    title = f"{kind}: {'; '.join(found[:_TITLES])}{more}"
    return f"<details><summary>{title}</summary>\n{numbers}\n</details>"
