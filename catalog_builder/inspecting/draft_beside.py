"""The tables beside a catalogue in a drafted description: as far as their columns were found."""

from __future__ import annotations

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.inspecting.drafting import Draft
from catalog_builder.inspecting.match import Match


def draft_beside(draft: Draft, by_table: dict[str, Match], release: ReleaseSpec) -> None:
    """Leave out what the archive has no columns for, by the names that the older release knows."""
    for name, rule in release.beside.items():
        match = by_table.get(rule.table)
        if match is None:
            draft.drop(("beside", name), f"no files are like {rule.table}")
            continue
        there = {each.lower() for each in match.looked.profiles}
        lacking = [
            column
            for column, spec in rule.columns.items()
            if not there & {each.lower() for each in (spec.names or (column,))}
        ]
        if len(lacking) == len(rule.columns):
            draft.drop(("beside", name), f"{rule.table} has none of its columns")
            continue
        for column in lacking:
            del draft.content["beside"][name]["columns"][column]
        if lacking:
            words = f"beside.{name} has no columns {', '.join(lacking)}: {rule.table} lacks them"
            draft.remarks.append(words)
            draft.note(("beside", name, "columns"), words)
    if not draft.content.get("beside", True):
        del draft.content["beside"]
