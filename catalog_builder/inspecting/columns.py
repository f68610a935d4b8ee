"""Whether the columns that the rules of a release use are there, filled, and readable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import CodeRule, LineSpectrum, ThresholdRule
from catalog_builder.archive.tables import TableName
from catalog_builder.inspecting.finding import UNKNOWN, Looked, listed
from catalog_builder.inspecting.likeness import most_like
from catalog_builder.inspecting.view import Ids, TableView, View

#: Stars of which a column that is null everywhere, or a flag that none has, tells something.
LEAST_STARS: Final = 50
#: A larger share of cells that cannot be read is no damage but another spelling.
_UNREADABLE: Final = 0.5
#: Announced are nearly all; what announces less of the spectra that are there says something else.
_LEAST_ANNOUNCED: Final = 0.05
#: Of these inputs of a zero point one is enough: which, depends on the solution.
_EITHER: Final = ("nu_eff_used_in_astrometry", "pseudocolour")


@dataclass(frozen=True)
class Use:
    """A column that a line of the description uses.

    Attributes
    ----------
    line, column : str
        The line, and the column it names.
    driving : tuple of str
        Whose stars need it: tables of spectra.
    may_be_null : bool
        Whether it may be null for all stars, as one of two columns of which one is enough.
    beside : str, optional
        A column without which it is not needed: of stars that have no parallax, none is corrected.
    """

    line: str
    column: str
    driving: tuple[TableName, ...]
    may_be_null: bool = False
    beside: str | None = None


def uses(release: ReleaseSpec) -> Iterator[Use]:
    """Yield the columns of looked-up tables that rules use."""
    all_of_them = release.driving_tables
    for line, column in release.parallax_zero_point.columns_by_key():
        either = line.rpartition(".")[2] in _EITHER
        yield Use(line, column, all_of_them, either, "parallax" if release.parallax else None)
    if release.parallax:
        yield Use("parallax", "parallax", all_of_them, beside="parallax_error")
        yield Use("parallax", "parallax_error", all_of_them, beside="parallax")
    for group, bands in release.photometry.items():
        for band, spec in bands.bands.items():
            yield Use(f"photometry.{group}.bands.{band}.column", spec.column, all_of_them)
    for name, spectrum in release.spectra.items():
        tables = tuple(p.table for p in spectrum.products if p.table in all_of_them)
        if isinstance(spectrum, LineSpectrum) and isinstance(spectrum.normalisation, ThresholdRule):
            line = f"spectra.{name}.normalisation.column"
            yield Use(line, spectrum.normalisation.column, tables)
        noise = spectrum.sig_to_noise
        if noise is not None and release.home_of(noise) is not None:
            yield Use(f"spectra.{name}.sig_to_noise", noise, tables)


def check_columns(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note columns that are absent, null for every star, or spelt in another way."""
    for table, seen in view.tables.items():
        _check_file(table, seen, release, looked)
        _check_cells(table, seen, release, looked)
    for use in uses(release):
        home = release.home_of(use.column)
        there = None if home is None else view.tables.get(home)
        if home is None or there is None or there.raw is None:
            continue
        if use.column in there.absent:
            _absent(use.line, use.column, home, there, release, looked)
        elif not use.may_be_null:
            _check_filled(use, home, view, release, looked)
    for table, line, name in _own_columns(release):
        own = view.tables.get(table)
        if own is not None and own.raw is not None and name in own.absent:
            _absent(line, name, table, own, release, looked)
    _check_zero_point(view, release, looked)
    _check_announcements(view, release, looked)
    _check_codes(view, release, looked)


def _own_columns(release: ReleaseSpec) -> Iterator[tuple[TableName, str, str]]:
    """Yield columns of the spectra's own tables that are no samples: S/N, codes."""
    for table, readings in release.readings.items():
        for reading in readings:
            noise = reading.spectrum.sig_to_noise
            if reading.own_noise and noise is not None:
                yield table, f"spectra.{reading.name}.sig_to_noise", noise
            rule = getattr(reading.spectrum, "normalisation", None)
            if isinstance(rule, CodeRule):
                yield table, f"spectra.{reading.name}.normalisation.code", rule.code


