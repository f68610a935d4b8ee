"""Headers of a FITS file, up to that of a binary table.

They are bounded before astropy sees them: it makes as many columns as TFIELDS says, and keeps
every card of a header that never ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from astropy.io import fits

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.rejects import RejectReason

BLOCK_BYTES: Final = 2880
_CARD_BYTES: Final = 80
#: A header of 999 columns with eight cards each has 640 kB; the rest is room for its history.
MAX_HEADER_BYTES: Final = 2 << 20
#: All headers before the table, and its own.
MAX_SEARCH_BYTES: Final = 4 << 20
MAX_UNITS: Final = 100
#: FITS 4.0, section 7.3.1 (TFIELDS) and 4.4.1.1 (NAXIS).
_MAX_FIELDS: Final = 999
_MAX_BYTES: Final = 1 << 60


@dataclass(frozen=True)
class TableUnit:
    """A header-data unit with a binary table.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Its header.
    columns : astropy.io.fits.ColDefs
        What the header says of the columns.
    header_at, data_at, end : int
        Where in the file the header, the data, and what follows begin.
    """

    header: fits.Header
    columns: Any
    header_at: int
    data_at: int
    end: int


def find_table(url: str, stream: Any, number: int | None) -> TableUnit:
    """Find a binary table; its data are not read.

    Parameters
    ----------
    url : str
        Name of the file, for messages.
    stream : file object
        The file, decompressed; it can seek.
    number : int, optional
        Number of the extension; the first binary table by default.

    Raises
    ------
    DamagedFileError
        If there is no table, or headers are longer, more, or say more than can be. astropy's
        errors on what is no header come as they are.
    """
    place = searched = 0
    for unit in range(MAX_UNITS):
        content = _read_header(url, stream, place, is_first=unit == 0)
        if not content:
            break
        searched += len(content)
        if searched > MAX_SEARCH_BYTES:
            raise _wrong(url, f"its headers have more than {MAX_SEARCH_BYTES >> 20} MiB")
        header = fits.Header.fromstring(content)
        data_at = place + len(content)
        end = data_at + _data_bytes(url, header)
        if number in {None, unit} and _is_table(header):
            _integer(url, header, "TFIELDS", _MAX_FIELDS)
            table = fits.BinTableHDU.fromstring(content)
            return TableUnit(table.header, table.columns, place, data_at, end)
        if number == unit:
            break
        place = end
    else:
        raise _wrong(url, f"the first {MAX_UNITS} header-data units are not what is looked for")
    where = "" if number is None else f" in extension {number}"
    raise DamagedFileError(f"{url} holds no binary table{where}.", "Check the file.")


def _read_header(url: str, stream: Any, place: int, *, is_first: bool) -> bytes:
    """Return a header with its padding; nothing where the file has no further one."""
    stream.seek(place)
    content = bytearray()
    while len(content) < MAX_HEADER_BYTES:
        block = stream.read(BLOCK_BYTES)
        # Behind the last unit there may be other records.
        if not content and not is_first and not block.startswith(b"XTENSION"):
            return b""
        if len(block) < BLOCK_BYTES:
            raise DamagedFileError(
                f"{url} cannot be read as FITS: it is cut off in a header.",
                reason=RejectReason.TRUNCATED_FILE,
            )
        content += block
        cards = (block[at : at + _CARD_BYTES] for at in range(0, BLOCK_BYTES, _CARD_BYTES))
        if any(card[:8].rstrip() == b"END" for card in cards):
            return bytes(content)
    raise _wrong(url, f"a header has more than {MAX_HEADER_BYTES >> 20} MiB")


def _is_table(header: fits.Header) -> bool:
    kind = header.get("XTENSION")
    is_table = isinstance(kind, str) and kind.rstrip() in {"BINTABLE", "A3DTABLE"}
    # A compressed image is kept as a table, and is none.
    return is_table and header.get("ZIMAGE") is not True


def _data_bytes(url: str, header: fits.Header) -> int:
    """Return how many bytes a unit's data take in the file (FITS 4.0, sections 4.4.1 and 6.2)."""
    axes = _integer(url, header, "NAXIS", _MAX_FIELDS, default=0)
    sizes = [_integer(url, header, f"NAXIS{axis + 1}", _MAX_BYTES) for axis in range(axes)]
    if sizes and sizes[0] == 0 and header.get("GROUPS") is True:
        sizes = sizes[1:]
    bits = header.get("BITPIX", 8)
    if bits not in {8, 16, 32, 64, -32, -64}:
        raise _wrong(url, f"a header says BITPIX = {bits!r}")
    extra = _integer(url, header, "PCOUNT", _MAX_BYTES, default=0)
    groups = _integer(url, header, "GCOUNT", _MAX_BYTES, default=1)
    elements = 1 if sizes else 0
    for size in sizes:
        elements = min(elements * size, _MAX_BYTES + 1)
    total = abs(int(bits)) // 8 * groups * (extra + elements)
    if total > _MAX_BYTES:
        raise _wrong(url, "a header says that its data are larger than any disk")
    return -(-total // BLOCK_BYTES) * BLOCK_BYTES


def _integer(
    url: str, header: fits.Header, keyword: str, limit: int, default: int | None = None
) -> int:
    value = header.get(keyword, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise _wrong(url, f"a header says {keyword} = {value!r:.40}")
    return int(value)


def _wrong(url: str, what: str) -> DamagedFileError:
    return DamagedFileError(f"{url} cannot be read as FITS: {what}.")
