"""Why an archive has no files of a table: not there, a folder inside of it, or another layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from catalog_builder.archive.folders import find_table
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.storage import filesystem_of, is_local
from catalog_builder.archive.tables import TableName
from catalog_builder.ground.errors import InputError

#: What stands between a table's folder and its files.
_BETWEEN: Final = {
    "ranges": "",
    "regions": "region=*/",
    "hats": "Norder=*/Dir=*/Npix=*",
    "anywhere": "**/",
}


def nothing_found(archive: str, release: ReleaseSpec, tables: Sequence[TableName]) -> InputError:
    """Return the error of an archive that has none of some tables: what was looked for, and why."""
    filesystem, root = filesystem_of(archive, "The archive")
    looked = [
        f"{folder}/{_BETWEEN[release.partition.layout]}{spec.stem}*.{spec.formats[0]}"
        for spec in (release.tables[name] for name in tables)
        for folder in spec.folders
    ]
    way_out = _archive_above(root, filesystem, release, tables) or _in_another_layout(
        archive, release, tables
    )
    if filesystem.isdir(root):
        what = f"{archive} holds no {' or '.join(tables)} of {release.title}."
    else:
        # An object store has no folders: there an empty one is one that is not there.
        there = "is a file, not a folder" if filesystem.isfile(root) else "is not there"
        what, way_out = f"The archive {archive} {there}.", "Check --archive."
    return InputError(
        f"{what} Looked for {', '.join(looked)} and the other formats of the release description.",
        way_out or "Give the folder above these with --archive.",
    )


def _archive_above(
    root: str, filesystem: Any, release: ReleaseSpec, tables: Sequence[TableName]
) -> str:
    """Say which folder is the archive where one inside of it was given; or nothing.

    On this machine only: above the root of a server's address is another server.
    """
    if not is_local(filesystem):
        return ""
    folders = [folder for name in tables for folder in release.tables[name].folders]
    above, found = root.rstrip("/"), ""
    # The outermost one: the label survey's file lies there too.
    for _ in range(max(folder.count("/") for folder in folders) + 2):
        above = above.rpartition("/")[0]
        if above and any(filesystem.isdir(f"{above}/{folder}") for folder in folders):
            found = f"This looks like a folder inside of an archive: give --archive {above}."
    return found


def _in_another_layout(archive: str, release: ReleaseSpec, tables: Sequence[TableName]) -> str:
    """Say by which other layout a table's folder has files; or nothing."""
    rule = release.partition
    for layout, between in _BETWEEN.items():
        if layout == rule.layout:
            continue
        changed = rule.model_copy(update={"layout": layout})
        other = release.model_copy(update={"partition": changed})
        for name in tables:
            try:
                folder = find_table(archive, other, name)
            except InputError:
                continue
            if folder is None:
                continue
            example = folder.files[0].place or folder.files[0].name
            return (
                f"Its files lie as {between}{release.tables[name].stem}*, such as {example}: write"
                f" `layout: {layout}` at partition of the release description, or let"
                " `catalog-builder inspect --draft` write one."
            )
    return ""
