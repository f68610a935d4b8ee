"""The tables beside a catalogue in a drafted description: as far as their columns were found."""

from __future__ import annotations

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.contract.units import same_unit
from catalog_builder.inspecting.drafting import Draft
from catalog_builder.inspecting.match import Match


def draft_beside(draft: Draft, by_table: dict[str, Match], release: ReleaseSpec) -> None:
    """Leave out what the archive has no columns for, by names and units of the older release."""
    for name, rule in release.beside.items():
        match = by_table.get(rule.table)
        if match is None:
            draft.drop(("beside", name), f"no files are like {rule.table}")
            continue
        units = {each.lower(): found.unit for each, found in match.looked.profiles.items()}
        lacking = []
        for column, spec in rule.read_as().items():
            names = [each.lower() for each in (spec.names or (column,)) if each.lower() in units]
            unit = units[names[0]] if names else ""
            if not names or (unit and not same_unit(unit, spec.unit)):
                lacking.append(column)
        if len(lacking) == len(rule.columns):
            draft.drop(("beside", name), f"{rule.table} has none of its columns")
            continue
        for column in lacking:
            del draft.content["beside"][name]["columns"][column]
        if lacking:
            words = f"beside.{name} lacks {', '.join(lacking)}: no column of the name and unit"
            draft.remarks.append(words)
            draft.note(("beside", name, "columns"), words)
    if not draft.content.get("beside", True):
        del draft.content["beside"]
