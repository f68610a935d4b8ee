"""The section on what a catalogue was made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report import tables
from catalog_builder.report.html import Cell, Html, number, paragraph, table, text

Record = Mapping[str, Any]


def section(record: Record, schema: CatalogSchema) -> str:
    """Return digests, facts of the model, and versions of programs."""
    inputs = record["inputs"]
    checksums = sum(not str(value).startswith("size:") for value in inputs.values())
    facts: tuple[tuple[str, Cell], ...] = (
        ("Input files", number(len(inputs))),
        ("of which identified by a checksum", number(checksums)),
        ("Description of the release", digest_cell(record.get("release_digest") or "not recorded")),
        ("Model", digest_cell(record["model_digest"])),
        *_model_facts(record.get("model") or {}),
        ("Settings", digest_cell(record["config_digest"])),
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
        ("Model: release of its stars", _named(facts, "release")),
        ("Model: description of that release", facts["release_digest"]),
        ("Model: labels of its stars", _named(facts, "survey")),
        ("Model: digest of its archive", facts["archive"]),
        ("Model: partitions of that archive", facts["partitions"]),
        ("Model: labelled stars", facts["stars"]),
        ("Model: trained on simulated stars", simulated),
    )
    for title, value in told:
        yield title, "not recorded" if value is None else str(value)
    if facts.get("parent"):
        how = f"on {facts['calibrated_stars']} stars of {facts['calibrated_release']}"
        yield "Model: sigma fitted anew", how
        yield "Model: made from", digest_cell(facts["parent"])


def _named(facts: Record, what: str) -> str | None:
    """Return the title of a release or survey; of simulated stars it does not read as real."""
    title = facts[f"{what}_title"] or facts[what]
    return f"simulated, in the layout of {title}" if title and facts["simulated"] else title


def digest_cell(value: object) -> Html:
    """Return a digest, which breaks anywhere."""
    return Html(f'<code class="long">{text(value)}</code>')
