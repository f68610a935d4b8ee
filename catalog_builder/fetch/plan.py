"""Which files are wanted, and how large they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from catalog_builder.archive.cuts import choose_files
from catalog_builder.archive.layout import parse_ranges
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import ChecksumRule, TableName
from catalog_builder.fetch.client import Client, TransientError
from catalog_builder.fetch.listing import RemoteFile, is_plain_name, list_folder
from catalog_builder.ground.errors import ConfigError, InputError, StoreError
from catalog_builder.labels.survey import LabelSurvey

#: Endings of what lies beside a file until it is complete.
PARTIAL, NOTE = ".partial", ".partial.json"


@dataclass(frozen=True)
class Download:
    """One file to bring: from where, to where, and how to know that it is right.

    Parameters
    ----------
    url : str
        Its address.
    path : Path
        Its place on disk.
    size : int or None
        Bytes, where the server says so before.
    checksum : str or None
        ``<algorithm>:<hex digest>``.
    etag : str or None
        Entity tag in the listing.
    limits : (int, int) or None
        First and last pixel of the range of a table's file.
    is_list : bool
        Whether it is a checksum list, which may change without changing its size.
    """

    url: str
    path: Path
    size: int | None = None
    checksum: str | None = None
    etag: str | None = None
    limits: tuple[int, int] | None = None
    is_list: bool = False

    @property
    def remote_name(self) -> str:
        """Last part of the address: the name in a checksum list."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[-1])

    @property
    def partial(self) -> Path:
        """Where its bytes lie until they are complete and right."""
        return self.path.with_name(self.path.name + PARTIAL)

    @property
    def note(self) -> Path:
        """What is remembered of the remote file whose bytes are in `partial`."""
        return self.path.with_name(self.path.name + NOTE)

    def bytes_there(self) -> int:
        """Bytes on disk that need not be fetched again, as far as their number tells."""
        if _size(self.path) == self.size:
            return self.size or 0
        return min(_size(self.partial) or 0, self.size or 0)


@dataclass(frozen=True)
class Folder:
    """Files with the list that has their checksums.

    Parameters
    ----------
    name : str
        Table or survey.
    files : tuple of Download
        What is wanted of it.
    checksum_list : Download or None
        The list, where the server has one.
    rule : ChecksumRule or None
        How the list is written.
    by_path : bool
        Whether the list has the files of folders below it, by their places.
    """

    name: str
    files: tuple[Download, ...]
    checksum_list: Download | None
    rule: ChecksumRule | None
    by_path: bool = False

    def listed_as(self, file: Download) -> str:
        """Return the name of a file in the checksum list."""
        if self.checksum_list is None or not self.by_path:
            return file.remote_name
        return file.path.relative_to(self.checksum_list.path.parent).as_posix()


@dataclass(frozen=True)
class FetchPlan:
    """All that a fetch will bring."""

    folders: tuple[Folder, ...]

    def downloads(self) -> Iterator[Download]:
        """Yield every file, the checksum lists too."""
        for folder in self.folders:
            if folder.checksum_list is not None:
                yield folder.checksum_list
            yield from folder.files

    @property
    def n_files(self) -> int:
        """Number of files."""
        return sum(1 for _ in self.downloads())

    @property
    def n_bytes(self) -> int:
        """Bytes of all files whose size is known."""
        return sum(file.size or 0 for file in self.downloads())

    @property
    def bytes_there(self) -> int:
        """Bytes that are on disk already, if they prove right."""
        return sum(file.bytes_there() for file in self.downloads())


def make_plan(
    client: Client,
    release: ReleaseSpec,
    survey: LabelSurvey | None,
    out: Path,
    *,
    tables: Sequence[TableName] | None,
    ranges: Sequence[str],
    root: str | None,
    listing: str | None,
) -> FetchPlan:
    """List what is wanted on the server and place it below `out`; nothing is written.

    Parameters are those of `driver.fetch_archive`.

    Raises
    ------
    ConfigError
        If a table or a range is not one, or the release does not say where it is published.
    InputError
        If a listing cannot be had, or holds no file of a table.
    StoreError
        If `out` is a file.
    """
    parse_ranges(ranges, release)  # what can be said without the server is said first
    if out.exists() and not out.is_dir():
        raise StoreError(f"The folder {out} cannot be made: that is a file.", "Give another --out.")
    if tables is None:
        walks = [rule.table for rule in release.crosswalks.values()]
        tables = tuple(dict.fromkeys((*release.looked_up, *release.driving_tables, *walks)))
    folders = []
    if tables:
        root, listing = _addresses(release, root, listing)
        _refuse_unknown(release, tables)
        folders = [
            folder
            for table in dict.fromkeys(tables)
            for folder in _plan_table(client, release, table, out, root=root, listing=listing)
        ]
        folders = _select(release, folders, ranges)
    if survey is not None:
        folders.append(_plan_survey(client, survey, out))
    return FetchPlan(tuple(folders))


def _addresses(release: ReleaseSpec, root: str | None, listing: str | None) -> tuple[str, str]:
    rule = release.download
    root = root or (str(rule.root) if rule else None)
    listing = listing or (str(rule.listing) if rule else None)
    if root is None or listing is None:
        raise ConfigError(
            f"The description of {release.title} does not say where it is published.",
            "Give `download` in the description, or both --root and --listing.",
        )
    return root.rstrip("/") + "/", listing


