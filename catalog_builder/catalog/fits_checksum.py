"""FITS checksums of a file that is written and read as a stream.

See `catalog_builder.archive.readers.fits.sums` for what is summed.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

from astropy.io import fits

from catalog_builder.archive.readers.fits.sums import ALL_ONES, add_words, sum_bytes

FITS_BLOCK: Final = 2880
#: Bytes that are summed at a time: a multiple of 4.
_PIECE: Final = 1 << 20
_PUNCTUATION: Final = frozenset(b":;<=>?@[\\]^_`")


class SummingWriter:
    """Writes to a file and sums what it writes; pieces may have any length."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""
        self.total = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._file.write(data)
        self.size += len(data)
        data = self._rest + data
        whole = len(data) - len(data) % 4
        self.total = add_words(self.total, data[:whole])
        self._rest = data[whole:]

    def pad(self) -> None:
        """Append zeros up to a whole FITS block."""
        self.write(bytes(-self.size % FITS_BLOCK))


def sum_at(place: int, data: bytes | memoryview) -> int:
    """Return what bytes add to the sum of the data unit in which they begin at a place."""
    view, total = memoryview(data), 0
    # A piece at a time, for each is copied: the first ends where a word does.
    first = _PIECE - place % 4
    for start, stop in pairwise((0, *range(first, len(view), _PIECE), len(view))):
        before = 0 if start else place % 4
        words = bytes(before) + view[start:stop]
        total = add_words(total, words + bytes(-len(words) % 4))
    return total


def add_sums(one: int, other: int) -> int:
    """Return the ones'-complement sum of two."""
    total = one + other
    return total if total <= ALL_ONES else total - ALL_ONES


def header_bytes(header: fits.Header, datasum: int) -> bytes:
    """Return a header as it lies in the file, with DATASUM and CHECKSUM set.

    Its length does not depend on ``datasum``: a header can be written again in place.
    """
    header["DATASUM"] = (str(datasum), "data unit checksum")
    header["CHECKSUM"] = ("0" * 16, "HDU checksum")
    total = add_words(datasum, header.tostring().encode("ascii"))
    header["CHECKSUM"] = (encode_checksum(ALL_ONES - total), "HDU checksum")
    return bytes(header.tostring().encode("ascii"))


def encode_checksum(value: int) -> str:
    """Write a 32-bit number as the 16 letters and digits of a CHECKSUM card.

    Each byte becomes four characters, one per word, whose sum is the byte plus four times the
    character 0; pairs are moved apart until none is a punctuation mark. The string is rotated by
    one because the value of the card starts at the last byte of a word.
    """
    columns = []
    for byte in value.to_bytes(4, "big"):
        quotient, remainder = divmod(byte, 4)
        quotient += ord("0")
        characters = [quotient + remainder, quotient, quotient, quotient]
        while not _PUNCTUATION.isdisjoint(characters):
            for first in (0, 2):
                if not _PUNCTUATION.isdisjoint(characters[first : first + 2]):
                    characters[first] += 1
                    characters[first + 1] -= 1
        columns.append(characters)
    text = "".join(chr(column[word]) for word in range(4) for column in columns)
    return text[-1] + text[:-1]


def broken_hdus(path: Path) -> list[int]:
    """Return the numbers of the header-data units whose checksum does not hold; streams."""
    with fits.open(path, memmap=True) as hdus:
        extents = [_extent(hdu) for hdu in hdus]
    with path.open("rb") as file:
        return [i for i, extent in enumerate(extents) if sum_bytes(file, *extent)[0] != ALL_ONES]


def _extent(hdu: Any) -> tuple[int, int]:
    if not isinstance(hdu, fits.PrimaryHDU | fits.BinTableHDU | fits.ImageHDU):
        raise OSError("a header is damaged")
    info = hdu.fileinfo()
    return int(info["hdrLoc"]), int(info["datLoc"] + info["datSpan"])
