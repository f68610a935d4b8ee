"""A release description drafted from what an archive has, each line with where it is from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.ground.errors import InputError
from catalog_builder.inspecting.columns import uses
from catalog_builder.inspecting.cutting import FoundPartition
from catalog_builder.inspecting.draft_beside import draft_beside
from catalog_builder.inspecting.draft_carried import mark_carried
from catalog_builder.inspecting.draft_crosswalks import draft_crosswalks
from catalog_builder.inspecting.draft_missing import (
    candidates_for,
    fit_unknown_lengths,
    keep_unknown_table,
    needed_columns,
    note_missing_columns,
    put_unknown,
)
from catalog_builder.inspecting.draft_spectra import draft_rules, draft_spectra
from catalog_builder.inspecting.draft_tables import draft_column, place, table_name
from catalog_builder.inspecting.drafting import CHECK, FOUND, Draft, Path
from catalog_builder.inspecting.finding import NOT_FOUND
from catalog_builder.inspecting.found_matrices import FoundMatrices
from catalog_builder.inspecting.match import LookedTable, Match, match_table
from catalog_builder.inspecting.profile import truths

#: Columns elsewhere of less likeness than this are not taken from there.
_ELSEWHERE: Final = 0.8
#: Columns that say the epoch of the positions.
_EPOCHS: Final = {"ref_epoch", "reference_epoch", "refepoch", "epoch"}


def make_draft(
    name: str,
    release: ReleaseSpec,
    matches: Sequence[Match],
    others: Sequence[LookedTable],
    cut: FoundPartition,
    matrices: Sequence[FoundMatrices] = (),
) -> Draft:
    """Draft a description of an archive from an older release and what was found.

    Parameters
    ----------
    name : str
        Of the new release.
    release : ReleaseSpec
        The older one.
    matches : sequence of Match
        Its tables that were found.
    others : sequence of LookedTable
        Groups of files that are none of them: missing columns are looked for there.
    cut : FoundPartition
        How the files are cut.
    matrices : sequence of FoundMatrices
        Files of matrices that lie in the archive.

    Raises
    ------
    InputError
        If neither the source table nor a table of spectra was found.
    """
    by_table = {match.table: match for match in matches}
    needed = (release.source_table, *release.driving_tables)
    if not any(table in by_table for table in needed):
        raise InputError(
            f"No table of the archive is like {' or '.join(needed)}: nothing can be drafted.",
            "Give the folder above the tables, or --release with a description nearer to it.",
        )
    draft = Draft(_as_written(release))
    draft.sentinels = _shared_sentinels([match.looked for match in matches])
    draft.put(("name",), name, CHECK)
    title = release.title.removesuffix(" (draft)")
    draft.put(("title",), f"{title} (draft)", CHECK)
    draft.marks[("credit",)] = CHECK
    _draft_epoch(draft, by_table.get(release.source_table))
    if "download" in draft.content:
        draft.drop(("download",), "it is where the older release lies")
    _draft_partition(draft, cut, release)
    looked = [*others, *(match.looked for match in matches)]
    _draft_tables(draft, by_table, looked, release)
    _draft_joined(draft, by_table, others, release)
    draft_crosswalks(draft, others, release)
    elsewhere = {
        name
        for table in draft.content.get("joined_tables", [])
        for name in draft.content["tables"][table]["columns"]
    }
    _keep_unused(draft, by_table, release)
    note_missing_columns(draft, by_table, elsewhere, release)
    draft_beside(draft, by_table, release)
    _draft_text(draft, matches)
    _draft_checksums(draft, matches)
    draft_spectra(draft, by_table, release, matrices)
    fit_unknown_lengths(draft, release)
    draft_rules(draft, by_table, release)
    mark_carried(draft, by_table, release)
    return draft


def _as_written(value: Any) -> Any:
    """Return the lines of the older release: what its file says, also where that is a default."""
    if isinstance(value, BaseModel):
        written = (name for name in type(value).model_fields if name in value.model_fields_set)
        return {name: _as_written(getattr(value, name)) for name in written}
    if isinstance(value, Mapping):
        return {key: _as_written(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_as_written(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _draft_epoch(draft: Draft, match: Match | None) -> None:
    """Take the epoch of the positions from a column of the source table, if it has one value."""
    draft.marks[("reference_epoch",)] = CHECK
    for name, profile in ({} if match is None else match.looked.profiles).items():
        if name.lower() in _EPOCHS and profile.low == profile.high and 1900 < profile.low < 2100:
            draft.put(("reference_epoch",), profile.low, f"{FOUND} in {name}")


def _shared_sentinels(looked: Sequence[LookedTable]) -> list[float]:
    """Return the numbers that stand for null in several columns: so they may in every other."""
    counts = Counter(
        each for one in looked for profile in one.profiles.values() for each in profile.sentinels
    )
    return sorted(each for each, count in counts.items() if count > 1)


def _draft_partition(draft: Draft, found: FoundPartition, release: ReleaseSpec) -> None:
    rule = release.partition
    for key, value in (("layout", found.layout), ("position_column", found.column)):
        if value != getattr(rule, key):
            draft.content["partition"].pop(key, None)
            if value is not None:
                draft.put(("partition", key), value, FOUND)
    if found.layout != "ranges":
        draft.content["partition"].pop("range_pattern", None)
    elif found.pattern is not None:
        draft.put(("partition", "range_pattern"), found.pattern, FOUND)
    if found.layout == "anywhere":
        mark = f"{CHECK}: no rule of names or folders was found that the ids follow"
        draft.marks[("partition", "layout")] = mark
        return
    if found.shift is None or found.level is None:
        return
    by = "by the folders" if found.layout != "ranges" else "by the shift"
    draft.put(("partition", "source_id_shift"), found.shift, f"{FOUND}, in {found.files} files")
    draft.put(("partition", "healpix_level"), found.level, f"{FOUND}, {by}")
    if found.shift - rule.position_shift != 2 * (rule.position_level - found.level):
        draft.put(("partition", "position_level"), found.level, CHECK)
        draft.put(("partition", "position_shift"), found.shift, CHECK)


def _draft_tables(
    draft: Draft, by_table: dict[str, Match], looked: Sequence[LookedTable], release: ReleaseSpec
) -> None:
    driving = set(release.driving_tables)
    kept = {release.source_table} | (set() if driving & by_table.keys() else driving)
    for table, spec in release.tables.items():
        match = by_table.get(table)
        if match is None and table in kept:
            keep_unknown_table(draft, table, looked, release)
        elif match is None:
            draft.drop(("tables", table), "no files are like it")
        else:
            place(draft, table, match.looked)
            needed = needed_columns(release, table)
            for name in spec.columns:
                if name in needed and name not in match.columns:
                    put_unknown(draft, (table, name), match, spec)
                elif name == "source_id" and name not in match.columns:
                    mark = f"{CHECK}: not found, and not needed: the spectra of a star become one"
                    draft.marks[("tables", table, "columns", name)] = mark
                else:
                    draft_column(draft, (table, name), match, spec)
    found = [table for table in release.driving_tables if table in by_table]
    if found and found != list(release.driving_tables):
        draft.put(("driving_tables",), found, FOUND)
    joined = [table for table in release.joined_tables if table in by_table]
    if joined != list(release.joined_tables):
        draft.put(("joined_tables",), joined, FOUND)


def _draft_joined(
    draft: Draft,
    by_table: dict[str, Match],
    others: Sequence[LookedTable],
    release: ReleaseSpec,
) -> None:
    """Look for columns that the source table lost in tables that the description lacks."""
    if release.source_table not in by_table:
        return
    source = release.tables[release.source_table]
    kept = draft.content["tables"][release.source_table]["columns"]
    missing = {name: spec for name, spec in source.columns.items() if name not in kept}
    for looked in others:
        if not missing or not looked.profiles:
            continue
        spec = source.model_copy(
            update={"columns": {"source_id": source.columns["source_id"], **missing}}
        )
        match = match_table(release.source_table, spec, looked)
        found = [
            name
            for name in missing
            if name in match.columns and match.columns[name].share > _ELSEWHERE
        ]
        key = match.columns.get("source_id")
        if not found or key is None or key.share < _ELSEWHERE:
            continue
        table = table_name(looked)
        if table in draft.content["tables"]:
            continue
        dumped = source.model_dump(mode="json", exclude_defaults=True)["columns"]
        draft.put(("tables", table), {"columns": {}}, FOUND)
        place(draft, table, looked)
        columns = draft.content["tables"][table].pop("columns")
        draft.content["tables"][table]["columns"] = columns
        for name in ("source_id", *found):
            columns[name] = dumped[name]
            draft_column(draft, (table, name), match, spec)
            missing.pop(name, None)
        joined = [*draft.content.get("joined_tables", []), table]
        draft.put(("joined_tables",), joined, FOUND)
        by_table[table] = match


def _keep_unused(draft: Draft, by_table: dict[str, Match], release: ReleaseSpec) -> None:
    """Keep columns that no rule uses: they are null, and so is what is made of them."""
    match = by_table.get(release.source_table)
    if match is None:
        return
    used = {use.column for use in uses(release)}
    for spectrum in release.spectra.values():
        for product in spectrum.products:
            used |= {"" if product.announced_by is None else product.announced_by.column}
    homes = [release.source_table, *draft.content.get("joined_tables", [])]
    there = {name for table in homes for name in draft.content["tables"][table]["columns"]}
    source = release.tables[release.source_table]
    dumped = source.model_dump(mode="json", exclude_defaults=True)["columns"]
    for name, spec in source.columns.items():
        if name not in there and name not in used and not spec.required:
            path: Path = ("tables", release.source_table, "columns", name)
            what = candidates_for(name, match, source)
            mark = f"{CHECK}: {NOT_FOUND}, null for every star; {what}"
            draft.put(path, dumped[name], mark)


def _draft_checksums(draft: Draft, matches: Sequence[Match]) -> None:
    """Name the lists that lie beside the files; the algorithm is told by their names."""
    names = Counter(name for match in matches for name in match.looked.group.sums)
    if not names:
        draft.drop(("checksums",), "no checksum list was found")
        return
    name = names.most_common(1)[0][0]
    told = next((each for each in ("sha256", "sha1", "md5") if each in name.lower()), None)
    made = {"file_name": name, "algorithm": told or "md5"}
    draft.put(("checksums",), made, FOUND if told else f"{CHECK}: the algorithm")


def _draft_text(draft: Draft, matches: Sequence[Match]) -> None:
    """Add spellings of nulls and booleans that the older release lacks."""
    found: dict[str, list[str]] = {"null_tokens": [], "true_tokens": [], "false_tokens": []}
    for match in matches:
        for name, likeness in match.columns.items():
            profile = match.looked.profiles[likeness.name]
            found["null_tokens"] += [word for word in profile.null_spellings if word != "(null)"]
            declared = draft.content["tables"].get(match.table, {}).get("columns", {}).get(name)
            if declared and declared["dtype"] == "bool" and profile.kind == "boolean":
                true, false = truths(list(profile.values))
                found["true_tokens"] += true
                found["false_tokens"] += false
    delimiters = {
        match.looked.raw.delimiter
        for match in matches
        if match.looked.raw is not None and match.looked.raw.format == "text"
    }
    if delimiters - {","}:
        delimiter = sorted(delimiters - {","})[0]
        mark = FOUND if len(delimiters) == 1 else f"{CHECK}: tables differ: {sorted(delimiters)}"
        draft.put(("text", "delimiter"), delimiter, mark)
    for key, tokens in found.items():
        known = draft.content["text"][key]
        lowered = {token.lower() for token in known}
        new = list(dict.fromkeys(t.lower() for t in tokens if t.lower() not in lowered))
        if new:
            draft.put(("text", key), [*known, *new], f"{FOUND}: {', '.join(new)}")
