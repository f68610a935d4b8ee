"""What a folder of the archive's server holds: the paged listing that object stores speak.

The answer is XML in pages of at most 1000 keys, each page continued from a marker (ListObjects of
the S3 API, https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

# Safe here: a document type, without which there are no entities, is refused.
from xml.etree import ElementTree

from catalog_builder.fetch.client import Client
from catalog_builder.ground.errors import InputError

#: A page of 1000 keys is about 400 kB.
_MAX_PAGE_BYTES = 16 << 20
#: A table has about 3400 files; one that goes on beyond these pages is no listing.
_MAX_PAGES = 1000
_WAY_OUT = "Check `download.listing` of the release description, or use a mirror."
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True)
class RemoteFile:
    """A file as the listing has it: its place in the folder, size in bytes, entity tag."""

    name: str
    size: int
    etag: str | None


def list_folder(
    client: Client, listing: str, folder: str, *, deep: bool = False
) -> list[RemoteFile]:
    """List the files that lie in a folder; empty where the server knows no such folder.

    Parameters
    ----------
    client : Client
        The connections.
    listing : str
        Address of the listing, with the ``prefix`` of the archive's root in its query.
    folder : str
        Relative to the root.
    deep : bool
        Whether files in the folders below it are wanted too.

    Raises
    ------
    InputError
        If the listing cannot be had or is none, does not go forward, or has a key that would
        lead out of the folder.
    """
    parts = urlsplit(listing)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    prefix = f"{query.get('prefix', '')}{folder}/"
    files: dict[str, RemoteFile] = {}
    marker = ""
    for _ in range(_MAX_PAGES):
        asked = {**query, "prefix": prefix}
        asked |= {} if deep else {"delimiter": "/"}
        asked |= {"marker": marker} if marker else {}
        url = urlunsplit(parts._replace(query=urlencode(asked, safe="/")))
        page = _parse(url, client.read(url, _MAX_PAGE_BYTES))
        files |= {file.name: file for file in _files(url, page, prefix, deep=deep)}
        following = _next_marker(page)
        if following is None:
            return list(files.values())
        if following <= marker:
            break
        marker = following
    raise InputError(f"The listing {listing} of {folder} does not end.", _WAY_OUT)


def is_plain_name(name: str) -> bool:
    """Whether a name is that of a file in its folder, and of no hidden one."""
    return (
        0 < len(name.encode("utf-8", "replace")) <= 255
        and PurePosixPath(name).name == name
        and not name.startswith(".")
        and not _UNSAFE.search(name)
    )


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type: entities, and the bombs made of them, are declared in it."""

    def doctype(self, *_: str | None) -> None:
        raise ElementTree.ParseError("it has a document type, which a listing has no need of")


def _parse(url: str, body: bytes) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314 - see _NoDoctype
    try:
        parser.feed(body)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InputError(f"{url} is not an XML listing: {error}.", _WAY_OUT) from error
    if _tag(root) != "ListBucketResult":
        raise InputError(f"{url} is not a listing but <{_tag(root)[:40]}>.", _WAY_OUT)
    return root


def _files(
    url: str, page: ElementTree.Element, prefix: str, *, deep: bool = False
) -> Iterator[RemoteFile]:
    for entry in page:
        if _tag(entry) != "Contents":
            continue
        fields = {_tag(field): (field.text or "").strip() for field in entry}
        key, size = fields.get("Key", ""), fields.get("Size", "")
        _refuse_escape(url, key, prefix)
        name = key.removeprefix(prefix)
        # The folder's own key, keys of folders below it and hidden files are none of ours.
        if not all(map(is_plain_name, name.split("/") if deep else [name])):
            continue
        if not re.fullmatch(r"[0-9]{1,18}", size):
            raise InputError(f"{url}: the size of {name} is {size[:40]!r}.", _WAY_OUT)
        yield RemoteFile(name, int(size), fields.get("ETag", "").strip('"') or None)


def _refuse_escape(url: str, key: str, prefix: str) -> None:
    # A server that tries this once is not believed in anything else.
    inside = key.startswith(prefix) and not key.startswith(f"{prefix}/")
    if not inside or _UNSAFE.search(key) or ".." in key.split("/"):
        raise InputError(
            f"{url} names {key[:200]!r}, which does not lie in {prefix}: nothing is fetched from"
            " this server.",
            _WAY_OUT,
        )


def _next_marker(page: ElementTree.Element) -> str | None:
    fields = {_tag(field): (field.text or "").strip() for field in page if not len(field)}
    if fields.get("IsTruncated", "").lower() != "true":
        return None
    if fields.get("NextMarker"):
        return fields["NextMarker"]
    # Some servers leave the marker to be the last key.
    keys = [field.text or "" for field in page.iter() if _tag(field) == "Key"]
    return max(keys, default="")


def _tag(element: ElementTree.Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1]
