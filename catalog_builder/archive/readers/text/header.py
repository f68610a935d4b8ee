"""The header of a text table: ECSV in comment lines, then one line of column names."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from typing import Any

from catalog_builder.archive.readers.block import check_unit, inexact_key
from catalog_builder.archive.tables import ColumnSpec
from catalog_builder.ground.documents import DocumentError, parse_yaml
from catalog_builder.ground.errors import InputError

_ECSV = "%ECSV"
_INTEGERS = ("int", "uint")
_NUMBERS = (*_INTEGERS, "float", "bool")


@dataclass(frozen=True)
class TextHeader:
    """What a text table says about itself.

    Parameters
    ----------
    names : list of str
        Columns in the order of the file.
    described : dict of str to dict
        ECSV's description by column; empty for plain CSV.
    """

    names: list[str]
    described: dict[str, dict[str, Any]]


def parse_header(url: str, comments: list[str], names: str, delimiter: str = ",") -> TextHeader:
    """Parse comment lines (without ``#``) and the line of names, which has commas in any case.

    Raises
    ------
    InputError
        If an ECSV header is damaged, or its delimiter is another one.
    """
    try:
        columns = next(csv.reader([names]), [])
    except csv.Error as error:
        raise InputError(f"{url}: the line of column names is damaged: {error}.") from error
    stripped = [name.strip() for name in columns]
    if not any(line.lstrip().startswith(_ECSV) for line in comments[:1]):
        return TextHeader(stripped, {})
    content = _load(url, comments[1:])
    said = content.get("delimiter", " ")
    if said != delimiter:
        raise InputError(
            f"{url}: its ECSV header gives the delimiter {said!r}, the release description"
            f" {delimiter!r}.",
            "Correct text.delimiter, or write the table with the other one.",
        )
    entries = content.get("datatype")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{url}: its ECSV header does not list the columns.", "Fetch it again.")
    return TextHeader(stripped, {str(entry.get("name")): entry for entry in entries})


def check_header(
    url: str, native: str, spec: ColumnSpec, header: TextHeader, *, is_key: bool = False
) -> None:
    """Refuse a column whose ECSV description contradicts the release description.

    Raises
    ------
    InputError
        If the unit differs, an array is described as a scalar or the reverse, or a number as text;
        or if a source_id (`is_key`) is described as something else than an integer.
    """
    entry = header.described.get(native)
    if entry is None:
        return
    unit = entry.get("unit")
    check_unit(url, native, spec, None if unit is None else str(unit))
    kind, subtype = str(entry.get("datatype", "")), str(entry.get("subtype", ""))
    is_list = "[" in subtype or subtype == "json"
    if spec.is_text:
        if kind != "string" or subtype:
            raise InputError(
                f"{url}: column {native} is described as {kind} {subtype}".rstrip()
                + ", but the release description says text.",
                "Correct whichever is wrong.",
            )
        return
    if is_key and kind.startswith("float"):
        raise inexact_key(url, native)
    is_number = kind.startswith(_INTEGERS if is_key else _NUMBERS)
    fits = is_number if spec.length is None else (is_list or (kind == "string" and not subtype))
    if not fits:
        expected = spec.dtype if spec.length is None else f"a list of {spec.length} {spec.dtype}"
        raise InputError(
            f"{url}: column {native} is described as {kind} {subtype}".rstrip()
            + f", but the release description says {expected}.",
            "Correct whichever is wrong.",
        )


def _load(url: str, comments: list[str]) -> dict[str, Any]:
    try:
        content = _parse_yaml("\n".join(comments))
    except DocumentError as error:
        raise InputError(
            f"{url}: its ECSV header is not taken: {error}.", "Fetch the file again."
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{url}: its ECSV header holds no settings.", "Fetch the file again.")
    return content


@functools.lru_cache(maxsize=8)
def _parse_yaml(text: str) -> Any:
    """Parse YAML; the files of a table have the same header, thousands of times in a release."""
    return parse_yaml(text)
