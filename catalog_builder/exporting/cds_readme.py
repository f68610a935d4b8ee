"""The ReadMe of a table for the CDS: what it is, its fields byte by byte, notes, references.

After the CDS's "Standard Description for Astronomical Catalogues", version 2.0: ASCII, lines of 80
characters at most.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from catalog_builder.catalog.credit_record import in_ascii
from catalog_builder.contract.schema import CatalogSchema, Column, is_in_dex
from catalog_builder.contract.words import listed
from catalog_builder.exporting.cds_fields import Field
from catalog_builder.exporting.request import Request

_WIDTH: Final = 80
_CONTINUED: Final = "  "
_DOUBLE, _SINGLE = "=" * _WIDTH, "-" * _WIDTH
#: Labels by which the CDS knows positions; every other column keeps its name.
LABELS: Final = {"ra": "RAdeg", "dec": "DEdeg", "l": "GLON", "b": "GLAT"}
_KEYWORDS: Final = "Milky Way ; Surveys ; Spectroscopy ; Effective temperatures ; Abundances"
_JOURNAL_KEYWORDS: Final = (
    "catalogs - surveys - methods: data analysis - stars: fundamental parameters -"
    " stars: abundances"
)
_LOG: Final = re.compile(r"log\((.+)\)")


def readme(request: Request, fields: Sequence[Field], data: str, rows: int) -> str:
    """Return the text of a ReadMe.

    Parameters
    ----------
    request : Request
        What was asked for.
    fields : sequence of Field
        Of the table, in order.
    data : str
        Its file.
    rows : int
        How many it has.
    """
    record, credit = request.record, request.credit
    names = [name.split(",")[0] for name in credit.creators]
    who = f"{names[0]}{'+' if len(names) > 1 else ''}" if names else "creators"
    year = str(credit.year or "year")
    title = str(record["catalogue"])
    short = textwrap.shorten(title, 40, placeholder="...")
    lines = [f"{'':20}{short:<40}{f'({who}, {year})':>20}"[:_WIDTH].rstrip(), _DOUBLE]
    lines += _filled(title, "")
    creators = ", ".join(map(_initialled, credit.creators))
    lines += _filled(creators or "(publish.creators)", "    ")
    lines += ["   =Unpublished, " + year, _DOUBLE]
    lines += [*_filled(f"ADC_Keywords: {_KEYWORDS}", ""), ""]
    lines += [*_filled(f"Keywords: {_JOURNAL_KEYWORDS}", ""), ""]
    lines += ["Abstract:", *_filled(_abstract(request, rows), "    "), ""]
    lines += ["Description:", *_description(request), ""]
    length = sum(field.width + 1 for field in fields) - 1
    lines += _summary(data, length, rows)
    notes = _notes(request.whole, request.schema)
    lines += [f"Byte-by-byte Description of file: {data}", _SINGLE]
    lines += ["   Bytes Format Units   Label     Explanations", _SINGLE]
    lines += [*_fields(fields, notes), _SINGLE, *_written(notes.values()), _SINGLE, ""]
    lines += ["Acknowledgements:"]
    for words in dict.fromkeys((*credit.thanks, *record["acknowledgements"])):
        lines += _filled(words, "    ")
    if credit.license:
        lines += _filled(f"Licence of the data: {credit.license}", "    ")
    lines += ["", "References:"]
    for cited in credit.references:
        lines += _filled(f"{cited.line}   {cited.bibcode or cited.doi}".rstrip(), "    ")
    made = record["software"].get("catalog-builder", "")
    lines += ["", _DOUBLE, f"(End){f'{who}, catalog-builder {made}':>75}"]
    return in_ascii("\n".join(line.rstrip() for line in lines) + "\n")


def _initialled(creator: str) -> str:
    """Return a name as the CDS writes it: ``Doe J.R.``."""
    family, _, given = creator.partition(",")
    letters = "".join(f"{name[0]}." for name in re.split(r"[\s-]+", given.strip()) if name)
    return f"{family} {letters}".strip()


def _abstract(request: Request, rows: int) -> str:
    record, model = request.record, request.record.get("model") or {}
    labels = listed([label.title for label in request.whole.labels])
    learnt = model.get("survey_title") or model.get("survey")
    words = (
        f"{labels} of {rows} stars ({record['catalogue']}), with uncertainties, correlations, flags"
        " and quality tiers, from the spectra, photometry and parallaxes of the release by an"
        " ensemble of neural networks"
        + (f" that was trained on labels of {learnt}." if learnt else ".")
    )
    facts = request.facts()
    more = [facts[name] for name in ("simulated", "unverified") if name in facts]
    return " ".join([words, *more])


def _description(request: Request) -> Iterator[str]:
    facts = request.facts()
    yield from _filled(
        f"Version {facts['version']}, made with {facts['software']} and the model"
        f" {facts['model'][:32]}. {len(request.schema.all_columns)} of"
        f" {len(request.whole.all_columns)} columns.",
        "    ",
    )
    if "where" in facts:
        yield from _filled(f"Only the stars that meet: {facts['where']}", "    ")
    yield from _filled(
        "Numbers have all digits that tell them from others in the type that they are stored in."
        " A label is blank where no answer could be given. One that is flagged has an answer, which"
        " is not to be used without thought; the notes on flags and quality_tier say more.",
        "    ",
    )


def _summary(data: str, length: int, rows: int) -> list[str]:
    return [
        "File Summary:",
        _SINGLE,
        f" {'FileName':<14}{'Lrecl':>6} {'Records':>11}   Explanations",
        _SINGLE,
        f"{'ReadMe':<15}{_WIDTH:>6} {'.':>11}   This file",
        f"{data:<15}{length:>6} {rows:>11}   The catalogue",
        _SINGLE,
        "",
    ]


class _Note(list[str]):
    """The paragraphs of a note, and its number."""

    number = 0


def _notes(whole: CatalogSchema, shown: CatalogSchema) -> dict[str, _Note]:
    """Return the notes of columns by name; several columns may have the same."""
    names = [column.name for column in shown.all_columns]
    notes: dict[str, _Note] = {}
    for column in shown.all_columns:
        said = column.description.partition(". ")[2]
        null = f"Blank: {column.null_meaning}." if column.null_meaning else ""
        words = " ".join(filter(None, (said, null)))
        if words:
            notes[column.name] = _Note([f"{LABELS.get(column.name, column.name)}: {words}"])
    for mask in (mask for mask in whole.flags.columns if mask in names):
        note = notes.setdefault(mask, _Note([f"{mask}: a sum of"]))
        note += [
            f"   {bit.mask} = {bit.name}: {bit.sentence}"
            for bit in whole.flags.active
            if bit.column == mask
        ]
    if "quality_tier" in names:
        note = notes.setdefault("quality_tier", _Note(["quality_tier:"]))
        for tier in whole.flags.tiers:
            conditions = "; ".join(tier.conditions())
            words = f"{tier.sentence} {f'({conditions})' if conditions else ''}".rstrip()
            note.append(f"   {tier.tier} = {tier.name}: {words}")
    for number, note in enumerate(notes.values(), start=1):
        note.number = number
    return notes


def _fields(fields: Sequence[Field], notes: dict[str, _Note]) -> Iterator[str]:
    units = {field.column.name: unit_of(field.column) for field in fields}
    widest = max(map(len, units.values()))
    label_width = max(len(LABELS.get(field.column.name, field.column.name)) for field in fields)
    start = 1
    for field in fields:
        name, stop = field.column.name, start + field.width - 1
        label = LABELS.get(name, name)
        bytes_ = f"{start:>4}-{stop:>4}" if stop > start else f"{stop:>9}"
        head = f"{bytes_} {field.format:<7}{units[name]:<{widest}} {label:<{label_width}} "
        marks = field.limits + ("?" if field.nulls else "")
        words = f"{marks} {field.column.title}".strip()
        words += f" ({name})" if label != name else ""
        words += f" ({notes[name].number})" if name in notes else ""
        yield from _hanging(words, head)
        start = stop + 2


def unit_of(column: Column) -> str:
    """Return the unit of a column as the CDS writes it: that of a logarithm is in brackets."""
    logarithm = _LOG.fullmatch(column.unit)
    if logarithm:
        return f"[{_in_cds(logarithm[1])}]"
    if is_in_dex(column.unit, column.ucd):
        return "[-]"
    return _in_cds(column.unit) if column.unit else "---"


def _in_cds(unit: str) -> str:
    import astropy.units as u

    written = u.Unit(unit, format="fits").to_string("cds", fraction=True).replace(" ", "")
    # cm/s2: the CDS writes an exponent's plus behind a number alone (10+3), astropy everywhere.
    return re.sub(r"(?<=[A-Za-z])\+(?=\d)", "", str(written))


def _written(notes: Iterable[_Note]) -> Iterator[str]:
    for note in notes:
        first, *rest = note
        yield from _hanging(first, f"Note ({note.number}): ", 4)
        for paragraph in rest:
            yield from _hanging(paragraph.strip(), "      ", 8)


def _filled(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent or _CONTINUED
    )


def _hanging(text: str, head: str, indent: int | None = None) -> Iterator[str]:
    """Yield lines behind a head; none of those that follow begins with a digit.

    A reader would take it for the next field.
    """
    margin = " " * (len(head) if indent is None else indent)
    line, words = head, text.split()
    begun = False
    for place, word in enumerate(words):
        gap = " " if begun else ""
        ahead = word
        # What begins with digits stays on the line of the word before it.
        for following in words[place + 1 :]:
            if not following[0].isdigit():
                break
            ahead += f" {following}"
        if begun and len(line) + len(gap) + len(ahead) > _WIDTH and not word[0].isdigit():
            yield line
            line, gap = margin, ""
        line += gap + word
        begun = True
    yield line
