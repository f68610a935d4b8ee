"""``report.html``: the catalogue described by its own numbers, on one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from catalog_builder.catalog.origins import heading, record_in_words, unverified_in_words
from catalog_builder.catalog.release_json import Accounting, explain
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.report import sections, verdict
from catalog_builder.report.alarms import alarm_banner
from catalog_builder.report.html import text
from catalog_builder.report.known import Known
from catalog_builder.report.summary import Summary, summarise

_FACTS: Final = (
    "catalogue",
    "release",
    "version",
    "software",
    "model_digest",
    "config_digest",
    "inputs",
    "metrics",
    "accounting",
    "acknowledgements",
)


def write_report(
    summary: Summary,
    record: Mapping[str, Any],
    schema: CatalogSchema,
    target: Path,
    known: Known | None = None,
) -> None:
    """Write the report of a catalogue that is about to be sealed, of its histograms.

    The same histograms and facts give the same bytes.

    Parameters
    ----------
    summary : Summary
        Of all rows of the catalogue.
    record : mapping
        The facts of ``RELEASE.json`` that are known before sealing: ``catalogue``, ``release``,
        ``version``, ``software``, ``model_digest``, ``config_digest``, ``inputs``, ``metrics``
        (as `catalog_builder.model.ensemble` measures them, or the same per label),
        ``accounting``, ``acknowledgements``; and, where they are known, ``simulated``,
        ``partitions``, ``simulated_partitions``, ``model``, ``alarms`` and ``release_digest``.
    schema : CatalogSchema
        That the catalogue was made with.
    target : Path
        The file to write, ``report.html``.
    known : Known, optional
        What else there is to show.

    Raises
    ------
    CatalogueError
        If a fact is missing, the accounting does not add up, or the histograms are not of the
        published number of sources.
    """
    _check_facts(record)
    published = record["accounting"]["published"]
    if summary.rows != published:
        raise CatalogueError(
            f"The catalogue holds {summary.rows} sources, its accounting says {published}.",
            "Publish the catalogue again.",
        )
    target.write_text(
        _page(summary, record, schema, known or Known()), encoding="utf-8", newline="\n"
    )


def make_report(
    store: Path, record: Mapping[str, Any], schema: CatalogSchema, target: Path
) -> None:
    """Write the report of a zarr store, which is read once, a chunk at a time.

    Parameters
    ----------
    store : Path
        ``catalog.zarr``, complete.
    record, schema, target
        As of `write_report`.

    Raises
    ------
    CatalogueError
        As `write_report` does.
    StoreError
        If the store lacks a column.
    """
    _check_facts(record)
    write_report(summarise(store, schema), record, schema, target)


@dataclass(frozen=True)
class _Section:
    anchor: str
    title: str
    body: str


def _page(
    summary: Summary,
    record: Mapping[str, Any],
    schema: CatalogSchema,
    known: Known,
) -> str:
    written = sections.write(summary, record, schema, known)
    body = [_Section(*section) for section in written]
    links = "".join(f'<li><a href="#{part.anchor}">{text(part.title)}</a></li>' for part in body)
    main = "\n".join(
        f'<section id="{part.anchor}">\n<h2>{text(part.title)}</h2>\n{part.body}\n</section>'
        for part in body
    )
    style = files("catalog_builder.report").joinpath("page.css").read_text(encoding="utf-8")
    title, edition = text(record["catalogue"]), text(record["version"])
    words = record_in_words(record)
    what = heading(bool(record.get("simulated")))
    banner = ""
    if words:
        banner = f'<p class="banner" role="note"><strong>{what}.</strong> {text(words)}</p>\n'
    if unverified := unverified_in_words(record):
        banner += (
            '<p class="banner" role="note"><strong>Unverified labels.</strong>'
            f" {text(unverified)}</p>\n"
        )
    layout = "made from release" if not record.get("simulated") else "in the layout of release"
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}, {edition}: report</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"{alarm_banner(record)}{banner}"
        f'<header>\n<h1>{title}</h1>\n<p class="edition">Edition {edition}, {layout}'
        f" {text(record['release'])}</p>\n"
        f"{verdict.head(record)}\n{sections.headline(summary, record)}\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n</header>\n'
        f"<main>\n{main}\n</main>\n"
        "<footer>Made with the catalogue, from its zarr store, and sealed with it:"
        " <code>SHA256SUMS</code> lists this page.</footer>\n</body>\n</html>\n"
    )


def _check_facts(record: Mapping[str, Any]) -> None:
    missing = [name for name in _FACTS if name not in record]
    if missing:
        raise CatalogueError(
            f"The report lacks the facts {', '.join(missing)}.", "Give what RELEASE.json needs."
        )
    try:
        Accounting.model_validate(record["accounting"])
    except ValidationError as error:
        raise CatalogueError(
            f"The accounting of the catalogue is wrong: {explain(error)}.",
            "Publish the catalogue again.",
        ) from error
