"""Look at an archive of any layout: what it has, how it differs from a release, a draft."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.marks import MARK_FILE, is_marked, is_marked_archive
from catalog_builder.archive.matrices import name_of
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.contract.description import find_description
from catalog_builder.features.low_resolution import refuse_other_matrices
from catalog_builder.features.matrices import place_matrices
from catalog_builder.ground.errors import CatalogBuilderError, ConfigError, InputError
from catalog_builder.inspecting import page
from catalog_builder.inspecting.cutting import FoundPartition, measure_partition
from catalog_builder.inspecting.draft import make_draft
from catalog_builder.inspecting.drafting import Draft
from catalog_builder.inspecting.finding import NOT_FOUND, Finding
from catalog_builder.inspecting.found_matrices import find_matrices
from catalog_builder.inspecting.gate import examine_archive
from catalog_builder.inspecting.groups import find_groups
from catalog_builder.inspecting.label_files import LabelFile, find_label_files, label_lines
from catalog_builder.inspecting.match import LookedTable, Match, look_at_group, match_tables
from catalog_builder.inspecting.measure import Lines, measure_lines
from catalog_builder.inspecting.nearest import nearest_lines, rank_releases
from catalog_builder.inspecting.older_remarks import OlderRemarks, read_remarks
from catalog_builder.inspecting.view import look
from catalog_builder.inspecting.yaml_text import Older, carried_in_words, to_text
from catalog_builder.runtime.redaction import redact_credentials


@dataclass(frozen=True)
class Inspected:
    """What was found.

    Attributes
    ----------
    text : str
        A page to read.
    draft : str
        A release description as YAML; empty where nothing was found that one could be made of.
    problem : CatalogBuilderError, optional
        Why there is none, or why it does not load as it is.
    lacking : tuple of str
        Its lines that are to be filled in.
    labels : tuple of str
        How a run takes the label surveys that are there.
    """

    text: str
    draft: str
    problem: CatalogBuilderError | None
    lacking: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def inspect_archive(
    archive: str, release: ReleaseSpec, name: str = "draft", called: str | None = None
) -> Inspected:
    """Look at one file of each table of an archive.

    Parameters
    ----------
    archive : str
        Path or URL.
    release : ReleaseSpec
        With which it is compared, and from which a draft takes what cannot be seen: as it is
        written (`load_written`).
    name : str
        Of the drafted release.
    called : str, optional
        What `release` was loaded by, a name or a file; its name by default.

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
    called = called or release.name
    ranked = rank_releases(looked, release, called)
    labelled = find_label_files(looked, {release.name, *(one.name for one in ranked[:1])})
    matches = _matches(looked, labelled, release)
    taken = {match.looked.group.name for match in matches}
    labelled = [one for one in labelled if one.looked.group.name not in taken]
    taken |= {one.looked.group.name for one in labelled if not one.lacking}
    others = [one for one in looked if one.group.name not in taken]
    cut = measure_partition(matches, release.partition)
    placed, _ = _placed(release, archive)
    simulated = page.simulated_lines(_simulated(archive, looked))
    older = Older(release.name, _remarks_in(called))
    labels = [line for one in labelled for line in one.in_words()]
    near = nearest_lines(ranked, called)
    parts: list[Iterator[str]] = [simulated, near, page.partition_lines(cut, release)]
    text, problem, draft = "", None, None
    about = redact_credentials(archive)
    try:
        matrices = find_matrices(archive)
        draft = make_draft(name, release, matches, others, cut, matrices)
        text = to_text(draft, older, about, labels)
        drafted = _loaded(text)
        if not draft.lacking and not _is_listed(archive, drafted):
            cut = FoundPartition("anywhere", cut.pattern)
            draft = make_draft(name, release, matches, others, cut, matrices)
            text = to_text(draft, older, about, labels)
            drafted = _loaded(text)
    except CatalogBuilderError as error:
        problem, drafted = error, None
    lines = {} if draft is None else draft.lines
    for match in matches:
        parts.append(page.table_lines(match, release))
        parts += _spectra_parts(archive, match, placed, drafted, lines)
    parts += [page.group_lines(one) for one in others]
    parts += [label_lines(one) for one in labelled]
    parts += _gates(archive, release, drafted)
    if draft is not None:
        parts.append(_remarks(draft, release.name))
    lacking = () if draft is None else tuple(draft.lacking)
    return Inspected(page.joined(parts), text, problem, lacking, tuple(labels))


