"""What the pages of a Parquet file expand to, looked at before Arrow expands them.

Arrow takes a row whole, whatever its length, and a page whole; and in a few bytes there may be
2**30 equal numbers. The footer says how many, but it need not be right: the pages count. It is read
here and not by pyarrow, which ends the process over some wrong bytes in what it says of a column.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from catalog_builder.archive.readers.block import DamagedFileError

#: Elements of arrays beyond those described: a few rows of another length are left out one by one.
SPARE_ELEMENTS: Final = 1 << 22
#: Up to here a row group may expand as it will: 2**25 floats have 128 MiB, as has such a page.
MAX_ELEMENTS: Final = 1 << 25
MAX_PAGE_BYTES: Final = 1 << 27
#: Elements and bytes of larger ones for each byte in the file. Spectra have less than one.
MAX_EXPANSION: Final = 64

_DATA_PAGE, _DATA_PAGE_2 = 0, 3
#: The longest header looked at; the smallest and largest value of the page are in it.
_HEADER_BYTES: Final = 1 << 14
_MAX_DEPTH: Final = 12
_TRUE, _FALSE, _BYTE, _INTEGERS, _DOUBLE, _BINARY = 1, 2, 3, {4, 5, 6}, 7, 8
_LISTS, _STRUCT, _LONG_LIST = {9, 10}, 12, 15
#: Of the footer: where its length stands, and the fields by which it says where columns lie.
_TAIL: Final = 8
_ROW_GROUPS, _COLUMNS, _ROWS, _FACTS = 4, 1, 3, 3
_TYPE, _VALUES, _PAGES_AT, _DICTIONARY_AT, _STATISTICS = 1, 5, 9, 11, 12
_NULLS, _MOST, _LEAST, _INT64 = 3, 5, 6, 2


class RowGroup(NamedTuple):
    """A row group that can be read.

    Attributes
    ----------
    n_rows : int
        As the footer says.
    limits : (int, int, int) or None
        Of the key column its smallest and largest value, and how many are null, if it says so.
    """

    n_rows: int
    limits: tuple[int, int, int] | None


def good_groups(
    url: str, stream: Any, metadata: Any, lengths: Mapping[str, int | None], key: str = ""
) -> tuple[list[RowGroup], DamagedFileError | None]:
    """Return the row groups from the first on that can be read, and what is wrong with the next.

    Parameters
    ----------
    url : str
        Name of the file, for messages.
    stream : file object
        The file; its position is moved.
    metadata : pyarrow.parquet.FileMetaData
        Its footer.
    lengths : mapping of str to int or None
        Elements of the arrays of each column that is read, None for single numbers.
    key : str
        A column of integers whose smallest and largest values are wanted too.
    """
    paths = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
    leaves = {
        leaf: length
        for name, length in lengths.items()
        for leaf, path in enumerate(paths)
        if path == name or path.startswith(f"{name}.")
    }
    try:
        groups = _groups(stream, leaves)
    except (LookupError, TypeError, ValueError) as error:
        raise DamagedFileError(
            f"{url} cannot be read as Parquet: its footer is damaged.", "Fetch it again."
        ) from error
    found: list[RowGroup] = []
    keys = [leaf for leaf in leaves if paths[leaf] == key]
    for number, (n_rows, chunks) in enumerate(groups):
        for leaf, length in leaves.items():
            wrong = _why_not(stream, chunks[leaf], n_rows, length)
            if wrong is not None:
                return found, DamagedFileError(
                    f"{url} cannot be read as Parquet: row group {number}, column "
                    f"{paths[leaf]}: {wrong}.",
                    "If it is as its author wrote it, write it anew with smaller row groups.",
                )
        found.append(RowGroup(n_rows, chunks[keys[0]].limits if keys else None))
    return found, None


class _Chunk(NamedTuple):
    """A column's part of a row group: its values, where the first page begins, its limits."""

    n_values: int
    place: int
    limits: tuple[int, int, int] | None = None


