"""`compare CATALOGUE OTHER`: a catalogue beside a table that others made; the third front.

:func:`make_comparison` puts page and JSON into a catalogue that is about to be sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from catalog_builder.catalog.layout import RELEASE_FILE
from catalog_builder.comparing.crosswalk_file import read_crosswalk
from catalog_builder.comparing.matching import Matching, SameIds
from catalog_builder.comparing.outside.document import to_json
from catalog_builder.comparing.outside.draft import draft_mapping, own_names
from catalog_builder.comparing.outside.engine import Beside, compare_with
from catalog_builder.comparing.outside.formats import Rows, open_rows
from catalog_builder.comparing.outside.mapping import (
    FOLDER,
    OtherTable,
    first_there,
    load_mapping,
    spellings,
)
from catalog_builder.comparing.outside.pairing import TAUGHT
from catalog_builder.comparing.outside.places import find_files
from catalog_builder.comparing.outside.stars import NothingInCommonError
from catalog_builder.comparing.outside.words import in_words, left_out
from catalog_builder.comparing.sides import CatalogueSide, open_side
from catalog_builder.contract.labels import Labels
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogueError, ConfigError, InputError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.survey import load_survey

#: The archive's own labels, which every user will hold beside a catalogue's.
ARCHIVE_PROFILE: Final = "gsp-spec"
DRAFT_NAME: Final = "mapping.yaml"


@dataclass(frozen=True)
class Options:
    """How a catalogue is compared with another table.

    Attributes
    ----------
    profile : str or Path, optional
        Which of its columns is what: a name in ``schemas/comparisons`` or a YAML file. Told from
        the columns if not given.
    calibration : str, optional
        One of the profile's.
    crosswalk : Path, optional
        File that says which id of the catalogue's release is which of the other table's.
    old_column : str, optional
        Its column with the other table's ids.
    same_ids : bool
        Take ids for the same although the releases have other names.
    taught : bool
        Compare stars that taught the model, too.
    draft : Path, optional
        Folder in which a mapping is drafted if none goes with the table.
    """

    profile: str | Path | None = None
    calibration: str | None = None
    crosswalk: Path | None = None
    old_column: str | None = None
    same_ids: bool = False
    taught: bool = False
    draft: Path | None = None


def compare(
    catalogue: str | Path,
    other: str | Path,
    profile: str | Path | None = None,
    options: Options | None = None,
) -> Beside:
    """Compare a sealed catalogue with a table that others made.

    Parameters
    ----------
    catalogue : str or Path
        What :func:`catalog_builder.open_catalog` takes.
    other : str or Path
        A file (CSV, ECSV, FITS, Parquet, VOTable), or a folder: with parts of one table, an
        archive, a HATS catalogue, a CDS ReadMe with its data.
    profile : str or Path, optional
        Which of its columns is what: a name in ``schemas/comparisons`` or a YAML file. Told from
        the columns if not given.
    options : Options, optional
        All else.

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue, or its rows are damaged.
    ConfigError
        If the profile is wrong, or ids are of another release and no crosswalk is given.
    InputError
        If the other table cannot be read, or has no label or no star in common.
    """
    options = options or Options()
    if profile is not None:
        options = replace(options, profile=profile)
    found = compare_side(open_side(catalogue), Path(other), options)
    if not found.stars and not found.left_out[TAUGHT]:
        reasons = "; ".join(f"{count} {why}" for why, count in left_out(found))
        raise InputError(
            f"{other} has no star in common with the catalogue. Of its {found.read.rows} rows:"
            f" {reasons or 'none'}.",
            "Are its ids those of the catalogue's release? If not, give --crosswalk.",
        )
    return found


def compare_side(side: CatalogueSide, other: Path, options: Options) -> Beside:
    """Compare a catalogue that is open."""
    mapping = _mapping(side, other, options)
    files = find_files(other, mapping)
    matching = matching_of(side, mapping.title, mapping.ids_of, options)
    try:
        return compare_with(
            side,
            files,
            mapping,
            matching=matching,
            calibration=options.calibration,
            taught=options.taught,
        )
    except NothingInCommonError as error:
        raise _refusal(error.problem, error.rows, side.schema.labels, options.draft) from error


def matching_of(
    side: CatalogueSide, title: str, ids_of: tuple[str, ...], options: Options
) -> Matching:
    """Return what tells which of a table's stars is which of the catalogue's.

    Raises
    ------
    ConfigError
        If its ids are of another release and nothing says which is which.
    """
    if options.crosswalk is not None:
        return read_crosswalk(options.crosswalk, options.old_column)
    release = side.facts.get("release")
    if ids_of and release not in {*ids_of, None} and not options.same_ids:
        raise ConfigError(
            f"The ids of {title} are of {' or '.join(ids_of)}, the catalogue is of {release}: the"
            " same id need not be the same star.",
            "Give --crosswalk FILE (docs/crosswalk.md), or --same-ids if ids are shared.",
        )
    return SameIds()


def write(found: Beside, out: Path) -> tuple[Path, Path]:
    """Write the page and the JSON file into a folder; return their paths.

    Raises
    ------
    CatalogueError
        If the folder is a sealed catalogue, which nothing is added to.
    """
    refuse_sealed(out)
    out.mkdir(parents=True, exist_ok=True)
    return _write(found, out)


def refuse_sealed(out: Path) -> None:
    """Refuse to write into a sealed catalogue.

    Raises
    ------
    CatalogueError
    """
    if any((folder / RELEASE_FILE).is_file() for folder in (out, *out.absolute().parents)):
        raise CatalogueError(
            f"{out} is part of a sealed catalogue: nothing is added to one.",
            "Give another folder with -o.",
        )


def make_comparison(
    archive: str | Path,
    store: Path,
    schema: CatalogSchema,
    record: Mapping[str, Any],
    profile: str = ARCHIVE_PROFILE,
) -> dict[str, Any] | None:
    """Compare a catalogue about to be sealed with its archive's own labels; lay the page beside it.

    Parameters
    ----------
    archive : str or Path
        Folder of the archive.
    store : Path
        ``catalog.zarr``, complete; page and JSON are written beside it.
    schema : CatalogSchema
        That it was made with.
    record : mapping
        The facts of its ``RELEASE.json`` that are known.
    profile : str
        Which of the archive's labels.

    Returns
    -------
    dict or None
        For ``RELEASE.json``: profile, what was found in words, pairs, and the SHA-256 of both
        files. None where the archive is no local folder, or has no such labels.
    """
    mapping, folder = load_mapping(profile), Path(archive)
    if not _is_named(mapping, folder):
        return None
    side = CatalogueSide(store, schema, record)
    found = compare_side(side, folder, Options(profile=profile))
    files = _write(found, store.parent)
    return {
        "profile": profile,
        "words": in_words(found),
        "pairs": found.stars,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }


def profiles() -> dict[str, OtherTable]:
    """Return the mappings that come with the program, by name."""
    names = sorted(path.stem for path in (schemas_dir() / FOLDER).glob("*.yaml"))
    return {name: load_mapping(name) for name in names}


def _mapping(side: CatalogueSide, other: Path, options: Options) -> OtherTable:
    """Return the mapping that is given, or the one that goes with the table's columns."""
    if options.profile is not None:
        return load_mapping(options.profile)
    if named := [name for name, one in profiles().items() if _is_named(one, other)]:
        raise ConfigError(
            f"{other} holds what may be {' or '.join(named)}.",
            f"Say which with --profile: {', '.join(named)}.",
        )
    rows = open_rows(find_files(other)[0])
    if (own := own_names(rows.units, side.schema.labels)) is not None:
        return own
    fitting = [name for name, mapping in profiles().items() if _fits(mapping, rows)]
    if len(fitting) == 1:
        return load_mapping(fitting[0])
    if fitting:
        raise ConfigError(
            f"{rows.path} may be {' or '.join(fitting)}, by its columns.",
            f"Say which with --profile: {', '.join(fitting)}.",
        )
    columns = ", ".join(list(rows.units)[:80])
    raise _refusal(
        f"{rows.path} has no label in common with the catalogue under any name that is known. It"
        f" has {len(rows.units)} columns: {columns}.",
        rows,
        side.schema.labels,
        options.draft,
    )


