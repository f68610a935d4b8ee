"""What was found of an archive, as a page to read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from dask.utils import format_bytes

from catalog_builder.archive.marks import SENTENCE
from catalog_builder.archive.matrices import BasisFile, name_of
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.contract.units import same_unit
from catalog_builder.inspecting.cutting import FoundPartition
from catalog_builder.inspecting.finding import listed
from catalog_builder.inspecting.gate import GateReport
from catalog_builder.inspecting.match import LookedTable, Match
from catalog_builder.inspecting.measure import Lines, band_counts, samples
from catalog_builder.inspecting.profile import Profile
from catalog_builder.inspecting.samples_of_lines import LEAST_SHIFT
from catalog_builder.inspecting.spectra import share_of_broken_matrices
from catalog_builder.inspecting.view import View

_SHOWN: Final = 12
_MATRICES: Final = 40
#: Limits of brightness are percentiles: as many spectra in each part.
_PARTS: Final = 5


def simulated_lines(files: Sequence[str]) -> Iterator[str]:
    """Say at the very beginning that stars are simulated, and which files say so."""
    if files:
        yield f"SIMULATED STARS: {SENTENCE}, says {listed(files, 3)}"


def partition_lines(found: FoundPartition, release: ReleaseSpec) -> Iterator[str]:
    """Say how files are cut, and whether ids lie where they should."""
    rule = release.partition
    yield "PARTITION"
    yield f"  layout                     {_LAYOUTS[found.layout]}"
    if found.layout in {"ranges", "anywhere"}:
        yield f"  ranges in file names       {found.pattern or 'none'}"
    shift = rule.source_id_shift
    if found.layout in {"regions", "hats"}:
        yield f"  orders of folders          up to {found.level}"
        shift = 59 - 2 * (found.level or 0)
    if np.isfinite(found.share):
        yield (
            f"  source_id >> {shift:<14}{found.share:.1%} of the ids lie in the range of their file"
            f" ({found.files} files)"
        )
    if found.column is not None:
        yield f"  position_column            {found.column} lies there"
    elif found.shift is not None and found.shift != shift:
        level = "" if found.level is None else f", HEALPix level {found.level}"
        yield f"  source_id >> {found.shift:<14}brings all of them there{level}"
    if found.layout == "anywhere" and found.files:
        yield "  no shift of the ids brings them into the ranges of their files"


_LAYOUTS: Final = {
    "ranges": "ranges: each file has one in its name",
    "regions": "regions: folders region=<id>",
    "hats": "hats: folders Norder=k/Dir=d, and Npix=n",
    "anywhere": "anywhere: files are not cut by place, or by no rule that was found",
}


def table_lines(match: Match, release: ReleaseSpec) -> Iterator[str]:
    """Say what a table has, and what of its description it lacks."""
    looked, spec = match.looked, release.tables[match.table]
    group = looked.group
    yield f"TABLE {match.table} (likeness {match.share:.2f})"
    yield (
        f"  {group.name}: {len(group.files)} files, {format_bytes(group.size)}; checksum lists:"
        f" {listed(group.sums) or 'none'}"
    )
    yield f"  looked at {looked.url.rsplit('/', 1)[-1]}, {_rows(looked)}"
    renamed = {
        name: found
        for name, found in match.columns.items()
        if found.name.lower() not in {each.lower() for each in spec.native_names(name)}
    }
    missing = [name for name in spec.columns if name not in match.columns]
    yield f"  found {len(match.columns)} of {len(spec.columns)} described columns"
    for name, found in renamed.items():
        yield f"  renamed  {name} is {found.name}? ({found.in_words})"
    if missing:
        yield f"  missing  {listed(missing, 40)}"
    taken = {found.name for found in match.columns.values()}
    strangers = [name for name in looked.profiles if name not in taken]
    if strangers:
        yield f"  not described  {len(strangers)}: {listed(strangers, _SHOWN)}"
    if equal := equal_columns(looked):
        words = (" = ".join(names) for names in equal)
        yield f"  equal in all rows  {listed(words, _SHOWN)}"
    for name, column in spec.columns.items():
        profile = match.profile(name)
        if profile is None:
            continue
        remark = []
        if profile.unit and not same_unit(profile.unit, column.unit):
            remark.append(f"UNIT {profile.unit}, described {column.unit or 'none'}")
        if column.length != profile.length and profile.kind != "empty":
            remark.append(f"LENGTH {profile.length}, described {column.length}")
        if column.dtype == "bool" and profile.kind not in {"boolean", "empty"}:
            remark.append("NO BOOLEAN")
        yield f"    {_column(profile)}{'  ' + '; '.join(remark) if remark else ''}".rstrip()


def equal_columns(looked: LookedTable) -> list[list[str]]:
    """Return columns of numbers that are equal in all rows that were read: one may be a copy."""
    if looked.raw is None:
        return []
    equal: dict[tuple[object, ...], list[str]] = {}
    for name, profile in looked.profiles.items():
        if profile.kind == "float" and profile.low < profile.high:
            cells = tuple(None if _is_nan(cell) else cell for cell in looked.raw.cells[name])
            equal.setdefault(cells, []).append(name)
    return [names for names in equal.values() if len(names) > 1]


def _is_nan(cell: object) -> bool:
    """Tell whether a cell is a number that is not equal to itself."""
    return isinstance(cell, float) and math.isnan(cell)


def group_lines(looked: LookedTable) -> Iterator[str]:
    """Say what a group of files has that is like no described table."""
    group = looked.group
    yield (
        f"FILES {group.name}: {len(group.files)}, {format_bytes(group.size)}; like no described"
        " table"
    )
    if looked.problem:
        yield f"  cannot be read: {looked.problem}"
        return
    yield f"  looked at {looked.url.rsplit('/', 1)[-1]}, {_rows(looked)}"
    for profile in list(looked.profiles.values())[:_SHOWN]:
        yield f"    {_column(profile)}"
    if len(looked.profiles) > _SHOWN:
        yield f"    and {len(looked.profiles) - _SHOWN} more columns"


def _rows(looked: LookedTable) -> str:
    raw = looked.raw
    return "nothing" if raw is None else f"{raw.format}, first {raw.rows} rows"


def _column(profile: Profile) -> str:
    kind = profile.kind if profile.length is None else f"array of {_lengths(profile)}"
    parts = [f"{profile.name:<32}{kind:<14}{profile.unit:<12}"]
    if profile.nulls:
        words = listed(
            (repr(word) if word != "(null)" else word) for word in profile.null_spellings
        )
        parts.append(f"null {profile.nulls / max(1, profile.rows):.0%} as {words}")
    if profile.sentinels:
        words = listed(f"{value:g}" for value in profile.sentinels)
        parts.append(f"{words} for null?")
    if profile.values and (profile.kind != "integer" or len(profile.values) <= _SHOWN):
        counts = (f"{value} ({count})" for value, count in profile.values.items())
        parts.append(f"values {listed(counts, _SHOWN)}")
    elif np.isfinite(profile.low):
        digits = ".0f" if profile.kind == "integer" else "g"
        parts.append(f"{profile.low:{digits}} to {profile.high:{digits}}")
    return " ".join(parts)


def _lengths(profile: Profile) -> str:
    return listed(str(length) for length in profile.lengths)


def lines_lines(name: str, lines: Lines, spectrum: LineSpectrum) -> Iterator[str]:
    """Say what the triplet tells of spectra of lines, and how they were normalised."""
    grid = spectrum.grid
    yield f"SPECTRA {name}"
    yield f"  samples          {lines.count}, described {grid.count}"
    if lines.found is not None:
        found = lines.found
        yield (
            f"  by the triplet   start {found.start:.4f} +- {found.start_error:.4f} nm, step"
            f" {found.step:.6f} +- {found.step_error:.6f} nm in vacuum; lines fit to"
            f" {found.residual:.4f} nm"
        )
        yield f"  probably         {lines.start:.8g} + {lines.step:.6g} i nm, {lines.medium}"
    else:
        yield "  the triplet is not seen: grid and medium cannot be told"
    if lines.described is not None:
        shift = lines.described
        verdict = "off" if abs(shift.nanometres) > LEAST_SHIFT else "as described"
        yield (
            f"  as described     {grid.start:.8g} + {grid.step:.6g} i {grid.unit},"
            f" {spectrum.medium}: the triplet lies {shift.nanometres:+.4f} +- {shift.error:.4f} nm"
            f" from its place ({verdict})"
        )
    if np.isfinite(lines.scatter):
        frame = "rest" if lines.at_rest else "barycentric"
        yield f"  frame            {frame}: it scatters by {lines.scatter:.1f} km/s among stars"
    medians = lines.medians
    if np.isfinite(medians.sig_to_noise).any() and (medians.sig_to_noise > 0).any():
        shares = np.nanpercentile(medians.sig_to_noise, [5, 25, 50, 75, 95])
        yield f"  S/N              {' '.join(f'{share:.0f}' for share in shares)} (5 to 95 %)"
    told = medians.at_one[medians.telling]
    if told.size:
        yield f"  medians          {told.mean():.0%} of {told.size} with S/N above 15 are 1"


def brightness_lines(
    view: View, table: str, spectrum: LineSpectrum, lines: Lines, release: ReleaseSpec
) -> Iterator[str]:
    """Say how medians and upper edges go with brightness: which normalisation."""
    seen, rule = view.tables.get(table), spectrum.normalisation
    columns = [getattr(rule, "column", None)] + [
        column for group in release.photometry.values() for column in group.columns
    ]
    column = next((each for each in columns if each is not None), None)
    if seen is None or column is None or "source_id" not in seen.columns:
        return
    ids = seen.columns["source_id"]
    values = view.looked_up(column, ids, release)
    if values is None or values.size != lines.medians.median.size:
        return
    good = np.isfinite(values) & np.isfinite(lines.medians.median)
    if good.sum() < _PARTS:
        return
    yield f"  by {column}:      spectra   median   90th percentile   medians at 1"
    for part in np.array_split(np.argsort(np.where(good, values, np.inf))[: good.sum()], _PARTS):
        between = f"{values[part].min():.2f} to {values[part].max():.2f}"
        yield (
            f"    {between:<18}{part.size:>12}{np.median(lines.medians.median[part]):>9.3f}"
            f"{np.median(lines.medians.upper[part]):>18.3f}"
            f"{lines.medians.at_one[part].mean():>15.0%}"
        )


def band_lines(match: Match, release: ReleaseSpec) -> Iterator[str]:
    """Say how many coefficients a table has, and whether its correlations make matrices."""
    for name, spectrum in release.spectra.items():
        for product in spectrum.products:
            if product.table != match.table or not product.bands:
                continue
            yield f"COEFFICIENTS {name}"
            counts = band_counts(match, product)
            for band, described in product.bands.items():
                count = counts.get(band)
                needed = None if count is None else count * (count - 1) // 2
                values = samples(match, f"{band}_coefficient_correlations")
                words = f"{count or 'none'}, described {described} of {_basis_words(product.basis)}"
                if values is not None and values.shape[1] == needed:
                    broken = share_of_broken_matrices(values[:_MATRICES])
                    words += f"; {1 - broken:.0%} of the correlations are positive definite"
                elif values is not None:
                    words += f"; {values.shape[1]} correlations, {needed} would fit"
                yield f"  {band:<16} {words}"


def _basis_words(basis: str | BasisFile | None) -> str:
    """Say which matrices coefficients are described for, and whether these are there."""
    there = not isinstance(basis, BasisFile) or (basis.place is not None and basis.place.is_file())
    return f"the matrices {name_of(basis)}{'' if there else ', which are NOT THERE'}"


def gate_lines(title: str, report: GateReport) -> Iterator[str]:
    """Say what the gate would say."""
    yield f"AGAINST {title}: {report.in_words()}"
    for found in report.findings:
        yield f"  {found.line}: {found.problem}"
        yield f"    -> {found.way_out}"


def joined(parts: Sequence[Iterator[str]]) -> str:
    """Return several parts as one text, an empty line between them."""
    return "\n\n".join(text for part in parts if (text := "\n".join(part)))
