"""What a draft says of what was not found: at its place, with what it may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.release_parts import STAR_ID
from catalog_builder.archive.tables import TableSpec
from catalog_builder.inspecting.drafting import Draft, Path
from catalog_builder.inspecting.finding import NOT_FOUND, UNKNOWN
from catalog_builder.inspecting.match import (
    LookedTable,
    Match,
    has_its_kinds,
    match_table,
    possible_columns,
)
from catalog_builder.inspecting.siblings import candidates, lengths_beside

#: Groups of files that are named as what a table may be.
_SHOWN: Final = 3


def candidates_for(name: str, match: Match, spec: TableSpec) -> str:
    """Say which columns of a file may be a described one that was not found."""
    profiles = match.looked.profiles
    fits = possible_columns(spec, match.looked)[name]
    return candidates(name, match.columns, spec.columns, profiles, fits)


def needed_columns(release: ReleaseSpec, table: str) -> set[str]:
    """Return the columns without which a table cannot be read."""
    needed = {name for name, column in release.tables[table].columns.items() if column.required}
    for spectrum in release.spectra.values():
        for product in spectrum.products:
            if product.table == table:
                needed |= product.lengths(spectrum.grid.count).keys()
    if release.several_spectra and table in {release.source_table, *release.driving_tables}:
        needed.add(STAR_ID)  # whose a row is
    if is_of_stars(release, table):
        needed.discard("source_id")
    return needed & release.tables[table].columns.keys()


def is_of_stars(release: ReleaseSpec, table: str) -> bool:
    """Say whether rows are known by their stars alone, for these get one spectrum each."""
    return release.several_spectra == "combined" and STAR_ID in release.tables[table].columns


def put_unknown(draft: Draft, where: tuple[str, str], match: Match, spec: TableSpec) -> None:
    """Keep a line of a column that is needed, for its name to be filled in."""
    table, name = where
    path: Path = ("tables", table, "columns", name)
    made = {**draft.content["tables"][table]["columns"][name], "names": [UNKNOWN]}
    beside = lengths_beside(name, match.columns, spec.columns, match.looked.profiles) - {None}
    if spec.columns[name].length is not None and len(beside) == 1:
        made["length"] = beside.pop()
    draft.put(path, made, f"{NOT_FOUND}: write its name; {candidates_for(name, match, spec)}")
    draft.lacking.append(f"tables.{table}.columns.{name}.names")


def fit_unknown_lengths(draft: Draft, release: ReleaseSpec) -> None:
    """Make arrays whose names are to be filled in as long as what was found asks for."""
    for name, content in draft.content["spectra"].items():
        spectrum = release.spectra[name]
        for made in content["products"]:
            product = next(
                each
                for each in spectrum.products
                if (each.table, each.flux) == (made["table"], made.get("flux", each.flux))
            )
            counted = product.model_copy(update={"bands": made.get("bands", {})})
            columns = draft.content["tables"][product.table]["columns"]
            for column, length in counted.lengths(content["grid"]["count"]).items():
                if columns.get(column, {}).get("names") == [UNKNOWN]:
                    columns[column]["length"] = length


def note_missing_columns(
    draft: Draft, by_table: dict[str, Match], found_elsewhere: set[str], release: ReleaseSpec
) -> None:
    """Say of each table which columns were not found, and what each may be."""
    for table, spec in release.tables.items():
        match = by_table.get(table)
        if match is None:
            continue
        missing = [
            name
            for name in spec.columns
            if name not in match.columns
            and not (table in release.looked_up and name in found_elsewhere)
        ]
        there = draft.content["tables"][table]["columns"]
        for name in missing:
            draft.candidates[name] = candidates_for(name, match, spec)
            if name not in there:
                note = f"{name} {NOT_FOUND}; {draft.candidates[name]}"
                draft.note(("tables", table, "columns"), note)
        if missing:
            draft.remarks.append(
                f"tables.{table}.columns: {match.looked.group.name} has nothing like"
                f" {', '.join(missing)}"
            )


def keep_unknown_table(
    draft: Draft, table: str, looked: Sequence[LookedTable], release: ReleaseSpec
) -> None:
    """Keep a table that is needed as the older release has it, for its place to be filled in."""
    spec = release.tables[table]
    near = sorted(
        (
            match_table(table, spec, one)
            for one in looked
            if one.profiles and has_its_kinds(spec, one)
        ),
        key=lambda match: -match.share,
    )
    words = ", ".join(
        f"{match.looked.group.name} (likeness {match.share:.2f})" for match in near[:_SHOWN]
    )
    path: Path = ("tables", table, "folders")
    mark = f"{NOT_FOUND}: no files are like it; candidates: {words or 'none'}"
    draft.put(path, draft.content["tables"][table]["folders"], mark)
    draft.lacking.append(".".join(path))