def _is_named(mapping: OtherTable, folder: Path) -> bool:
    """Whether a folder is an archive with the files of a mapping."""
    return folder.is_dir() and any(any(folder.glob(pattern)) for pattern in mapping.files)


def _fits(mapping: OtherTable, rows: Rows) -> bool:
    spelt = spellings(rows.units)
    if mapping.survey is not None:
        survey = load_survey(mapping.survey)
        names = {survey.source_id, *(label.column for label in survey.labels.values())}
        return all(name.lower() in spelt for name in names)
    wanted = [mapping.source_id, *(value.column for value in mapping.labels.values())]
    wanted += [cut.column for cut in mapping.cuts if not cut.optional]
    return mapping.told_by_columns and all(first_there(names, spelt) for names in wanted)


def _refusal(problem: str, rows: Rows, labels: Labels, folder: Path | None) -> InputError:
    """Return the refusal of a table without a label in common; draft a mapping for its reader."""
    known = ", ".join(profiles())
    way_out = f"Say which column is which: --profile with one of {known}, or a YAML file."
    if folder is not None:
        refuse_sealed(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / DRAFT_NAME
        if path.exists():
            way_out += f" There is a draft already: {path}."
        else:
            path.write_text(draft_mapping(rows.units, labels), encoding="utf-8")
            way_out += f" {path} is a draft of one: correct it, then give --profile {path}."
    return InputError(problem, way_out)


def _write(found: Beside, out: Path) -> tuple[Path, Path]:
    from catalog_builder.comparing.outside.page import write_page  # matplotlib

    stem = f"compare-{found.mapping.name}"
    page, document = out / f"{stem}.html", out / f"{stem}.json"
    page.write_text(write_page(found), encoding="utf-8", newline="\n")
    document.write_text(to_json(found), encoding="utf-8", newline="\n")
    return page, document
