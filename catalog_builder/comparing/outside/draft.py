"""A mapping that is guessed from the names of a table's columns, for its reader to correct."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from catalog_builder.comparing.outside.mapping import OtherTable, Value, spellings
from catalog_builder.contract.labels import Label, Labels

#: What columns of ids are called; the first counts.
IDS: Final = (
    *("source_id", "gaiadr3_source_id", "gaia_dr3_source_id", "gdr3_source_id", "dr3_source_id"),
    *("gaiaedr3_source_id", "gaia_source_id", "gaiadr3", "gaiaedr3", "gaia"),
)
#: How other tables call labels, without marks and in lower case, by role.
_NAMES: Final[Mapping[str, str]] = {
    "temperature": r"(log)?teff|temp(erature)?|effectivetemperature",
    "gravity": r"logg|surfacegravity",
    "metallicity": r"mh|meh|met|metallicity|feh",
    "alpha": r"alpham|alphafe|afe|am|aalpha",
}
_IRON: Final = "feh"
_ERRORS: Final = (
    *("e_{0}", "{0}_err", "{0}_error", "err_{0}", "error_{0}", "{0}_sigma", "{0}_std", "sigma_{0}"),
    *("{0}_unc", "{0}err", "e{0}"),
)


def own_names(columns: Iterable[str], labels: Labels) -> OtherTable | None:
    """Return the mapping of a table whose columns have our names; None if it is no such table."""
    spelt = spellings(columns)
    there = [label for label in labels if label.name in spelt]
    if "source_id" not in spelt or not there:
        return None
    values = {
        label.name: Value(column=label.name, unit=_unit(label), error=f"e_{label.name}")
        for label in there
    }
    words = "Columns are taken to be what their names say, in our units; ids for the catalogue's."
    return OtherTable(
        name="own-names", title="a table with our names", labels=values, notes=(words,)
    )


def draft_mapping(units: Mapping[str, str], labels: Labels) -> str:
    """Return a mapping in YAML, guessed from names; what was not found is left to the reader.

    Parameters
    ----------
    units : mapping of str to str
        The table's columns, and their units.
    labels : Labels
        Ours.
    """
    spelt = spellings(units)
    key = next((spelt[name] for name in IDS if name in spelt), None)
    lines = [
        "# Guessed from the names of the columns: look at each line, then give this file with",
        "# --profile. docs/compare.md has every key. Columns of the table:",
        *_commented(units),
        "name: my-table",
        'title: "what it is called in sentences"',
        "ids_of: []                # [dr3], the release whose ids these are",
        f"source_id: {_quoted(key) if key else '...              # the column of Gaia ids'}",
        "null_values: []           # numbers that stand for no value, such as -9999",
        "labels:",
    ]
    for label in labels:
        found = _column(label, spelt)
        if found is None:
            lines.append(f"  # {label.name}: {{column: ..., unit: {_said(label)}, error: ...}}")
            continue
        error = next(
            (spelt[e] for form in _ERRORS if (e := form.format(found.lower())) in spelt), None
        )
        parts = [f"column: {_quoted(found)}", f"unit: {_said(label)}"]
        parts += [f"error: {_quoted(error)}"] if error else []
        parts += ["logarithm: true"] if "log" in found.lower() and "teff" in found.lower() else []
        unit = f"  # the file says {units[found]!r}" if units[found] else ""
        lines.append(f"  {label.name}: {{{', '.join(parts)}}}{unit}")
    lines += [
        "cuts: []",
        "# - {name: bad, because: It is flagged., column: flag, equals: [0]}",
        "",
    ]
    return "\n".join(lines)


def _column(label: Label, spelt: Mapping[str, str]) -> str | None:
    if label.name in spelt:
        return spelt[label.name]
    pattern = _NAMES.get(label.role or "")
    if pattern is None:
        return None
    wants_iron = _plain(label.name) == _IRON
    for name, column in spelt.items():
        plain = _plain(name)
        if re.fullmatch(pattern, plain) and (plain == _IRON) == wants_iron:
            return column
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _unit(label: Label) -> str:
    return "dex" if label.in_dex and not label.unit else label.unit


def _said(label: Label) -> str:
    return _quoted(_unit(label))


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z][\w.-]*", text) else "'" + text.replace("'", "''") + "'"


def _commented(units: Mapping[str, str]) -> list[str]:
    words = [f"{name} [{unit}]" if unit else name for name, unit in units.items()]
    return [f"#   {', '.join(words[at : at + 6])}" for at in range(0, min(len(words), 240), 6)]
