"""Papers and data that a product's users are asked to cite, as descriptions list them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from catalog_builder.contract.description import Description

#: What TeX takes for something else. Braces stay: they keep capitals, as authors of BibTeX expect.
_SPECIAL: Final = {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "$": r"\$"}


class Reference(Description):
    """A paper.

    Attributes
    ----------
    key : str
        Of its BibTeX entry.
    authors : tuple of str
        ``Family, Given`` each, or the name of a collaboration; those after the last are `others`.
    others : bool
        Whether there are more.
    title, journal : str
        In words; the journal as it abbreviates itself.
    year : int
    volume, page : str
        As citations have them; empty for what has none.
    doi, bibcode, arxiv : str
        Where it is found.
    columns : tuple of str
        Columns that were made by it: it is cited where a catalogue has one of these; always
        without any.
    """

    key: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9:._-]*$")]
    authors: Annotated[tuple[str, ...], Field(min_length=1)]
    others: bool = False
    title: str
    journal: str = ""
    year: Annotated[int, Field(ge=1600, le=9999)]
    volume: str = ""
    page: str = ""
    doi: Annotated[str, Field(pattern=r"^(10\..+/.+)?$")] = ""
    bibcode: Annotated[str, Field(pattern=r"^(\d{4}.{15})?$")] = ""
    arxiv: str = ""
    columns: tuple[str, ...] = ()

    @property
    def bibtex(self) -> str:
        """Its BibTeX entry, without a line break at its end."""
        fields = {
            "author": " and ".join([*map(_name, self.authors), *(["others"] * self.others)]),
            "title": f"{{{escaped(self.title)}}}",
            "journal": escaped(self.journal),
            "year": str(self.year),
            "volume": self.volume,
            "eid" if self.page[:1].isalpha() else "pages": self.page,
            "doi": self.doi,
            "eprint": self.arxiv,
            "adsurl": f"https://ui.adsabs.harvard.edu/abs/{self.bibcode.replace('&', '%26')}"
            if self.bibcode
            else "",
        }
        return entry("article" if self.journal else "misc", self.key, fields)

    @property
    def line(self) -> str:
        """It in one line: ``Katz et al. 2023, A&A 674, A5``."""
        # Behind a collaboration stands the first of its authors.
        most = 1 if "," in self.authors[0] else 2
        more = self.others or len(self.authors) > 2
        shown = self.authors[:most] if more else self.authors
        join = ", " if most == 2 else " & "
        who = join.join(one.split(",")[0] for one in shown) + (" et al." if more else "")
        where = " ".join(filter(None, (self.journal, self.volume)))
        return ", ".join(filter(None, (f"{who} {self.year}", where, self.page)))


def entry(kind: str, key: str, fields: dict[str, str]) -> str:
    """Return a BibTeX entry of the fields that are not empty."""
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def escaped(text: str) -> str:
    """Return text as TeX has it."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _name(author: str) -> str:
    """Return a name as BibTeX has it: that of a collaboration is one word."""
    return escaped(author) if "," in author else f"{{{escaped(author)}}}"