def _matches(
    looked: Sequence[LookedTable], labelled: Sequence[LabelFile], release: ReleaseSpec
) -> list[Match]:
    """Find the described tables; among files of labels only where no other is the source table."""
    labels = {one.looked.group.name for one in labelled if not one.lacking}
    matches = match_tables([one for one in looked if one.group.name not in labels], release)
    if any(match.table == release.source_table for match in matches):
        return matches
    return match_tables(looked, release)


def _simulated(archive: str, looked: Sequence[LookedTable]) -> list[str]:
    """Return what says that stars are simulated: the archive's mark, or files that were read."""
    if is_marked_archive(archive):
        return [MARK_FILE]
    read = [one.url for one in looked if one.profiles]
    return [url.rsplit("/", 1)[-1] for url in read if is_marked(FileRef(url, 0))]


def _is_listed(archive: str, drafted: ReleaseSpec) -> bool:
    """Say whether the files of an archive are found by how a draft says that they are cut."""
    try:
        partitions = list_partitions(archive, drafted)
    except CatalogBuilderError:
        return False
    found = {table for partition in partitions for table in partition.files}
    return found >= {*drafted.looked_up, *drafted.driving_tables}


def _remarks_in(called: str) -> OlderRemarks:
    """Read what a description says of its lines; nothing of one that is in no file."""
    try:
        return read_remarks(find_description("releases", called).read_text(encoding="utf-8"))
    except (ConfigError, OSError, ValueError):
        return OlderRemarks()


def _remarks(draft: Draft, older: str) -> Iterator[str]:
    if draft.lacking:
        yield f"TO BE FILLED IN, where the draft says {NOT_FOUND}"
        yield from (f"  {line}: {_mark_of(draft, line)}" for line in draft.lacking)
        yield ""
    if draft.carried:
        yield from carried_in_words(draft, older)
        yield ""
    if draft.remarks:
        yield "NOT IN THE DRAFT"
        yield from (f"  {remark}" for remark in draft.remarks)


def _mark_of(draft: Draft, line: str) -> str:
    """Return what stands behind a line of a draft."""
    path = tuple(line.removesuffix(".names").split("."))
    return draft.marks[path].removeprefix(f"{NOT_FOUND}: ")


def _loaded(text: str) -> ReleaseSpec:
    """Load a drafted description, as a run would.

    Raises
    ------
    ConfigError
        If it is not valid as it is; the message names the key.
    """
    with tempfile.TemporaryDirectory(prefix="catalog-builder-") as folder:
        file = Path(folder) / "draft.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            return load_release(file)
        except ConfigError as error:
            raise ConfigError(
                error.problem.replace(str(file), "The draft is not complete"),
                "Correct that key in it; the lines above say what was found.",
            ) from error


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
        placed, missing = _placed(spec.as_read(), archive)
        try:
            report = examine_archive(list_partitions(archive, placed), placed)
        except CatalogBuilderError as error:
            lines = [f"AGAINST {title}: {error.problem}", f"    -> {error.way_out}"]
            yield iter(lines if error.way_out else lines[:1])
        else:
            yield page.gate_lines(title, replace(report, findings=[*missing, *report.findings]))


def _placed(release: ReleaseSpec, archive: str) -> tuple[ReleaseSpec, list[Finding]]:
    """Return a release with its matrices; without them, as it is, and what is wrong."""
    try:
        placed = place_matrices(release, archive, None)
        refuse_other_matrices(placed)
    except CatalogBuilderError as error:  # also of an address that does not answer
        places = (
            f"spectra.{name}.products.{place}.basis"
            for name, spectrum in release.spectra.items()
            for place, product in enumerate(spectrum.products)
            if product.basis is not None and name_of(product.basis) in error.problem
        )
        return release, [Finding(next(places, "spectra"), "", error.problem, error.way_out or "")]
    return placed, []
