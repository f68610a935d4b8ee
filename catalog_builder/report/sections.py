"""The sections of the page: words, tables and figures in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from catalog_builder.model.origin import ModelOrigin
from catalog_builder.origins import whose_metrics
from catalog_builder.report import curves, maps, tables
from catalog_builder.report.html import Cell, Html, number, paragraph, percent, table, text
from catalog_builder.report.pictures import Picture, report_style
from catalog_builder.report.quantities import BY_NAME
from catalog_builder.report.summary import Summary
from catalog_builder.schema import LABELS, CatalogSchema

Record = Mapping[str, Any]

# Width in inches of a figure that fills the page, so that letters have one size in all of them.
_PAGE_WIDTH: Final = 10.2


def write(
    summary: Summary, record: Record, schema: CatalogSchema
) -> Iterator[tuple[str, str, str]]:
    """Yield anchor, title and markup of each section."""
    with report_style():
        yield "labels", "Labels", _labels(summary, schema)
        yield "accounting", "Accounting", tables.accounting(record)
        yield "test", "Test stars of the model", _test(record, schema)
        yield "completeness", "Completeness", _completeness(summary)
        yield "precision", "Uncertainties", _precision(summary, schema)
        yield "kiel", "Kiel diagram", _kiel(summary, schema)
        yield "abundances", "Abundances", _abundances(summary, schema)
        yield "sky", "Sky", _sky(summary)
        yield "flags", "Flags and training range", _flags(summary, schema)
        yield "map", "Map of the RVS spectra", _spectra(summary, schema)
        yield "reading", "How to read it", _reading(schema)
        yield "columns", "Columns", _columns(summary, schema)
        yield "made-from", "What it was made from", _made_from(record, schema)
    if record["acknowledgements"]:
        items = "".join(f"<li>{text(credit)}</li>" for credit in record["acknowledgements"])
        words = paragraph("Work that uses this catalogue should credit:")
        yield "credit", "Acknowledgements", f"{words}\n<ul>{items}</ul>"


def headline(summary: Summary, record: Record) -> str:
    """Return the figures that a reader wants first."""
    requested = int(record["accounting"]["requested"])
    facts = (
        ("Sources published", summary.rows, "of requested", requested),
        ("With all five labels", summary.with_all_labels, "of published", summary.rows),
        ("Inside all training limits", summary.wholly_inside, "of published", summary.rows),
        ("With an RVS spectrum", summary.filled["has_rvs"], "of published", summary.rows),
        ("With an XP spectrum", summary.filled["has_xp"], "of published", summary.rows),
    )
    items = "".join(
        f"<div><dt>{title}</dt><dd>{text(number(count))}"
        f" <small>{text(percent(count, whole))} {of}</small></dd></div>"
        for title, count, of, whole in facts
    )
    return f'<dl class="facts">{items}</dl>'


def _labels(summary: Summary, schema: CatalogSchema) -> str:
    parts = [tables.labels(summary, schema)]
    if missing := [name for name in LABELS if not summary.filled[name]]:
        parts.append(
            paragraph(
                _names(missing),
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
    parts.append(_figure(picture, words, "No star has a label: there is no distribution to show."))
    parts.append(tables.inputs_used(summary, schema))
    return "\n".join(parts)


def _test(record: Record, schema: CatalogSchema) -> str:
    words = paragraph(
        "Labelled stars that took part neither in training nor in calibration. The difference is"
        " prediction minus label. ",
        Html("<em>Robust scatter</em>"),
        " is 1.4826 times the median absolute deviation about the median; ",
        Html("<em>bias</em>"),
        " the median; coverage is the share of stars whose difference is smaller than √(σ² + σ²",
        Html("<sub>label</sub>"),
        "), and smaller than the 95 % interval widened likewise: honest uncertainties bring them"
        " to 68.3 and 95 %.",
    )
    return f"{_whose(record)}\n{words}\n{tables.metrics(record, schema)}"


def _whose(record: Record) -> str:
    """Say whose test stars these are."""
    facts = record.get("model")
    if not facts:
        return paragraph("Of the model ", _digest(record["model_digest"]), ".")
    origin = ModelOrigin.model_validate(facts)
    given = bool(facts["trained_elsewhere"])
    return paragraph(
        Html("<strong>"),
        whose_metrics(record["model_digest"], origin, given=given),
        Html("</strong>"),
    )


def _completeness(summary: Summary) -> str:
    words = (
        "Left: published sources against G. Then, the share of them that has each label,"
        " without the labels that no star has; and the share whose labels were derived from each"
        " input. The shares are of"
        " published, not of existing stars: the selection of the archive and of the survey comes"
        f" before them. Sources without G: {_spelled(_without_g(summary))}."
    )
    absent = "No source has a G magnitude: completeness against G cannot be shown."
    return _figure(curves.completeness(summary), words, absent)


def _precision(summary: Summary, schema: CatalogSchema) -> str:
    rule = (
        "Line: median of the calibrated one-sigma uncertainty; shaded: its 16 to 84 per cent"
        f" range. Bins of fewer than {curves.MIN_STARS} stars are left out."
    )
    by_magnitude = _figure(
        curves.uncertainty_by_magnitude(summary, schema),
        f"Uncertainty against G, for stars whose RVS spectrum was used and was not. {rule}",
        f"No bin of G holds {curves.MIN_STARS} stars with an uncertainty: there is no median"
        " against G to show.",
    )
    by_snr = _figure(
        curves.uncertainty_by_snr(summary, schema),
        f"Uncertainty against the signal-to-noise ratio of the RVS spectrum, where it was used."
        f" {rule}",
        f"No bin of S/N holds {curves.MIN_STARS} stars whose RVS spectrum was used: there is no"
        " median against S/N to show.",
    )
    return f"{by_magnitude}\n{by_snr}"


def _kiel(summary: Summary, schema: CatalogSchema) -> str:
    metallicity = maps.metallicity_of_kiel(summary)
    if metallicity:
        second = f" Right: mean {BY_NAME[metallicity].html} in each cell."
    else:
        second = " Neither [M/H] nor [Fe/H] is given, so no metallicity is shown."
    words = Html(
        f"{_stars(summary.kiel.stars)} inside the training ranges of"
        f" {BY_NAME['teff'].html} and {BY_NAME['logg'].html}; temperature increases to the left,"
        f" gravity downwards. Left: number of stars.{second}{_beyond(summary.kiel.beyond)}"
    )
    absent = (
        f"No star has both {schema['teff'].title.lower()} and {schema['logg'].title.lower()}"
        " inside the training ranges: there is no Kiel diagram to show."
    )
    return _figure(maps.kiel(summary, schema), words, absent)


def _abundances(summary: Summary, schema: CatalogSchema) -> str:
    shown = [name for name in ("m_h", "fe_h") if summary.abundance[name].stars]
    counts = " and ".join(
        f"{text(number(summary.abundance[name].stars))} with {BY_NAME[name].html}" for name in shown
    )
    beyond = sum(summary.abundance[name].beyond for name in shown)
    words = Html(
        f"[α/M] against metallicity, of stars inside the training ranges of both: {counts}."
        " The disc of the Galaxy is expected to show two sequences, the thick disc above the thin"
        f" one.{_beyond(beyond)}"
    )
    absent = (
        "No star has [α/M] and a metallicity inside the training ranges: there is no abundance"
        " plane to show."
    )
    return _figure(maps.abundances(summary, schema), words, absent)


def _sky(summary: Summary) -> str:
    unknown = summary.rows - summary.sky.stars
    words = (
        "All published sources in galactic coordinates, Mollweide projection, in cells of equal"
        " area; the centre of the Galaxy is in the middle and longitude increases to the left."
        f" White: no source. Sources without position: {_spelled(unknown)}."
    )
    return _figure(maps.sky(summary), words, "No source has a position: there is no map to show.")


def _flags(summary: Summary, schema: CatalogSchema) -> str:
    words = paragraph(
        "Labels are reliable inside the training sample only. The string ",
        Html("<code>training_range</code>"),
        " says where each star lies, with a digit for each of seven quantities, after Guiglion"
        " et al. 2024 (A&A 682, A9): 0 inside the limits of the training stars, 1 outside,"
        " 9 nothing to test. The zarr store carries the same in the bits of ",
        Html("<code>flags</code>"),
        ". A limit is no guarantee: a star can lie inside every one of them and still be unlike"
        " any training star.",
    )
    strange = paragraph(
        "Bits 18 to 23 look at the spectra themselves. Each compares a distance to the training"
        " stars, a column of its own, with a limit beyond which lie 1 % of ordinary stars of the"
        " same noise; the column is in units of that limit, to draw it elsewhere. The tier"
        " sums up flags and uncertainties."
    )
    parts = [words, tables.training_range(summary), strange, tables.tiers(summary, schema)]
    return "\n".join([*parts, tables.flags(summary, schema)])


def _spectra(summary: Summary, schema: CatalogSchema) -> str:
    words = Html(
        "Every star with an RVS spectrum, at the place of its most similar training spectra on a"
        " t-SNE map of these (rvs_map_x, rvs_map_y), coloured by the labels inside their training"
        " ranges. Neighbours are alike; axes, distances and sizes of islands have no meaning."
        " White: no star. The bit outside_rvs_map marks stars unlike their neighbours."
    )
    absent = "No star has a place on the map of the RVS spectra: there is none to show."
    return _figure(maps.spectra(summary, schema), words, absent)


def _reading(schema: CatalogSchema) -> str:
    best = " and ".join(f"{tier.tier} ({tier.name})" for tier in schema.flags.tiers[:-1])
    mask = schema.flags["rvs_unlike_any_star"].mask
    rules = (
        "A null is NaN. A label is null where no answer could be given. One that is flagged has an"
        " answer, which is not to be used without thought: it stays, for selections need to see it;"
        " open_catalog(path, clean=True) makes it null.",
        "e_ columns are one sigma, calibrated on stars that trained nothing: the distance of the"
        " prediction to the truth. Errors of the labels of one star are correlated; the corr_"
        " columns complete the covariance matrix.",
        "has_rvs and has_xp say what was read; the bits rvs_used, xp_used, photometry_used and"
        " parallax_used say what the labels were derived from.",
        f"quality_tier is the one column to filter on: {best} are the stars to work with. Stars"
        " with digits 00000 at the start of training_range lie inside the limits of all five"
        " labels; cut further on flags and e_ columns as the question at hand needs.",
        "source_id is valid within this release of Gaia only.",
    )
    items = "".join(f"<li>{text(rule)}</li>" for rule in rules)
    example = (
        "from catalog_builder import open_catalog\n\n"
        'catalogue = open_catalog("the folder of this page")\n'
        "good = catalogue.quality_tier.isin([1, 2])\n"
        f"regular = (catalogue.flags & {mask}) == 0  # bit rvs_unlike_any_star\n"
        "stars = catalogue.isel(source=(good & regular).values)\n"
    )
    return f"<ul>{items}</ul>\n<pre><code>{text(example)}</code></pre>"


def _columns(summary: Summary, schema: CatalogSchema) -> str:
    empty = tables.null_columns(summary, schema)
    words = ""
    if empty:
        names = ", ".join(f"<code>{text(name)}</code>" for name in empty)
        words = paragraph("Null for every source: ", Html(names), ".") + "\n"
    return words + tables.columns(summary, schema)


def _made_from(record: Record, schema: CatalogSchema) -> str:
    inputs = record["inputs"]
    checksums = sum(not str(value).startswith("size:") for value in inputs.values())
    facts: tuple[tuple[str, Cell], ...] = (
        ("Input files", number(len(inputs))),
        ("of which identified by a checksum", number(checksums)),
        ("Description of the release", _digest(record.get("release_digest") or "not recorded")),
        ("Model", _digest(record["model_digest"])),
        *_model_facts(record.get("model") or {}),
        ("Settings", _digest(record["config_digest"])),
        ("Schema of the columns", schema.version),
        ("Schema of the flags", schema.flags.version),
    )
    words = paragraph(
        Html("<code>RELEASE.json</code>"), " beside this page names every input file."
    )
    rows = table("Inputs and digests", ("What", "Number or digest"), facts, words=2)
    return "\n".join([words, rows, tables.software(record)])


def _model_facts(facts: Record) -> Iterator[tuple[str, Cell]]:
    """Yield what the model was trained on; `None` is what it does not record."""
    if not facts:
        return
    simulated = {True: "yes", False: "no", None: None}[facts["simulated"]]
    told = (
        ("Model: trained", "elsewhere" if facts["trained_elsewhere"] else "in the same run"),
        ("Model: release of its stars", facts["release_title"] or facts["release"]),
        ("Model: description of that release", facts["release_digest"]),
        ("Model: labels of its stars", facts["survey_title"] or facts["survey"]),
        ("Model: digest of its archive", facts["archive"]),
        ("Model: partitions of that archive", facts["partitions"]),
        ("Model: labelled stars", facts["stars"]),
        ("Model: trained on simulated stars", simulated),
    )
    for title, value in told:
        yield title, "not recorded" if value is None else str(value)


def _figure(picture: Picture | None, caption: Cell, absent: str) -> str:
    if picture is None:
        return paragraph(absent)
    share = min(picture.width / _PAGE_WIDTH, 1.0)
    return (
        f'<figure><img style="width:{share:.0%}" src="{picture.uri}" alt="{text(picture.alt)}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def _digest(value: object) -> Html:
    return Html(f'<code class="long">{text(value)}</code>')


def _without_g(summary: Summary) -> int:
    return summary.rows - summary.filled["phot_g_mean_mag"]


def _spelled(count: int) -> str:
    return f"{count:_d}".replace("_", "\u202f") if count else "none"


def _stars(count: int) -> str:
    return f"{text(number(count))} star{'' if count == 1 else 's'}"


def _beyond(count: int) -> str:
    return f" Beyond the grid and not shown: {_spelled(count)}." if count else ""


def _names(names: list[str]) -> Cell:
    words = [BY_NAME[name].html for name in names]
    verb = " is" if len(words) == 1 else " are"
    return Html(", ".join(words) + verb)
