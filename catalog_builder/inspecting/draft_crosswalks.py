"""How a drafted release is joined to an older one: the table with the identifiers of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import ColumnSpec, TableSpec
from catalog_builder.inspecting.draft_tables import draft_column, place, table_name
from catalog_builder.inspecting.drafting import CHECK, FOUND, Draft, Path
from catalog_builder.inspecting.match import LookedTable, match_table

#: What a table of neighbours may have beside its identifiers, as Gaia's have it
#: (``dr2_neighbourhood`` of DR3): by the keys of a crosswalk.
_BESIDE: Final = {
    "distance": ("angular_distance", ColumnSpec(dtype="float32", unit="mas")),
    "magnitude_difference": ("magnitude_difference", ColumnSpec(dtype="float32", unit="mag")),
    "probable": ("probable_match", ColumnSpec(dtype="bool")),
}
_KEY: Final = "source_id"


def draft_crosswalks(draft: Draft, others: Sequence[LookedTable], release: ReleaseSpec) -> None:
    """Leave out tables of old identifiers that are not there, and look for one of this release's.

    Parameters
    ----------
    draft : Draft
        With its tables.
    others : sequence of LookedTable
        Groups of files that are none of the described tables.
    release : ReleaseSpec
        The older release: its identifiers may stand beside the archive's.
    """
    tables = draft.content["tables"]
    for older, rule in release.crosswalks.items():
        place: Path = ("crosswalks", older)
        there = tables.get(rule.table, {}).get("columns", {})
        lacking = {key for key, column in rule.columns.items() if column not in there}
        if lacking & {"old", "new"}:
            draft.drop(place, f"labels of {older} cannot be carried over without its table")
            continue
        for key in sorted(lacking):
            draft.drop((*place, key), f"{rule.table} has no column for it")
    if not draft.content.get("crosswalks", True):
        del draft.content["crosswalks"]
    if release.name not in draft.content.get("crosswalks", {}):
        _draft_neighbours(draft, others, release)


def _draft_neighbours(draft: Draft, others: Sequence[LookedTable], release: ReleaseSpec) -> None:
    """Draft the table that has the identifiers of the older release beside the archive's own."""
    old = f"{release.name}_{_KEY}"
    identifier = ColumnSpec(dtype="int64")
    columns = {_KEY: ColumnSpec(dtype="int64", required=True), old: identifier}
    columns |= dict(_BESIDE.values())
    for looked in others:
        named = {name.lower() for name in looked.profiles}
        if not {_KEY, old} <= named:
            continue
        table = table_name(looked)
        if table in draft.content["tables"]:
            continue
        spec = TableSpec(folders=(".",), formats=("csv",), columns=columns)
        match = match_table(table, spec, looked)
        made = {name: each.model_dump(exclude_defaults=True) for name, each in columns.items()}
        draft.put(("tables", table), {"columns": {}}, FOUND)
        place(draft, table, looked)
        draft.content["tables"][table] = {
            key: value for key, value in draft.content["tables"][table].items() if key != "columns"
        } | {"columns": made}
        for name in columns:
            draft_column(draft, (table, name), match, spec)
        rule = {"table": table, "old": old, "new": _KEY}
        rule |= {key: name for key, (name, _) in _BESIDE.items() if name in match.columns}
        draft.put(
            ("crosswalks",),
            {**draft.content.get("crosswalks", {}), release.name: rule},
            f"{CHECK}: the limits, by default 200 mas and 0.5 mag",
        )
        draft.marks |= {("crosswalks", release.name, key): FOUND for key in rule}
        return
