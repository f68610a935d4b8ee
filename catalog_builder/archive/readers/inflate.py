"""Gzip streams: what they hold, and how much of it may be believed.

A gzip member ends in a CRC, so that what it gave is known to be right or wrong only behind its last
byte. `Inflater` gives bytes as they come; `find_sound` goes through a stream once, keeps nothing,
and tells how many of them are good.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from typing import Any

from isal import igzip_lib

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.rejects import RejectReason

_GZIP_ERRORS: tuple[Any, ...] = (igzip_lib.IsalError, ValueError)

#: Compressed bytes read at once.
READ_BYTES = 1 << 17
#: Bytes handed on at once; small enough to stay in the processor's cache until they are parsed.
PIECE_BYTES = 1 << 18

#: The last bytes of a member: its size modulo 2**32, behind the CRC.
_SIZE_BYTES = 4
#: A decoder that missed the end of the data invents a few bytes before it meets the file's end.
_INVENTED = 1 << 16

#: Bytes inflated again after going back, from which on a file's parts lie out of order: some ten
#: seconds; or what is needed to go back a few times in a large file.
MAX_WASTED_BYTES = 1 << 33
MAX_REWINDS = 4


class Inflater:
    """Inflates a gzip stream of one or several members, in pieces of bounded size.

    Parameters
    ----------
    url : str
        Name of the file, for messages.
    stream : file object
        The compressed bytes.

    Attributes
    ----------
    total : int
        Bytes given so far.
    passed : int
        Of them, the bytes of members whose CRC was seen to be right.
    """

    def __init__(self, url: str, stream: Any) -> None:
        self.url, self._stream = url, stream
        self.total = self.passed = 0
        self._last = b""

    def pieces(self) -> Iterator[bytes]:
        """Yield all that can be inflated, at most `PIECE_BYTES` at a time.

        Raises
        ------
        DamagedFileError
            If the stream is no gzip, fails its CRC, or ends too early.
        """
        compressed = self._read()
        if not compressed:
            raise DamagedFileError(f"{self.url} is empty.", reason=RejectReason.TRUNCATED_FILE)
        while compressed:
            member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            while not member.eof:
                if member.needs_input and not compressed:
                    compressed = self._read() or self._cut_off()
                try:
                    piece = member.decompress(compressed, PIECE_BYTES)
                except _GZIP_ERRORS as error:
                    raise DamagedFileError(f"{self.url} is not valid gzip: {error}.") from error
                compressed = b""
                if piece:
                    self.total += len(piece)
                    yield piece
            self.passed = self.total
            # Zero padding after the last member is allowed by RFC 1952 practice.
            compressed = (member.unused_data or self._read()).lstrip(b"\0")
            while not compressed and (more := self._read()):
                compressed = more.lstrip(b"\0")

    def _read(self) -> bytes:
        piece: bytes = self._stream.read(READ_BYTES)
        self._last = (self._last + piece[-_SIZE_BYTES:])[-_SIZE_BYTES:]
        return piece

    def _cut_off(self) -> bytes:
        size = self.total - self.passed
        stated = int.from_bytes(self._last, "little")
        away = abs((stated - size + 2**31) % 2**32 - 2**31)
        if size and stated and away <= max(_INVENTED, size // 64):
            # The last bytes say how long the data are: the file is whole, and its end was missed.
            raise DamagedFileError(
                f"{self.url} is not valid gzip: its data run on where they should end."
            )
        raise DamagedFileError(
            f"{self.url} is cut off: its gzip stream has no end.",
            reason=RejectReason.TRUNCATED_FILE,
        )


def find_sound(url: str, stream: Any) -> tuple[int, DamagedFileError | None]:
    """Inflate a stream to its end, and say how many of its bytes are good, and what is wrong.

    Of a stream that merely ends early all that is there is good; of a member with a wrong CRC
    nothing is.
    """
    inflater = Inflater(url, stream)
    try:
        for _ in inflater.pieces():
            pass
    except DamagedFileError as damage:
        is_short = damage.reason is RejectReason.TRUNCATED_FILE
        return inflater.total if is_short else inflater.passed, damage
    return inflater.total, None


def sound_pieces(url: str, stream: Any) -> Iterator[bytes]:
    """Yield the good bytes of a gzip stream, which is gone through twice.

    Raises
    ------
    DamagedFileError
        After the last good byte, where there are others.
    """
    sound, damage = find_sound(url, stream)
    if sound:
        stream.seek(0)
        yield from _first_bytes(Inflater(url, stream), sound)
    if damage is not None:
        raise damage


def _first_bytes(inflater: Inflater, wanted: int) -> Iterator[bytes]:
    for piece in inflater.pieces():
        given = inflater.total - len(piece)
        yield piece[: wanted - given]
        if inflater.total >= wanted:
            return


class SoundFile(io.RawIOBase):
    """The good bytes of a gzip stream as a file that can seek; read it by `buffered`.

    Attributes
    ----------
    size : int
        Bytes that are good: the file ends there.
    damage : DamagedFileError or None
        What is wrong behind them.
    """

    def __init__(self, url: str, stream: Any) -> None:
        self._url, self._stream = url, stream
        self.size, self.damage = find_sound(url, stream)
        self._start()

    def _start(self) -> None:
        self._wanted = self._begin = self._wasted = 0
        self._piece, self._pieces = b"", self._inflate()

    def twin(self) -> SoundFile:
        """Return another reader of the same bytes, with a position of its own."""
        other = copy.copy(self)
        other._start()
        return other

    def buffered(self) -> io.BufferedReader:
        """Return the file to read from."""
        return io.BufferedReader(self, PIECE_BYTES)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True; going back means to inflate from the start again."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._wanted

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, which costs nothing before something is read there."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._wanted, io.SEEK_END: self.size}[whence]
        self._wanted = max(0, start + offset)
        return self._wanted

    def readinto(self, buffer: Any) -> int:
        """Read at most as many bytes as the buffer takes.

        Raises
        ------
        DamagedFileError
            If it was gone back so often that reading would take hours.
        """
        if self._wanted >= self.size:
            return 0
        if self._wanted < self._begin:
            self._go_back()
        while self._wanted >= self._begin + len(self._piece):
            self._begin += len(self._piece)
            self._piece = next(self._pieces)
        start = self._wanted - self._begin
        taken = self._piece[start : start + len(buffer)]
        buffer[: len(taken)] = taken
        self._wanted += len(taken)
        return len(taken)

    def _go_back(self) -> None:
        self._wasted += self._wanted
        if self._wasted > max(MAX_WASTED_BYTES, MAX_REWINDS * self.size):
            raise DamagedFileError(
                f"{self._url} is gzipped, and its parts lie out of order: it would have to be "
                "decompressed again and again.",
                "Decompress the file.",
            )
        self._begin, self._piece, self._pieces = 0, b"", self._inflate()

    def _inflate(self) -> Iterator[bytes]:
        return _first_bytes(Inflater(self._url, _Cursor(self._stream)), self.size)


class _Cursor:
    """A position of its own in a stream that others read as well."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._place = stream, 0

    def read(self, size: int) -> bytes:
        """Read on from where this cursor is."""
        self._stream.seek(self._place)
        piece: bytes = self._stream.read(size)
        self._place += len(piece)
        return piece
