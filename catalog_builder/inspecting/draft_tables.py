"""The lines of one table in a drafted description: its files, and its columns."""

from __future__ import annotations

from typing import get_args

from catalog_builder.archive.tables import FileFormat, TableSpec
from catalog_builder.inspecting.drafting import CHECK, FOUND, Draft, Path
from catalog_builder.inspecting.match import LookedTable, Match


def place(draft: Draft, table: str, looked: LookedTable) -> None:
    """Say where the files of a table lie, and what they are."""
    group = looked.group
    draft.put(("tables", table, "folders"), [group.top or "."], FOUND)
    draft.put(("tables", table, "stem"), group.stem, FOUND)
    known = group.ending in get_args(FileFormat)
    mark = FOUND if known else f"{CHECK}: files end in {group.ending}, which is not read"
    draft.put(("tables", table, "formats"), [group.ending if known else "csv"], mark)


def draft_column(draft: Draft, where: tuple[str, str], match: Match, spec: TableSpec) -> None:
    """Draft a column of a table from what stands in the file; without one it is left out."""
    table, name = where
    path: Path = ("tables", table, "columns", name)
    found, profile, column = match.columns.get(name), match.profile(name), spec.columns[name]
    if found is None or profile is None:
        del draft.content["tables"][table]["columns"][name]
        return
    made = dict(draft.content["tables"][table]["columns"][name])
    natives = spec.native_names(name)
    mark = FOUND
    made.pop("names", None)
    if found.name.lower() != name:
        made["names"] = [found.name]
    if found.name.lower() not in {native.lower() for native in natives}:
        by = found.by or f"by likeness ({found.share:.2f})"
        mark = f"{CHECK}: taken for it {'as ' if found.by else ''}{by}"
    if column.length is not None and profile.length and profile.length != column.length:
        made["length"] = profile.length
        mark = f"{mark}; {column.length} before"
    nulls = [] if column.dtype == "bool" or name == "source_id" else list(profile.sentinels)
    if nulls:
        mark = f"{mark}; these numbers come again and again, far from all others"
    if column.dtype.startswith("float"):
        more = [each for each in draft.sentinels if each not in nulls and profile.is_beyond(each)]
        nulls += more
        mark += f"; {', '.join(f'{each:g}' for each in more)} as elsewhere" if more else ""
    if nulls:
        made["nulls"] = nulls
    if column.dtype == "bool" and profile.kind == "integer":
        made["dtype"] = profile.dtype
        values = ", ".join(f"{value} ({count})" for value, count in profile.values.items())
        mark = f"{CHECK}: no boolean any more, but {values or 'integers'}"
    if column.dtype.startswith("int") and profile.kind == "boolean":
        made["dtype"] = "bool"
        mark = f"{CHECK}: no number any more, but {', '.join(profile.values)}"
    draft.put(path, made, mark)


def table_name(looked: LookedTable) -> str:
    """Return a name for a table that no description knows, of its folder or of its files."""
    last = looked.group.last_folder or looked.group.stem
    plain = "".join(letter if letter.isalnum() else "_" for letter in last.lower()).strip("_")
    return plain if plain and plain[0].isalpha() else f"table_{plain}"
