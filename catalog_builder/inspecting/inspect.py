"""Look at an archive of any layout: what it has, how it differs from a release, a draft."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.features.matrices import place_matrices
from catalog_builder.ground.errors import CatalogBuilderError, InputError
from catalog_builder.inspecting import page
from catalog_builder.inspecting.cutting import FoundPartition, measure_partition
from catalog_builder.inspecting.draft import make_draft
from catalog_builder.inspecting.drafting import Draft
from catalog_builder.inspecting.found_matrices import find_matrices
from catalog_builder.inspecting.gate import examine_archive
from catalog_builder.inspecting.groups import find_groups
from catalog_builder.inspecting.match import Match, look_at_group, match_tables
from catalog_builder.inspecting.measure import Lines, measure_lines
from catalog_builder.inspecting.view import look
from catalog_builder.inspecting.yaml_text import to_text
from catalog_builder.runtime.redaction import redact_credentials


@dataclass(frozen=True)
class Inspected:
    """What was found.

    Attributes
    ----------
    text : str
        A page to read.
    draft : str
        A release description as YAML; empty where none could be made.
    problem : InputError, optional
        Why there is none.
    """

    text: str
    draft: str
    problem: CatalogBuilderError | None


def inspect_archive(archive: str, release: ReleaseSpec, name: str = "draft") -> Inspected:
    """Look at one file of each table of an archive.

    Parameters
    ----------
    archive : str
        Path or URL.
    release : ReleaseSpec
        With which it is compared, and from which a draft takes what cannot be seen.
    name : str
        Of the drafted release.

    Raises
    ------
    InputError
        If the archive is not there or cannot be listed, or has no files of tables.
    """
    groups = find_groups(archive)
    if not groups:
        raise InputError(
            f"The archive {archive} has no files of tables.",
            "Give its folder: files end in .csv, .ecsv, .fits or .parquet, the first three also"
            " with .gz.",
        )
    looked = [look_at_group(group) for group in groups]
    matches = match_tables(looked, release)
    taken = {match.looked.group.name for match in matches}
    others = [one for one in looked if one.group.name not in taken]
    cut = measure_partition(matches, release.partition)
    parts: list[Iterator[str]] = [page.partition_lines(cut, release)]
    text, problem, draft = "", None, None
    about = redact_credentials(archive)
    try:
        matrices = find_matrices(archive)
        draft = make_draft(name, release, matches, others, cut, matrices)
        text = to_text(draft, release.name, about)
        drafted = _loaded(text)
        if not _is_listed(archive, drafted):
            cut = FoundPartition("anywhere", cut.pattern)
            draft = make_draft(name, release, matches, others, cut, matrices)
            text = to_text(draft, release.name, about)
            drafted = _loaded(text)
    except CatalogBuilderError as error:
        problem, drafted = error, None
    lines = {} if draft is None else draft.lines
    for match in matches:
        parts.append(page.table_lines(match, release))
        parts += _spectra_parts(archive, match, release, drafted, lines)
    parts += [page.group_lines(one) for one in others]
    parts += _gates(archive, release, drafted)
    if draft is not None:
        parts.append(_remarks(draft))
    return Inspected(page.joined(parts), text if drafted is not None else "", problem)


def _is_listed(archive: str, drafted: ReleaseSpec) -> bool:
    """Say whether the files of an archive are found by how a draft says that they are cut."""
    try:
        partitions = list_partitions(archive, drafted)
    except CatalogBuilderError:
        return False
    found = {table for partition in partitions for table in partition.files}
    return found >= {*drafted.looked_up, *drafted.driving_tables}


def _remarks(draft: Draft) -> Iterator[str]:
    if draft.remarks:
        yield "NOT IN THE DRAFT"
        yield from (f"  {remark}" for remark in draft.remarks)


def _loaded(text: str) -> ReleaseSpec:
    """Load a drafted description, as a run would."""
    with tempfile.TemporaryDirectory(prefix="catalog-builder-") as folder:
        file = Path(folder) / "draft.yaml"
        file.write_text(text, encoding="utf-8")
        return load_release(file)


def _spectra_parts(
    archive: str,
    match: Match,
    release: ReleaseSpec,
    drafted: ReleaseSpec | None,
    measured: dict[str, Lines],
) -> Iterator[Iterator[str]]:
    for name, spectrum in release.spectra.items():
        for product in spectrum.products:
            if product.table != match.table or not isinstance(spectrum, LineSpectrum):
                continue
            lines = measured.get(name) or measure_lines(match, product, spectrum)
            if lines is not None:
                yield _lines_of(archive, name, lines, spectrum, match, drafted)
    yield page.band_lines(match, release)


def _lines_of(
    archive: str,
    name: str,
    lines: Lines,
    spectrum: LineSpectrum,
    match: Match,
    drafted: ReleaseSpec | None,
) -> Iterator[str]:
    yield from page.lines_lines(name, lines, spectrum)
    if drafted is None or name not in drafted.spectra:
        return
    own = drafted.spectra[name]
    try:
        partitions = list_partitions(archive, drafted)
    except CatalogBuilderError:
        return
    for partition in partitions:
        urls = [file.url for file in partition.files.get(match.table, ())]
        if match.looked.url in urls and isinstance(own, LineSpectrum):
            view = look(partition, drafted)
            yield from page.brightness_lines(view, match.table, own, lines, drafted)


def _gates(
    archive: str, release: ReleaseSpec, drafted: ReleaseSpec | None
) -> Iterator[Iterator[str]]:
    for title, spec in ((release.name, release), ("THE DRAFT", drafted)):
        if spec is None:
            continue
        try:
            placed = place_matrices(spec, archive, None)
            report = examine_archive(list_partitions(archive, placed), placed)
        except CatalogBuilderError as error:
            yield iter([f"AGAINST {title}: {error.problem}"])
        else:
            yield page.gate_lines(title, report)
