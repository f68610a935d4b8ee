"""Which group of files is which described table, and which of its columns is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import ColumnSpec, TableName, TableSpec
from catalog_builder.contract.units import parse_unit, same_unit
from catalog_builder.ground.errors import InputError
from catalog_builder.inspecting.groups import Group
from catalog_builder.inspecting.likeness import Likeness, likeness, match_names
from catalog_builder.inspecting.profile import Profile, profile_columns
from catalog_builder.inspecting.raw import RawTable, read_raw
from catalog_builder.inspecting.siblings import match_siblings

#: Rows that are read of a table with arrays, and of one without.
ARRAY_ROWS, SCALAR_ROWS = 300, 5_000
#: Rows from which a file is worth looking at alone; else this many more files are read.
_FEW_ROWS, _MORE_FILES = 60, 20
#: A group less like a described table is not taken for it.
_LEAST_TABLE: Final = 0.4
#: What a table of spectra must have to be one, of the score.
_NAME_SHARE: Final = 0.3
#: Files whose name is as like that of a table are as like it, if they have identifiers.
_NAMED_SO, _LEAST_NAMED = 0.95, 0.6
#: What is left of the likeness of an array that has another length.
_OTHER_LENGTH: Final = 0.6
#: Columns, the identifier among them, by which a lean table is known for that of the sources.
_FEW_COLUMNS: Final = 3
_LARGEST_SHIFTED_ID: Final = 1e9


@dataclass(frozen=True)
class LookedTable:
    """One file of a group, and what its columns are.

    Attributes
    ----------
    group : Group
        The files.
    url : str
        The one that was read.
    raw, profiles
        Its first rows, and its columns.
    problem : str
        Why it could not be read; then it has no columns.
    """

    group: Group
    url: str
    raw: RawTable | None
    profiles: dict[str, Profile]
    problem: str = ""


@dataclass(frozen=True)
class Match:
    """A described table and the group of files that is most like it.

    Attributes
    ----------
    table : str
        Of the description.
    looked : LookedTable
        The group.
    columns : dict of str to Likeness
        By canonical name, the column of the file.
    share : float
        Their likeness, 0 to 1.
    is_named : bool
        Whether the files are called as the table is, and may be it.
    """

    table: TableName
    looked: LookedTable
    columns: dict[str, Likeness]
    share: float
    is_named: bool = False

    def profile(self, canonical: str) -> Profile | None:
        """Return what a described column is in the file; None where it is missing."""
        found = self.columns.get(canonical)
        return None if found is None else self.looked.profiles[found.name]


def look_at_group(group: Group) -> LookedTable:
    """Read the first rows of a file of a group."""
    url = group.example
    try:
        raw = read_raw(url, ARRAY_ROWS)
        profiles = profile_columns(raw)
        if not any(profile.kind == "array" for profile in profiles.values()):
            raw = read_raw(url, SCALAR_ROWS)
            profiles = profile_columns(raw)
    except InputError as error:
        return LookedTable(group, url, None, {}, str(error))
    if raw.rows < _FEW_ROWS:
        raw = _with_more_rows(raw, group)
        profiles = profile_columns(raw)
    return LookedTable(group, url, raw, profiles)


def _with_more_rows(raw: RawTable, group: Group) -> RawTable:
    """Return the rows of some more files behind those of a small one."""
    cells = {name: list(values) for name, values in raw.cells.items()}
    for url in group.others(_MORE_FILES):
        try:
            more = read_raw(url, _FEW_ROWS)
        except InputError:
            continue
        if more.names == raw.names:
            for name, values in more.cells.items():
                cells[name] += values
    return replace(raw, cells=cells)


def match_tables(looked: Sequence[LookedTable], release: ReleaseSpec) -> list[Match]:
    """Find for each described table the group that is most like it, each used once."""
    pairs = sorted(
        (
            match_table(table, release.tables[table], one)
            for table in release.tables
            for one in looked
            if one.profiles
        ),
        # A lean table may be more like another one than like that whose name its files have.
        key=lambda match: (not match.is_named, -match.share),
    )
    found: dict[TableName, Match] = {}
    taken: set[str] = set()
    for match in pairs:
        name = match.looked.group.name
        if match.share >= _LEAST_TABLE and match.table not in found and name not in taken:
            found[match.table] = match
            taken.add(name)
    lean = None if release.source_table in found else _lean_source_table(pairs, release, taken)
    if lean is not None:
        found[lean.table] = lean
    return [found[table] for table in release.tables if table in found]


def _lean_source_table(
    pairs: Sequence[Match], release: ReleaseSpec, taken: set[str]
) -> Match | None:
    """Return the group most like the source table of those that are no other table.

    An archive may have a few of the described columns, in files of any name: that makes little of
    a likeness. Whatever has identifiers, numbers for each and no arrays is taken for it, if it is
    the nearest; the draft says that this is to be checked.
    """
    for match in pairs:
        profiles = match.looked.profiles.values()
        if (
            match.table == release.source_table
            and match.looked.group.name not in taken
            and "source_id" in match.columns
            and len(match.columns) >= _FEW_COLUMNS
            and not any(profile.kind == "array" for profile in profiles)
        ):
            return match
    return None


def match_table(table: TableName, spec: TableSpec, looked: LookedTable) -> Match:
    """Match the columns of one table; give the likeness of the whole."""
    fits = possible_columns(spec, looked)
    columns = match_names(
        {name: spec.native_names(name) for name in spec.columns},
        looked.profiles,
        fits,
        {name: _of_unit(column, looked.profiles) for name, column in spec.columns.items()},
    )
    if "source_id" not in columns:
        key = _key_by_values(looked.profiles, {each.name for each in columns.values()})
        if key is not None:
            columns["source_id"] = Likeness(key, 0.5, "its values")
    columns |= match_siblings(columns, spec.columns, looked.profiles, fits)
    weights = {name: 3.0 if column.required else 1.0 for name, column in spec.columns.items()}
    shares = {
        name: each.share * (_OTHER_LENGTH if _of_another_length(name, each, spec, looked) else 1.0)
        for name, each in columns.items()
    }
    share = sum(weights[name] * each for name, each in shares.items()) / sum(weights.values())
    if any(column.required and name not in columns for name, column in spec.columns.items()):
        share *= 0.5
    if columns.keys() <= {"source_id"} and len(spec.columns) > 1:
        share *= 0.5  # every table has an identifier
    group = looked.group
    named = max(
        likeness(str(table), group.last_folder),
        likeness(spec.stem or str(table), group.stem or group.last_folder),
    )
    whole = (1 - _NAME_SHARE) * share + _NAME_SHARE * named
    is_named = named > _NAMED_SO and "source_id" in columns and has_its_kinds(spec, looked)
    if is_named:
        whole = max(whole, _LEAST_NAMED)  # whatever its columns are called
    return Match(table, looked, columns, whole, is_named)


def has_its_kinds(spec: TableSpec, looked: LookedTable) -> bool:
    """Say whether a file has arrays if the table has some."""
    described = any(column.length is not None for column in spec.columns.values())
    return not described or any(each.kind == "array" for each in looked.profiles.values())


def likeness_of_columns(match: Match, spec: TableSpec) -> float:
    """Return the sum of the likeness of a table's columns: how much of its files they explain."""
    return sum(
        each.share * (_OTHER_LENGTH if _of_another_length(name, each, spec, match.looked) else 1.0)
        for name, each in match.columns.items()
    )