def _check_file(table: TableName, seen: TableView, release: ReleaseSpec, looked: Looked) -> None:
    unknown = [
        name for name, column in release.tables[table].columns.items() if column.names == (UNKNOWN,)
    ]
    for name in unknown:
        there = "" if seen.raw is None else f"{seen.file.name} has {listed(seen.raw.names, 40)}. "
        looked.add(
            f"tables.{table}.columns.{name}.names",
            table,
            f"it is to be filled in which column is {name}: its name is {UNKNOWN!r}.",
            f"{there}Write the right one in place of {UNKNOWN!r}.",
        )
    if seen.refused is not None and not unknown:
        lost = [name for name in seen.absent if release.tables[table].columns[name].required]
        hints = [_hint(name, table, seen, release) for name in lost]
        way_out = " ".join(filter(None, hints)) or seen.refused.way_out
        looked.add(f"tables.{table}", table, seen.refused.problem, way_out)


def _absent(
    line: str, column: str, table: TableName, seen: TableView, release: ReleaseSpec, looked: Looked
) -> None:
    names = listed(release.tables[table].native_names(column))
    other = f"Write its name at tables.{table}.columns.{column}.names, or change {line}."
    looked.add(
        line,
        table,
        f"{seen.file.name} has no column {names}, which {line} uses: it would be null for every"
        " star.",
        _hint(column, table, seen, release) or other,
    )


def _hint(column: str, table: TableName, seen: TableView, release: ReleaseSpec) -> str:
    """Name the column of a file that is most like one that is absent; nothing if none is."""
    described = {
        native.lower()
        for name in release.tables[table].columns
        for native in release.tables[table].native_names(name)
    }
    there = [] if seen.raw is None else seen.raw.names
    near = most_like(column, [name for name in there if name.lower() not in described])
    if near is None:
        return ""
    return (
        f"It has {near.name}, which is like {column} (likeness {near.share:.2f}): write"
        f" `names: [{near.name}]` at tables.{table}.columns.{column}, if it is the same."
    )


def _stars_of(use: Use, view: View) -> Ids:
    ids = [view.tables[table].ids for table in use.driving if table in view.tables]
    return np.unique(np.concatenate([np.empty(0, np.int64), *ids]))


def _check_filled(
    use: Use, home: TableName, view: View, release: ReleaseSpec, looked: Looked
) -> None:
    found = _having(use.beside, _found(view.tables[home], _stars_of(use, view)), view, release)
    values = view.looked_up(use.column, found, release)
    if values is None or found.size < LEAST_STARS:
        return
    is_integer = release.tables[home].columns[use.column].numpy_dtype.kind == "i"
    filled = np.isfinite(values) & ((values != 0) | (not is_integer))
    looked.facts[f"{use.line} ({use.column})"] = f"{filled.mean():.0%} of {found.size} stars"
    if not filled.any():
        looked.add(
            use.line,
            home,
            f"{view.tables[home].file.name}: {use.column}, which {use.line} uses, is null for all"
            f" of {found.size} stars with spectra.",
            f"Look at the file: another column or table may have it now; or change {use.line}.",
        )


def _having(column: str | None, ids: Ids, view: View, release: ReleaseSpec) -> Ids:
    """Return the stars that have a column; all of them where it is not known."""
    values = None if column is None else view.looked_up(column, ids, release)
    return ids if values is None else ids[np.isfinite(values)]


def _found(seen: TableView, ids: Ids) -> Ids:
    known = seen.columns.get("source_id")
    return ids[np.isin(ids, known)] if known is not None else ids[:0]


def _check_cells(table: TableName, seen: TableView, release: ReleaseSpec, looked: Looked) -> None:
    """Note columns of which most cells are not what is described."""
    if seen.rows_read < LEAST_STARS:
        return
    for name, count in seen.bad_cells.items():
        if count <= _UNREADABLE * seen.rows_read:
            continue
        spec = release.tables[table].columns[name]
        quoted = _quoted(seen, release.tables[table].native_names(name))
        kind = spec.dtype if spec.length is None else f"list of {spec.length} {spec.dtype}"
        rule = "text.true_tokens and text.false_tokens" if kind == "bool" else "text.null_tokens"
        looked.add(
            f"tables.{table}.columns.{name}.dtype",
            table,
            f"{seen.file.name}: {count} of {seen.rows_read} cells of {name} are no {kind}"
            f"{quoted}: they would be null.",
            f"Correct tables.{table}.columns.{name}.dtype, or add these spellings to {rule}.",
        )


