"""`diff OLD NEW`: what is not the same in two catalogues; the second front of the comparison.

Like diff(1), about content: two catalogues are the same if their schemas are and each column holds
the same values row by row, whatever their versions are called. Digests say so without a row read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from catalog_builder.catalog.finding import unequal
from catalog_builder.comparing import verdict
from catalog_builder.comparing.document import content
from catalog_builder.comparing.drift import Options, drift_of, matching_of
from catalog_builder.comparing.engine import Comparison
from catalog_builder.comparing.pairs import PairStream
from catalog_builder.comparing.schemas import SchemaDiff, compare_schemas
from catalog_builder.comparing.sides import SOURCE_ID, CatalogueSide, open_side
from catalog_builder.comparing.tally import Numbers

#: Facts of RELEASE.json that are told where they differ.
_FACTS: Final = (
    *("catalogue", "release", "version", "release_digest", "model_digest", "config_digest"),
    *("schema_version", "software", "accounting"),
)
_SHOWN: Final = 10
#: Columns that are compared in one pass: some chunks of each are in memory.
_AT_ONCE: Final = 16


@dataclass(frozen=True)
class Difference:
    """What is not the same.

    Attributes
    ----------
    same : bool
        Whether schema, rows and values are.
    schema : SchemaDiff
    same_schema : bool
        To the last note.
    columns : dict of str to int
        Stars in both whose value is not the same, by column; only columns with any.
    same_columns : int
        Columns whose values are the same for all stars in both.
    facts : dict of str to (object, object)
        What the records say otherwise: old and new.
    inputs : dict of str to int
        Input files: the same, changed, only in the old, only in the new one.
    comparison : Comparison or None
        Labels, flags, tiers, rows; None where all values are the same.
    """

    same: bool
    schema: SchemaDiff
    same_schema: bool
    columns: dict[str, int]
    same_columns: int
    facts: dict[str, tuple[Any, Any]]
    inputs: dict[str, int]
    comparison: Comparison | None

    def to_json(self) -> str:
        """Return all of it for machines."""
        plain = {
            "same": self.same,
            "schema": {"same": self.same_schema, **self.schema._asdict()},
            "columns": self.columns,
            "same_columns": self.same_columns,
            "facts": {key: list(pair) for key, pair in self.facts.items()},
            "inputs": self.inputs,
            "comparison": None if self.comparison is None else content(self.comparison),
        }
        return json.dumps(plain, indent=1, allow_nan=False, ensure_ascii=False)


def diff(old: str | Path, new: str | Path, options: Options | None = None) -> Difference:
    """Compare two sealed catalogues: schema, rows, values, labels in sigma, flags, digests.

    Parameters
    ----------
    old, new : str or Path
        What :func:`catalog_builder.open_catalog` takes.
    options : Options, optional
        A crosswalk, where the releases number stars otherwise.

    Raises
    ------
    CatalogueError, ConfigError, InputError
        As :func:`catalog_builder.comparing.drift.drift` does.

    Examples
    --------
    >>> diff("work/catalogs/dr3/v1-5c0d3a51", "work/catalogs/dr3").same  # doctest: +SKIP
    False
    """
    options = options or Options()
    before, now = open_side(old), open_side(new)
    same_schema = before.schema.digest == now.schema.digest
    changed = _changed_columns(before, now)
    shared = before.columns & now.columns
    comparison, columns = None, dict[str, int]()
    if changed or before.columns != now.columns:
        comparison = drift_of(before, now, options)
        columns = _unequal_rows(before, now, sorted(changed - {SOURCE_ID}), options)
    moved = comparison is not None and (
        comparison.changes.lost.stars or comparison.changes.gained.stars
    )
    return Difference(
        same_schema and not columns and not moved and before.columns == now.columns,
        compare_schemas(before.schema, now.schema),
        same_schema,
        columns,
        len(shared) - len(columns),
        _facts(before.facts, now.facts),
        _inputs(before.facts.get("inputs", {}), now.facts.get("inputs", {})),
        comparison,
    )


def in_words(found: Difference, old: str, new: str) -> str:
    """Return what the terminal says."""
    if found.same:
        lines = [f"{old} and {new} hold the same: {found.same_columns} columns, every value."]
    else:
        lines = [f"{old} and {new} differ.", *_schema_lines(found), *_value_lines(found)]
    lines += [
        f"{key}: {_short(pair[0])} -> {_short(pair[1])}"
        for key, pair in found.facts.items()
        if not isinstance(pair[0], Mapping)
    ]
    lines += _nested_lines(found.facts)
    words = ", ".join(f"{count} {what}" for what, count in found.inputs.items() if count)
    return "\n".join([*lines, *([f"input files: {words}"] if words else [])])


def _schema_lines(found: Difference) -> Iterator[str]:
    if found.same_schema:
        return
    kind = "compatible" if found.schema.compatible else "NOT compatible"
    yield f"schema: {kind} with programs written for the old one"
    yield from (f"  ! {each}" for each in found.schema.breaking)
    yield from (f"  + {each}" for each in found.schema.additions)


def _value_lines(found: Difference) -> Iterator[str]:
    comparison = found.comparison
    if comparison is None:
        yield f"values: the same in all {found.same_columns} columns"
        return
    changes = comparison.changes
    yield (
        f"rows: {comparison.stars:,} in both, {changes.lost.stars:,} lost,"
        f" {changes.gained.stars:,} gained"
    )
    yield f"columns: {found.same_columns} the same for these, {len(found.columns)} not"
    yield from (f"  {name:<28} {rows:>12,} rows" for name, rows in found.columns.items())
    labels = [t for t in comparison.tallies.values() if t.label.name in found.columns]
    for tally in labels:
        judged = verdict.judge(tally)
        numbers, digits = judged.numbers, tally.label.decimals + 1
        yield (
            f"  {tally.label.name:<12} median {numbers.median:+.{digits}f} ({numbers.pull:+.2f}"
            f" sigma), scatter {numbers.scatter:.{digits}f} ({_in_sigma(numbers)} sigma):"
            f" {judged.state}"
        )
    for name, bit in changes.bits.items():
        if bit.set or bit.unset:
            yield f"  {name:<28} set for {bit.set:,}, no longer for {bit.unset:,}"
    for names, whose in ((changes.only_old, "old"), (changes.only_new, "new")):
        if names:
            yield f"  bits of the {whose} one alone: {', '.join(names)}"


def _in_sigma(numbers: Numbers) -> str:
    return f"{numbers.scatter / numbers.sigma_new:.2f}" if numbers.sigma_new else "-"


def _nested_lines(facts: Mapping[str, tuple[Any, Any]]) -> Iterator[str]:
    for key, (old, new) in facts.items():
        if not isinstance(old, Mapping) or not isinstance(new, Mapping):
            continue
        changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
        for name in changed[:_SHOWN]:
            yield f"{key}.{name}: {_short(old.get(name))} -> {_short(new.get(name))}"


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def _changed_columns(old: CatalogueSide, new: CatalogueSide) -> set[str]:
    """Return the columns of both whose digests are not the same."""
    before, now = old.facts.get("columns", {}), new.facts.get("columns", {})
    return {
        name
        for name in old.columns & new.columns
        if before.get(name) is None or before.get(name) != now.get(name)
    }


def _unequal_rows(
    old: CatalogueSide, new: CatalogueSide, names: list[str], options: Options
) -> dict[str, int]:
    """Count the stars in both whose values are not the same."""
    counts, matching = dict.fromkeys(names, 0), matching_of(old, new, options)
    for first in range(0, len(names), _AT_ONCE):
        some = names[first : first + _AT_ONCE]
        for pairs in PairStream(old, new, matching, some, some).pairs():
            for name in some:
                counts[name] += int(np.count_nonzero(unequal(pairs.old[name], pairs.new[name])))
    return {name: count for name, count in counts.items() if count}


def _facts(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (old.get(key), new.get(key)) for key in _FACTS if old.get(key) != new.get(key)}


def _inputs(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, int]:
    both = old.keys() & new.keys()
    same = sum(old[name] == new[name] for name in both)
    return {
        "the same": same,
        "changed": len(both) - same,
        "only in the old": len(old) - len(both),
        "only in the new": len(new) - len(both),
    }
