"""Rows of a FITS binary table, a few at a time, from any stream that can seek.

astropy reads the headers; the rows are read here, for astropy takes a whole table into memory
where the file is remote or compressed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.readers.fits.header import TableUnit, find_table
from catalog_builder.archive.readers.fits.scaling import Scaling
from catalog_builder.archive.readers.fits.sums import verify_sums
from catalog_builder.archive.readers.inflate import SoundFile
from catalog_builder.archive.readers.typed import RawColumn
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.signs import GZIP
from catalog_builder.archive.storage import open_bytes

#: The longest row; and no more than this is read at once.
_MAX_ROW_BYTES = 1 << 26


@contextmanager
def open_fits_table(url: str, hdu: int | None = None) -> Iterator[FitsTable]:
    """Open a binary table of a FITS file, plain or gzipped.

    Parameters
    ----------
    url : str
        Path or URL.
    hdu : int, optional
        Number of the extension; the first binary table by default.

    Raises
    ------
    DamagedFileError
        If it is not there, or the file is not FITS.
    """
    try:
        with open_bytes(url) as raw:
            is_packed = raw.read(len(GZIP)) == GZIP
            raw.seek(0)
            sound = _unpack(url, raw) if is_packed else None
            stream = raw if sound is None else sound.buffered()
            with _no_fits(url):
                unit = find_table(url, stream, hdu)
                verify_sums(url, stream, unit)
                table = FitsTable(url, stream, unit, sound)
            yield table
    except OSError as error:
        raise DamagedFileError(f"{url} cannot be read as FITS: {error}.") from error


def _unpack(url: str, raw: Any) -> SoundFile:
    """Return what is good of a gzipped file."""
    sound = SoundFile(url, raw)
    if sound.damage is not None and sound.size == 0:
        raise sound.damage
    return sound


# What astropy raises on headers that are no FITS headers, beside its own errors.
_PARSE_ERRORS = (
    *(ValueError, TypeError, LookupError, NameError, AttributeError, AssertionError),
    *(OverflowError, RecursionError),
)


@contextmanager
def _no_fits(url: str) -> Iterator[None]:
    """Say of a header that astropy cannot make sense of that it is none."""
    with warnings.catch_warnings():
        # A truncated file is found out, and told, when its rows are read.
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            yield
        except (OSError, EOFError, fits.VerifyError, *_PARSE_ERRORS) as error:
            raise DamagedFileError(f"{url} cannot be read as FITS: {error}.") from error


class FitsTable:
    """A binary table whose rows are read block by block."""

    def __init__(
        self, url: str, stream: Any, unit: TableUnit, packed: SoundFile | None = None
    ) -> None:
        self.url = url
        self._stream, self._packed = stream, packed
        # A gzipped heap is read by a reader for each column: going back costs them much.
        self._heaps: dict[str, Any] = {}
        header = unit.header
        self._columns = {column.name: column for column in unit.columns}
        #: Columns in the order of the file, doubles included.
        self.names: list[str] = list(unit.columns.names)
        self.n_rows, self._row_bytes = int(header["NAXIS2"]), int(header["NAXIS1"])
        self._start = unit.data_at
        # astropy gives the order of this machine; FITS is big-endian.
        self._dtype = unit.columns.dtype.newbyteorder(">")
        if not 0 < self._row_bytes <= _MAX_ROW_BYTES:
            raise DamagedFileError(f"{url}: a row has {self._row_bytes} bytes.", "Check the file.")
        if self._dtype.itemsize != self._row_bytes:
            raise DamagedFileError(
                f"{url}: a row has {self._row_bytes} bytes, its columns {self._dtype.itemsize}."
            )
        rows_bytes = self._row_bytes * self.n_rows
        gap = int(header.get("THEAP", rows_bytes)) - rows_bytes
        self._heap, self._heap_bytes = self._start + rows_bytes + gap, header["PCOUNT"] - gap
        if gap < 0:  # nothing that lies among the rows is in the heap
            self._heap_bytes = 0

    def unit(self, name: str) -> str | None:
        """Return a column's TUNIT."""
        unit = self._columns[name].unit
        return None if unit is None else str(unit)

    def kind(self, name: str) -> tuple[str, bool]:
        """Return NumPy's letter for a column's elements, and whether it holds arrays.

        Integers that are scaled to others are integers; those scaled to fractions are floats.

        Raises
        ------
        InputError
            If the column's TSCAL or TZERO is no finite number, or TSCAL is zero.
        """
        column = self._columns[name]
        variable = _variable_type(column)
        field = self._dtype[name]
        kind = field.base.kind if variable is None else variable.kind
        if column.format.lstrip("0123456789") == "L":
            kind = "b"
        elif kind in "iu" and not self._scaling(name).is_whole:
            kind = "f"
        return kind, variable is not None or bool(field.shape)

    def length(self, name: str) -> int:
        """Return how many elements a column of arrays has in its first row that has any."""
        if _variable_type(self._columns[name]) is None:
            return math.prod(self._dtype[name].shape)
        content = self._read(self._stream, self._start, 64 * self._row_bytes)
        complete = min(len(content) // self._row_bytes, self.n_rows)
        lengths = np.frombuffer(content, self._dtype, count=complete)[name][:, 0]
        return int(lengths[np.argmax(lengths > 0)]) if complete else 0

    def _scaling(self, name: str) -> Scaling:
        column = self._columns[name]
        return Scaling.of(f"{self.url}: column {name}", column.bscale, column.bzero, column.null)

    def blocks(
        self, names: Sequence[str], block_rows: int, lengths: Mapping[str, int] | None = None
    ) -> Iterator[dict[str, RawColumn]]:
        """Yield columns of consecutive rows.

        Parameters
        ----------
        names : sequence of str
            Columns to read.
        block_rows : int
            Rows at once, or fewer where they are long.
        lengths : mapping of str to int, optional
            Elements that arrays should have, by column. Arrays of any other length come as empty
            ones, and are not read from the heap.

        Raises
        ------
        DamagedFileError
            After the last complete row, if the file ends before the table does.
        """
        wanted = {name: (lengths or {}).get(name, 0) for name in names}
        block_rows = max(1, min(block_rows, _MAX_ROW_BYTES // self._row_bytes))
        for first in range(0, self.n_rows, block_rows):
            count = min(block_rows, self.n_rows - first)
            content = self._read(
                self._stream, self._start + first * self._row_bytes, count * self._row_bytes
            )
            complete = len(content) // self._row_bytes
            records = np.frombuffer(content, self._dtype, count=complete)
            if complete:
                with _no_fits(self.url):
                    columns = {
                        name: self._column(name, records, length) for name, length in wanted.items()
                    }
                yield columns
            if complete < count:
                raise self._cut_off(first + complete)

    def _read(self, stream: Any, place: int, size: int) -> bytes:
        try:
            stream.seek(place)
            return bytes(stream.read(size))
        except (OSError, EOFError) as error:
            raise DamagedFileError(f"{self.url} cannot be read: {error}.") from error

    def _cut_off(self, row: int) -> DamagedFileError:
        damage = None if self._packed is None else self._packed.damage
        return damage or DamagedFileError(
            f"{self.url} is cut off at row {row} of {self.n_rows}.",
            reason=RejectReason.TRUNCATED_FILE,
        )

    def _column(self, name: str, records: NDArray[Any], length: int) -> RawColumn:
        column = self._columns[name]
        element = _variable_type(column)
        values = records[name]
        if element is not None:
            return self._variable(name, element, values, length)
        none = np.zeros(records.size, bool)
        if values.ndim > 1 and math.prod(values.shape[1:]) != length:
            return RawColumn(values[:0], none, np.zeros(records.size, np.int64))
        if column.format.lstrip("0123456789") == "L":
            return RawColumn(*_logical(values))
        if values.dtype.kind not in "iuf":
            return RawColumn(values, none)
        scaled, null = self._scaling(name).apply(values)
        return RawColumn(scaled, null) if values.ndim == 1 else RawColumn(_nan(scaled, null), none)

    def _variable(
        self, name: str, element: np.dtype[Any], descriptors: NDArray[Any], length: int
    ) -> RawColumn:
        """Read arrays of variable length from the heap, as they lie there."""
        lengths = descriptors[:, 0].astype(np.int64)
        offsets = descriptors[:, 1].astype(np.int64)
        size = length * element.itemsize
        kept = (lengths == length) & (offsets >= 0) & (offsets <= self._heap_bytes - size)
        kept &= lengths > 0
        pieces: dict[int, bytes] = {}
        for offset in np.unique(offsets[kept]).tolist():
            piece = self._read(self._heap_of(name), self._heap + offset, size)
            if len(piece) < size:
                raise self._cut_off(self.n_rows)
            pieces[offset] = piece
        content = b"".join(pieces[offset] for offset in offsets[kept].tolist())
        values = _nan(*self._scaling(name).apply(np.frombuffer(content, element)))
        return RawColumn(values, lengths == 0, np.where(kept, length, 0))

    def _heap_of(self, column: str) -> Any:
        if self._packed is None:
            return self._stream
        if column not in self._heaps:
            self._heaps[column] = self._packed.twin().buffered()
        return self._heaps[column]


def _logical(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return 1 for T, 0 for F, and 2 for a byte that is neither; and which are null (0)."""
    known = [values == ord("T"), (values == ord("F")) | (values == 0)]
    numbers = np.select(known, [np.int8(1), np.int8(0)], np.int8(2))
    null = values == 0
    return numbers, null if values.ndim == 1 else np.zeros(len(values), bool)


def _nan(values: NDArray[Any], none: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the elements of arrays, NaN where integers stand for no value."""
    return np.where(none, np.nan, values) if none.any() else values


def _variable_type(column: Any) -> np.dtype[Any] | None:
    """Type of the elements of a variable-length column, None for others."""
    code = str(column.format).lstrip("0123456789")
    if code[:1] not in {"P", "Q"}:
        return None
    letters = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
    return np.dtype(letters.get(code[1:2], "V1"))
