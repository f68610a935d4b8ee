"""What RELEASE.json says of credit: whom to cite, whom to thank, under which licence."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class Cited(BaseModel):
    """A paper that users of a catalogue are asked to cite.

    Attributes
    ----------
    key, bibtex : str
        Of its BibTeX entry, and that.
    line : str
        It in a few words.
    doi, bibcode : str
        Where it is found; empty if it has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    line: str
    doi: str = ""
    bibcode: str = ""
    bibtex: str


class Credit(BaseModel):
    """Whom users of a catalogue cite and thank.

    Attributes
    ----------
    creators : tuple of str
        Who made the catalogue (`publish.creators`); empty if that was not said.
    year : int, optional
        Of its publication (`publish.year`).
    license : str, optional
        SPDX identifier (`publish.license`); None if none was given.
    bibtex : str
        Of the catalogue itself.
    references : tuple of Cited
        Papers of its surveys and methods.
    thanks : tuple of str
        Acknowledgements in the words that the surveys ask for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    creators: tuple[str, ...] = ()
    year: int | None = None
    license: str | None = None
    bibtex: str = ""
    references: tuple[Cited, ...] = ()
    thanks: tuple[str, ...] = ()


def credit_attributes(record: Mapping[str, Any]) -> dict[str, str]:
    """Return what a store's attributes say of credit, under the names of CF and ACDD.

    Parameters
    ----------
    record : mapping
        The facts of RELEASE.json.
    """
    if record.get("credit") is None:
        return {}
    credit = Credit.model_validate(record["credit"])
    said = {
        "creator_name": "; ".join(credit.creators),
        "license": credit.license or "",
        "references": "; ".join(one.line for one in credit.references),
        "acknowledgement": " ".join(credit.thanks),
    }
    return {name: words for name, words in said.items() if words}


def in_ascii(text: str) -> str:
    """Return text without accents, for headers that hold nothing else."""
    plain = unicodedata.normalize("NFKD", text)
    return plain.encode("ascii", "ignore").decode()
