"""Whom users of a catalogue cite and thank, and under which licence they have it.

The papers of surveys lie in their descriptions (``references`` in ``schemas/releases`` and
``schemas/labels``), those of methods in ``schemas/methods.yaml``; which of them a catalogue owes
follows from what it was made of. Of what is simulated, no observatory is to be thanked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from catalog_builder.archive.release import load_release
from catalog_builder.catalog.credit_record import Cited, Credit, in_ascii
from catalog_builder.catalog.layout import RELEASE_FILE, find_catalogue
from catalog_builder.catalog.open import schema_of
from catalog_builder.catalog.release_json import read_release
from catalog_builder.contract.description import Description, load_description
from catalog_builder.contract.references import Reference, entry, escaped
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.survey import load_survey

#: Characters of a line of comment.
_WIDTH: Final = 96


class Source(Protocol):
    """A release or a label survey: what its description says of credit."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def credit(self) -> str: ...  # noqa: D102
    @property
    def acknowledgement(self) -> str: ...  # noqa: D102
    @property
    def references(self) -> tuple[Reference, ...]: ...  # noqa: D102


class _Methods(Description):
    """The content of ``schemas/methods.yaml``."""

    references: tuple[Reference, ...]


def credit_owed(
    record: Mapping[str, Any],
    columns: Collection[str],
    sources: Iterable[Source] = (),
    *,
    creators: tuple[str, ...] = (),
    license: str | None = None,  # noqa: A002 - what SPDX and BibTeX call it
    year: int | None = None,
) -> Credit:
    """Return whom users of a catalogue cite and thank; its own BibTeX entry is not in it yet.

    Parameters
    ----------
    record : mapping
        ``release``, ``model`` and ``acknowledgements`` of RELEASE.json: who is not acknowledged
        there made none of it.
    columns : collection of str
        Of the catalogue.
    sources : iterable of release or label survey
        Those that the run knows; others are looked up by their names, and have no papers if their
        descriptions are not shipped.
    creators, license, year
        See `Credit`.
    """
    owed = [one for one in _sources(record, list(sources)) if one.credit in _thanked(record)]
    papers = [paper for source in owed for paper in source.references]
    papers += load_description(_Methods, "", schemas_dir() / "methods.yaml").references
    cited = {
        paper.key: Cited(
            key=paper.key,
            line=paper.line,
            doi=paper.doi,
            bibcode=paper.bibcode,
            bibtex=paper.bibtex,
        )
        for paper in papers
        if not paper.columns or not {*paper.columns}.isdisjoint(columns)
    }
    thanks = dict.fromkeys(one.acknowledgement for one in owed if one.acknowledgement)
    return Credit(
        creators=creators,
        year=year,
        license=license,
        references=tuple(cited.values()),
        thanks=tuple(thanks),
    )


def with_entry(credit: Credit, record: Mapping[str, Any]) -> Credit:
    """Return credit with the BibTeX entry of the catalogue itself.

    Parameters
    ----------
    credit : Credit
        Of the catalogue.
    record : mapping
        ``catalogue``, ``release``, ``version``, ``software`` and ``model_digest`` of RELEASE.json.
    """
    key = re.sub(r"[^A-Za-z0-9._-]+", "-", f"catalog-{record['release']}-{record['version']}")
    made = record["software"].get("catalog-builder", "")
    fields = {
        "author": " and ".join(
            escaped(one) if "," in one else f"{{{escaped(one)}}}" for one in credit.creators
        ),
        "title": f"{{{escaped(str(record['catalogue']))}}}",
        "year": "" if credit.year is None else str(credit.year),
        "version": escaped(str(record["version"])),
        "howpublished": f"Data set, made with catalog-builder {escaped(made)}",
        "note": f"Licence: {credit.license}" if credit.license else "",
    }
    return credit.model_copy(update={"bibtex": entry("misc", key, fields)})


def credit_of(catalogue: str | Path) -> Credit:
    """Return whom users of a sealed catalogue cite and thank.

    Parameters
    ----------
    catalogue : str or Path
        What :func:`catalog_builder.open_catalog` takes.

    Returns
    -------
    Credit
        As RELEASE.json has it. For a catalogue from before it had it, as it follows from the rest
        of the record; where it says no year, that in which the record was written.

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue.
    """
    folder = find_catalogue(catalogue)
    record = read_release(folder)
    facts = record.model_dump()
    credit = record.credit
    if credit is None:
        columns = [column.name for column in schema_of(folder).all_columns]
        credit = credit_owed(facts, columns)
    if credit.year is None or not credit.bibtex:
        written = datetime.fromtimestamp((folder / RELEASE_FILE).stat().st_mtime, tz=UTC)
        credit = credit.model_copy(update={"year": credit.year or written.year})
        credit = with_entry(credit, facts)
    return credit


def bibliography(credit: Credit, acknowledgements: Iterable[str] = ()) -> str:
    """Return a BibTeX file: thanks as comments, then the catalogue and what else is to be cited."""
    lines = []
    for words in dict.fromkeys((*credit.thanks, *acknowledgements)):
        # BibTeX begins an entry at every @, wherever it stands.
        lines += [f"% {line}" for line in _wrapped(words.replace("@", " at "))] + ["%"]
    if credit.license:
        lines += [f"% Licence of the data: {credit.license}", "%"]
    if not credit.creators:
        lines += ["% The catalogue does not say who made it (publish.creators).", "%"]
    lines = [*lines[:-1], ""] if lines else []
    entries = [credit.bibtex, *(one.bibtex for one in credit.references)]
    return "".join(f"{line}\n" for line in lines) + "\n\n".join(entries) + "\n"


def citation(credit: Credit, record: Mapping[str, Any]) -> str:
    """Return a catalogue in one line of ASCII, as a list of references has it."""
    who = f"{'; '.join(credit.creators)}: " if credit.creators else ""
    year = "" if credit.year is None else f" ({credit.year})"
    return in_ascii(f"{who}{record['catalogue']}, version {record['version']}{year}")


def _thanked(record: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(record.get("acknowledgements") or ())


def _sources(record: Mapping[str, Any], known: list[Any]) -> Iterator[Source]:
    """Yield the descriptions of what a catalogue and its model are of, as far as there are any."""
    model = record.get("model") or {}
    for load, names, of_labels in (
        (load_release, (record["release"], model.get("release")), False),
        (load_survey, (model.get("survey"),), True),
    ):
        for name in dict.fromkeys(filter(None, names)):
            ours = [one for one in known if one.name == name and _labels(one) == of_labels]
            with suppress(ConfigError):  # a description of somebody's own, not shipped
                found: Any = ours[0] if ours else load(name)
                yield found


def _labels(source: Any) -> bool:
    return hasattr(source, "cuts")


def _wrapped(words: str) -> list[str]:
    import textwrap

    return textwrap.wrap(words, _WIDTH, break_long_words=False, break_on_hyphens=False)