def _groups(stream: Any, leaves: Mapping[int, Any]) -> list[tuple[int, dict[int, _Chunk]]]:
    """Return the rows of each row group, and its parts of some columns, as the footer has them."""
    end = stream.seek(0, os.SEEK_END) - _TAIL
    stream.seek(end)
    size = int.from_bytes(stream.read(4), "little")
    stream.seek(max(0, end - size))
    footer = _Compact(stream.read(size)).struct()
    groups = []
    for group in footer.get(_ROW_GROUPS) or []:
        facts = {leaf: group[_COLUMNS][leaf][_FACTS] for leaf in leaves}
        chunks = {leaf: _chunk(each) for leaf, each in facts.items()}
        groups.append((int(group[_ROWS]), chunks))
    return groups


def _chunk(facts: Mapping[int, Any]) -> _Chunk:
    place, dictionary = int(facts[_PAGES_AT]), int(facts.get(_DICTIONARY_AT) or 0)
    first = dictionary if 0 < dictionary < place else place
    return _Chunk(int(facts[_VALUES]), first, _integer_limits(facts))


def _integer_limits(facts: Mapping[int, Any]) -> tuple[int, int, int] | None:
    """Return smallest and largest value and the number of nulls, of 64-bit integers."""
    said = facts.get(_STATISTICS)
    if facts.get(_TYPE) != _INT64 or not isinstance(said, dict):
        return None
    nulls = said.get(_NULLS)
    ends = [end for field in (_LEAST, _MOST) if isinstance(end := said.get(field), bytes)]
    if [len(end) for end in ends] != [8, 8]:
        return None
    least, most = (int.from_bytes(end, "little", signed=True) for end in ends)
    # Without a number of nulls there may be any.
    return (least, most, 1 if nulls is None else int(nulls)) if least <= most else None


def _why_not(stream: Any, chunk: _Chunk, n_rows: int, length: int | None) -> str | None:
    """Say why a part of a column is not to be read."""
    n_values, place, _ = chunk
    if length is not None and n_values > n_rows * length + SPARE_ELEMENTS:
        return f"{n_rows} rows of {length} elements are described, and it has {n_values} of them"
    seen = stored = 0
    while seen < n_values:
        try:
            page = _page(stream, place)
        except (LookupError, TypeError, ValueError):
            return f"at byte {place} there is no page"
        if page.expanded > max(MAX_PAGE_BYTES, MAX_EXPANSION * page.packed):
            return f"a page of {page.packed} bytes says that it expands to {page.expanded}"
        seen += page.n_values
        stored += page.packed
        place = page.end
    if seen > n_values:
        return f"its pages have {seen} values, and the footer says {n_values}"
    if length is not None and n_values > max(MAX_ELEMENTS, MAX_EXPANSION * stored):
        return f"{stored} bytes expand to {n_values} values"
    return None


class _Page(NamedTuple):
    """What a page's header says, and where the page ends."""

    packed: int
    expanded: int
    n_values: int
    end: int


def _page(stream: Any, place: int) -> _Page:
    stream.seek(place)
    compact = _Compact(stream.read(_HEADER_BYTES))
    header = compact.struct()
    kind, expanded, packed = (int(header[field]) for field in (1, 2, 3))
    details = {_DATA_PAGE: 5, _DATA_PAGE_2: 8}.get(kind)
    n_values = 0 if details is None else int(header[details][1])
    if min(packed, expanded, n_values) < 0:
        raise ValueError("a size is negative")
    return _Page(packed, expanded, n_values, place + compact.place + packed)


class _Compact:
    """Reads a structure of Thrift's compact protocol, as far as Parquet uses it.

    What is missing or otherwise is a LookupError or ValueError.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields by number: integers, bytes, lists, structures; None for the others."""
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in _INTEGERS:
            return self._integer()
        if kind in _LISTS:
            return self._list(depth + 1)
        if kind not in {_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY}:
            raise ValueError("no value that Parquet uses")
        # Of these nothing is needed: 1 byte, 8, or as many as are said; booleans are in the head.
        self.place += {_BYTE: 1, _DOUBLE: 8}.get(kind, 0)
        if kind == _BINARY:
            size = self._varint()
            self.place += size
            return self._content[self.place - size : self.place]
        return None

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        kind, size = head & 15, head >> 4
        if size == _LONG_LIST:
            size = self._varint()
        if size > len(self._content) - self.place:  # each takes a byte at least
            raise ValueError("a list is longer than what holds it")
        if kind in {_TRUE, _FALSE}:
            kind = _BYTE
        return [self._value(kind, depth) for _ in range(size)]

    def _byte(self) -> int:
        byte = self._content[self.place]
        self.place += 1
        return byte

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)