def _quoted(seen: TableView, names: tuple[str, ...]) -> str:
    raw = seen.raw
    found = next((cells for name, cells in raw.cells.items() if name in names), []) if raw else []
    distinct = list(dict.fromkeys(f"{cell!s:.20}" for cell in found))
    return f" ({listed(distinct, 4)})" if distinct else ""


def _check_zero_point(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note if no star has either of the two colours of which the zero point needs one."""
    rule, line = release.parallax_zero_point, "parallax_zero_point.inputs"
    inputs = rule.inputs
    if rule.fallback is not None:
        line, inputs = "parallax_zero_point.fallback.inputs", rule.fallback.inputs
    either = [inputs[argument] for argument in _EITHER if argument in inputs]
    homes = {release.home_of(column) for column in either}
    seen = view.tables.get(next(iter(homes)) or "") if len(homes) == 1 else None
    if seen is None or any(not seen.has(column) for column in either):
        return
    ids = [view.tables[table].ids for table in release.driving_tables if table in view.tables]
    found = _found(seen, np.unique(np.concatenate([np.empty(0, np.int64), *ids])))
    found = _having("parallax" if release.parallax else None, found, view, release)
    columns = [view.looked_up(column, found, release) for column in either]
    known = [np.isfinite(values) & (values != 0) for values in columns if values is not None]
    if found.size >= LEAST_STARS and known and not np.any(known):
        looked.add(
            line,
            str(next(iter(homes))),
            f"{seen.file.name}: {' and '.join(either)} are null for all of {found.size} stars:"
            " none would have a corrected parallax.",
            "Look at the file, or change parallax_zero_point.",
        )


def _check_announcements(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note flags that announce none of the spectra that are there."""
    for name, spectrum in release.spectra.items():
        for place, product in enumerate(spectrum.products):
            said = product.announced_by
            if said is None or product.table not in view.tables:
                continue
            home = said.table or release.source_table
            seen, line = view.tables.get(home), f"spectra.{name}.products.{place}.announced_by"
            if seen is None or seen.raw is None:
                continue
            if said.column in seen.absent:
                _absent(line, said.column, home, seen, release, looked)
                continue
            ids = _found(seen, np.unique(view.tables[product.table].ids))
            values = view.looked_up(said.column, ids, release)
            if values is None or ids.size < LEAST_STARS:
                continue
            share = float(said.said_by(values).mean())
            looked.facts[line] = f"announces {share:.0%} of {ids.size} spectra"
            if share < _LEAST_ANNOUNCED:
                quoted = _quoted(seen, release.tables[home].native_names(said.column))
                looked.add(
                    line,
                    home,
                    f"{seen.file.name}: {said.column} announces {share:.0%} of {ids.size} stars"
                    f" that have a row in {product.table}{quoted}.",
                    f"Correct {line}.values, the dtype of the column, or text.true_tokens.",
                )


def _check_codes(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note codes of the normalisation of which the description knows none."""
    for table, readings in release.readings.items():
        seen = view.tables.get(table)
        for reading in readings:
            rule = getattr(reading.spectrum, "normalisation", None)
            if not isinstance(rule, CodeRule) or seen is None or rule.code not in seen.columns:
                continue
            codes = seen.columns[rule.code]
            counted = _counts(codes)
            looked.facts[f"spectra.{reading.name}.normalisation.values"] = counted
            if codes.size >= LEAST_STARS and not np.isin(codes, list(rule.values)).any():
                looked.add(
                    f"spectra.{reading.name}.normalisation.values",
                    table,
                    f"{seen.file.name}: {rule.code} is {counted}, and none of these codes is"
                    " described.",
                    f"Add them to spectra.{reading.name}.normalisation.values.",
                )


def _counts(values: NDArray[Any]) -> str:
    found, counts = np.unique(values, return_counts=True)
    return listed(f"{value} ({count})" for value, count in zip(found, counts, strict=True))
