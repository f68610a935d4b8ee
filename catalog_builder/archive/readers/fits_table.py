"""Rows of a FITS binary table, a few at a time, from any stream that can seek.

astropy reads the headers; the rows are read here, for astropy takes a whole table into memory
where the file is remote or compressed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.readers.fits_sum import verify_sums
from catalog_builder.archive.readers.inflate import PIECE_BYTES, SoundFile
from catalog_builder.archive.readers.scaling import Scaling
from catalog_builder.archive.readers.typed import RawColumn
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.signs import GZIP
from catalog_builder.archive.storage import open_bytes

#: Heap read at once for the arrays of one block; beyond, the heap is not in row order.
_MAX_HEAP_BYTES = 1 << 29
#: The longest row; and no more than this is read at once.
_MAX_ROW_BYTES = 1 << 28


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
            stream, damage = _unpack(url, raw) if is_packed else (raw, None)
            with _no_fits(url):
                unit = _find(url, stream, hdu)
                verify_sums(url, stream, unit)
                table = FitsTable(url, stream, unit, damage)
            yield table
    except OSError as error:
        raise DamagedFileError(f"{url} cannot be read as FITS: {error}.") from error


def _unpack(url: str, raw: Any) -> tuple[Any, DamagedFileError | None]:
    """Return what is good of a gzipped file, and what is wrong behind it."""
    sound = SoundFile(url, raw)
    if sound.damage is not None and sound.size == 0:
        raise sound.damage
    return io.BufferedReader(sound, PIECE_BYTES), sound.damage


# What astropy raises on headers that are no FITS headers, beside its own errors.
_PARSE_ERRORS = (ValueError, TypeError, LookupError, NameError, AttributeError, AssertionError)


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


def _find(url: str, stream: Any, number: int | None) -> Any:
    hdus = fits.open(stream, memmap=False, lazy_load_hdus=True)
    candidates = [hdus[number]] if number is not None else iter(hdus)
    table = next((hdu for hdu in candidates if isinstance(hdu, fits.BinTableHDU)), None)
    if table is None:
        place = "" if number is None else f" in extension {number}"
        raise DamagedFileError(f"{url} holds no binary table{place}.", "Check the file.")
    return table


class FitsTable:
    """A binary table whose rows are read block by block."""

    def __init__(
        self, url: str, stream: Any, hdu: Any, damage: DamagedFileError | None = None
    ) -> None:
        self.url = url
        self._stream, self._damage = stream, damage
        self._columns = {column.name: column for column in hdu.columns}
        #: Columns in the order of the file, doubles included.
        self.names: list[str] = list(hdu.columns.names)
        self.n_rows = int(hdu.header["NAXIS2"])
        self._row_bytes = int(hdu.header["NAXIS1"])
        self._start = int(hdu.fileinfo()["datLoc"])
        self._heap = self._start + int(hdu.header.get("THEAP", self._row_bytes * self.n_rows))
        # astropy gives the order of this machine; FITS is big-endian.
        self._dtype = hdu.columns.dtype.newbyteorder(">")
        if self._row_bytes > _MAX_ROW_BYTES:
            raise DamagedFileError(f"{url}: a row has {self._row_bytes} bytes.", "Check the file.")
        if self._dtype.itemsize != self._row_bytes or self.n_rows < 0:
            raise DamagedFileError(
                f"{url}: a row has {self._row_bytes} bytes, its columns {self._dtype.itemsize}."
            )

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

    def _scaling(self, name: str) -> Scaling:
        column = self._columns[name]
        return Scaling.of(f"{self.url}: column {name}", column.bscale, column.bzero, column.null)

    def blocks(self, names: Sequence[str], block_rows: int) -> Iterator[dict[str, RawColumn]]:
        """Yield columns of consecutive rows.

        Raises
        ------
        DamagedFileError
            After the last complete row, if the file ends before the table does.
        """
        block_rows = max(1, min(block_rows, _MAX_ROW_BYTES // max(1, self._row_bytes)))
        for first in range(0, self.n_rows, block_rows):
            count = min(block_rows, self.n_rows - first)
            self._stream.seek(self._start + first * self._row_bytes)
            content = self._read(count * self._row_bytes)
            complete = len(content) // self._row_bytes
            records = np.frombuffer(content, self._dtype, count=complete)
            if complete:
                yield {name: self._column(name, records) for name in names}
            if complete < count:
                raise self._cut_off(first + complete)

    def _read(self, size: int) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except (OSError, EOFError) as error:
            raise DamagedFileError(f"{self.url} cannot be read: {error}.") from error

    def _cut_off(self, row: int) -> DamagedFileError:
        return self._damage or DamagedFileError(
            f"{self.url} is cut off at row {row} of {self.n_rows}.",
            reason=RejectReason.TRUNCATED_FILE,
        )

    def _column(self, name: str, records: NDArray[Any]) -> RawColumn:
        column = self._columns[name]
        element = _variable_type(column)
        if element is not None:
            return self._variable(name, element, records)
        values = records[name]
        none = np.zeros(records.size, bool)
        if column.format.lstrip("0123456789") == "L":
            return RawColumn(values == ord("T"), none | (values == 0) if values.ndim == 1 else none)
        if values.dtype.kind not in "iuf":
            return RawColumn(values, none)
        scaled, null = self._scaling(name).apply(values)
        return RawColumn(scaled, null) if values.ndim == 1 else RawColumn(_nan(scaled, null), none)

    def _variable(self, name: str, element: np.dtype[Any], records: NDArray[Any]) -> RawColumn:
        """Read variable-length arrays from the heap, in one piece for the block."""
        lengths = records[name][:, 0].astype(np.int64)
        offsets = records[name][:, 1].astype(np.int64)
        width = element.itemsize
        used = lengths > 0
        begin = int(offsets[used].min()) if used.any() else 0
        stop = int((offsets + lengths * width)[used].max()) if used.any() else 0
        if begin < 0 or (lengths < 0).any() or stop - begin > _MAX_HEAP_BYTES:
            raise DamagedFileError(f"{self.url}: the arrays of column {name} lie out of order.")
        self._stream.seek(self._heap + begin)
        heap = self._read(stop - begin)
        if len(heap) < stop - begin:
            raise self._cut_off(self.n_rows)
        # Byte positions of all elements' bytes, row after row.
        starts = np.repeat(offsets - begin - width * (np.cumsum(lengths) - lengths), lengths)
        places = starts + width * np.arange(lengths.sum())
        pieces = np.frombuffer(heap, np.uint8)[places[:, None] + np.arange(width)]
        values = np.ascontiguousarray(pieces).view(element).reshape(-1)
        return RawColumn(_nan(*self._scaling(name).apply(values)), ~used, lengths)


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