def _of_another_length(name: str, found: Likeness, spec: TableSpec, looked: LookedTable) -> bool:
    described = spec.columns[name].length
    return described is not None and looked.profiles[found.name].length != described


def possible_columns(spec: TableSpec, looked: LookedTable) -> dict[str, set[str]]:
    """Return by canonical name which columns of a file have a kind that it can be of."""
    return {
        name: _possible(
            name, {each.lower() for each in spec.native_names(name)}, column, looked.profiles
        )
        for name, column in spec.columns.items()
    }


def _possible(
    name: str, natives: set[str], spec: ColumnSpec, profiles: Mapping[str, Profile]
) -> set[str]:
    """Return the columns of a file that have a kind that a described one can be of.

    One of another name must be of a like unit too, where the file says its unit.
    """
    if spec.length is not None:
        kinds = {"array"}
    elif spec.is_text:
        kinds = {"text"}
    elif spec.dtype == "bool":
        kinds = {"boolean", "integer", "empty", "text"}
    elif spec.dtype.startswith("int"):
        kinds = {"integer", "boolean"} if name != "source_id" else {"integer"}
    else:
        kinds = {"float", "integer", "empty"}
    fitting = {
        found
        for found, profile in profiles.items()
        if profile.kind in kinds
        and (found.lower() in natives or not _of_another_unit(profile.unit, spec.unit))
    }
    if name == "source_id" and not spec.is_text:
        return {found for found in fitting if profiles[found].high > _LARGEST_SHIFTED_ID}
    return fitting


def _of_another_unit(found: str | None, described: str | None) -> bool:
    """Tell whether one unit cannot be converted to another; False where the file does not say."""
    if not found:
        return False
    try:
        return not parse_unit(found).is_equivalent(parse_unit(described))
    except (ValueError, TypeError):
        return False


def _of_unit(spec: ColumnSpec, profiles: Mapping[str, Profile]) -> set[str]:
    if not spec.unit:
        return set()
    return {
        found
        for found, profile in profiles.items()
        if profile.unit and same_unit(profile.unit, spec.unit)
    }


def _key_by_values(profiles: Mapping[str, Profile], taken: set[str]) -> str | None:
    """Return the first column of large integers, all different: identifiers."""
    for name, profile in profiles.items():
        large = profile.kind == "integer" and profile.low > _LARGEST_SHIFTED_ID
        if large and name not in taken and len(profile.values) != 1:
            return name
    return None