def _refuse_unknown(release: ReleaseSpec, tables: Sequence[TableName]) -> None:
    unknown = [table for table in tables if table not in release.tables]
    if unknown:
        raise ConfigError(
            f"{release.title} has no table {', '.join(unknown)}.",
            f"Its tables are {', '.join(release.tables)}.",
        )


def _plan_table(
    client: Client, release: ReleaseSpec, table: TableName, out: Path, *, root: str, listing: str
) -> list[Folder]:
    spec, deep = release.tables[table], release.partition.layout != "ranges"
    for folder in spec.folders:
        remote = {file.name: file for file in list_folder(client, listing, folder, deep=deep)}
        entries = [{"name": name, "place": name, "type": "file"} for name in sorted(remote)]
        chosen, _ = choose_files(entries, spec, release)
        if not chosen:
            continue
        parts: dict[str, list[Download]] = {}
        for choice in chosen:
            file = _place(remote[choice.place], root, folder, out, choice.limits)
            above = choice.place.rpartition("/")[0]
            # A list in the file's own folder, or else one above all of them.
            listed = _list_in(above, remote, release)
            parts.setdefault(above if listed or not above else "", []).append(file)
        return [
            Folder(
                table,
                tuple(files),
                None
                if (listed := _list_in(above, remote, release)) is None
                else replace(_place(listed, root, folder, out), is_list=True),
                release.checksums,
                by_path=deep and not above,
            )
            for above, files in sorted(parts.items())
        ]
    raise InputError(
        f"The listing {listing} has no files {spec.stem}*.{spec.formats[0]} in"
        f" {' or '.join(spec.folders)}.",
        "Name the tables that this server has with --table, or use another server.",
    )


def _list_in(
    folder: str, remote: Mapping[str, RemoteFile], release: ReleaseSpec
) -> RemoteFile | None:
    """Return the checksum list in a folder below a table's, if there is one."""
    rule = release.checksums
    return None if rule is None else remote.get(f"{folder}/{rule.file_name}".lstrip("/"))


def _place(
    file: RemoteFile, root: str, folder: str, out: Path, limits: tuple[int, int] | None = None
) -> Download:
    return Download(
        url=f"{root}{quote(folder)}/{quote(file.name)}",
        path=destination(out, folder, file.name),
        size=file.size,
        etag=file.etag,
        limits=limits,
    )


def _select(release: ReleaseSpec, folders: list[Folder], ranges: Sequence[str]) -> list[Folder]:
    """Keep the files that overlap one of the ranges."""
    wanted = parse_ranges(ranges, release)
    if not wanted:
        return folders
    selected = [
        replace(folder, files=tuple(file for file in folder.files if _overlaps(file, wanted)))
        for folder in folders
    ]
    if not any(folder.files for folder in selected):
        raise ConfigError(
            f"No file of {release.title} lies in ranges {', '.join(ranges)}.",
            f"Ranges are level-{release.partition.healpix_level} HEALPix pixels, 0 to"
            f" {release.partition.n_pixels - 1}.",
        )
    return [folder for folder in selected if folder.files]


def _overlaps(file: Download, wanted: Sequence[tuple[int, int]]) -> bool:
    if file.limits is None:
        return True
    first, last = file.limits
    return any(start <= last and first <= stop for start, stop in wanted)


def _plan_survey(client: Client, survey: LabelSurvey, out: Path) -> Folder:
    if survey.download is None:
        raise ConfigError(
            f"The description of {survey.title} does not say where it is published.",
            "Give `download.url` in it, or fetch without --labels.",
        )
    url, sha1 = str(survey.download.url), survey.download.sha1
    path = destination(out, *PurePosixPath(survey.files[0]).parts)
    file = Download(url, path, _size_at(client, url), f"sha1:{sha1}" if sha1 else None)
    if sha1 is not None or survey.download.sha1_list is None:
        return Folder(survey.name, (file,), None, None)
    list_url = str(survey.download.sha1_list)
    name = unquote(urlsplit(list_url).path.rsplit("/", 1)[-1])
    listed = Download(list_url, destination(path.parent, name), is_list=True)
    rule = ChecksumRule(file_name=name, algorithm="sha1")
    return Folder(survey.name, (file,), listed, rule)


def destination(out: Path, *parts: str) -> Path:
    """Return ``out/<parts>``, refusing every part that would lead out of it.

    Raises
    ------
    ConfigError
        If a part is absolute, hidden, ``..`` or has a backslash or a control character.
    """
    names = [name for part in parts for name in part.split("/")]
    for name in names:
        if not is_plain_name(name):
            raise ConfigError(
                f"{'/'.join(parts)!r} is no place below {out}: {name!r} is not a plain name.",
                "Correct the release or survey description.",
            )
    return out.joinpath(*names)


def _size_at(client: Client, url: str) -> int | None:
    """Ask for a file's size, for the disk check only: what is wrong shows when it is fetched."""
    try:
        with client.open(url, method="HEAD") as response:
            length = response.headers.get("Content-Length", "")
    except (TransientError, InputError):
        return None
    return int(length) if length.isascii() and length.isdigit() else None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
