"""A block of rows, the same whatever format it was read from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.rejects import RejectReason, RowRejects
from catalog_builder.archive.tables import ColumnSpec, TableSpec
from catalog_builder.contract.units import same_unit
from catalog_builder.ground.errors import InputError


class DamagedFileError(InputError):
    """A file cannot be read to its end; what it yielded before is good.

    Parameters
    ----------
    problem, way_out : str
        As in every error of the program.
    reason : RejectReason
        ``TRUNCATED_FILE`` or ``UNREADABLE_FILE``.
    """

    def __init__(
        self,
        problem: str,
        way_out: str = "Fetch the file again.",
        reason: RejectReason = RejectReason.UNREADABLE_FILE,
    ) -> None:
        super().__init__(problem, way_out)
        self.reason = reason


@dataclass(frozen=True)
class Block:
    """Consecutive good rows of one table.

    Parameters
    ----------
    columns : dict of str to ndarray
        By canonical name, all of n rows and of the dtype described; array columns are (n, length).
        Every column asked for is there: null floats are NaN, null integers 0, null booleans False,
        also where the file lacks an optional column.
    row_numbers : ndarray of int64 (n,)
        Number of each row in its file, the first data row being 0.
    first_row : int
        Number of the first row this block looked at, good or not.
    n_read : int
        Rows looked at: the good ones and the rejects.
    rejects : RowRejects
        The rows left out.
    cell_nulls : dict of str to int
        Cells of good rows that held no value of the column's type and became null, by column.
    """

    columns: dict[str, NDArray[Any]]
    row_numbers: NDArray[np.int64]
    first_row: int
    n_read: int
    rejects: RowRejects
    cell_nulls: dict[str, int] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of good rows."""
        return int(self.row_numbers.size)

    @property
    def end(self) -> int:
        """Number of the row behind the last one that this block looked at."""
        return self.first_row + self.n_read

    def without(self, nulls: Mapping[str, Sequence[float]]) -> Block:
        """Return the block with numbers that stand for no value made nulls, by column."""
        made = dict(self.columns)
        for name, numbers in nulls.items():
            values = made[name]
            none = np.isin(values, np.asarray(numbers).astype(values.dtype))
            made[name] = np.where(none, _null_of(values.dtype), values).astype(values.dtype)
        return replace(self, columns=made)

    def after(self, row: int) -> Block:
        """Return the part of the block from a row of the file on; counts of nulled cells stay."""
        if row <= self.first_row:
            return self
        part = self.take(self.row_numbers >= row, self.rejects.rows >= row)
        return replace(part, first_row=row, n_read=max(0, self.end - row))

    def take(self, good: NDArray[np.bool_], bad: NDArray[np.bool_]) -> Block:
        """Return some of the good rows and some of the rejects, as if no other had been read."""
        return replace(
            self,
            columns={name: values[good] for name, values in self.columns.items()},
            row_numbers=self.row_numbers[good],
            n_read=int(good.sum() + bad.sum()),
            rejects=self.rejects.take(bad),
        )


@dataclass(frozen=True)
class Within:
    """Rows that are wanted of a file: a reader may leave out blocks that have none of them.

    Parameters
    ----------
    column : str
        Canonical name of a column of integers.
    low, high : int
        Wanted are rows whose value lies between, both included.
    outside : (int, int) or None
        And those whose value is null or does not lie between these.
    """

    column: str
    low: int
    high: int
    outside: tuple[int, int] | None = None

    def has_none(self, least: int, most: int, nulls: int) -> bool:
        """Say whether none is among rows of which the smallest and largest value are known."""
        if least <= self.high and most >= self.low:
            return False
        if self.outside is None:
            return True
        return nulls == 0 and self.outside[0] <= least and most <= self.outside[1]


def select_columns(table: TableSpec, columns: Collection[str] | None) -> dict[str, ColumnSpec]:
    """Return the columns to read by canonical name: those asked for, and always the source_id.

    Raises
    ------
    InputError
        If a column is not described.
    """
    if columns is None:
        return dict(table.columns)
    unknown = sorted(set(columns) - set(table.columns))
    if unknown:
        raise InputError(
            f"{table.stem}* has no described column {', '.join(unknown)}.",
            f"Described are: {', '.join(table.columns)}.",
        )
    return {name: spec for name, spec in table.columns.items() if name in {"source_id", *columns}}


def match_columns(
    url: str, header: list[str], table: TableSpec, wanted: Mapping[str, ColumnSpec]
) -> dict[str, int]:
    """Find each wanted column in a file's header; optional ones may be absent.

    A name is matched to the letter, or else without regard to case.

    Returns
    -------
    dict of str to int
        Canonical name -> position in the header.

    Raises
    ------
    InputError
        If a required column is absent, or a wanted one stands there twice.
    """
    lowered = [name.lower() for name in header]
    places: dict[str, int] = {}
    for canonical, spec in wanted.items():
        for native in table.native_names(canonical):
            exact = [place for place, name in enumerate(header) if name == native]
            found = exact or [place for place, name in enumerate(lowered) if name == native.lower()]
            if len(found) > 1:
                raise InputError(
                    f"{url}: column {native} stands {len(found)} times in the header.",
                    "Remove the surplus column.",
                )
            if found:
                places[canonical] = found[0]
                break
        else:
            if spec.required:
                raise _missing(url, table.native_names(canonical), header)
    return places


def _missing(url: str, names: tuple[str, ...], header: list[str]) -> InputError:
    seen = ", ".join(header[:60]) + (", ..." if len(header) > 60 else "")
    return InputError(
        f"{url}: column {' or '.join(names)} is missing; the header has: {seen or 'nothing'}.",
        "Correct the file, or name the column in the release description.",
    )


def check_unit(url: str, name: str, spec: ColumnSpec, unit: str | None) -> None:
    """Refuse a column whose header gives another unit than the description.

    Raises
    ------
    InputError
        If both units are known and differ.
    """
    if unit is not None and unit.strip() and not same_unit(unit, spec.unit):
        raise InputError(
            f"{url}: column {name} is in {unit!r}, but the release description says "
            f"{spec.unit or 'no unit'!r}.",
            "Correct whichever is wrong.",
        )


def inexact_key(url: str, name: str) -> InputError:
    """Return the refusal of identifiers that were kept as floating-point numbers."""
    return InputError(
        f"{url}: column {name} holds floating-point numbers, which keep 16 digits of an "
        "identifier's 19: they name other stars.",
        "Write the column as 64-bit integers, from where it had them last; converting it back "
        "does not restore the digits.",
    )


def _null_of(dtype: np.dtype[Any]) -> float:
    return float("nan") if dtype.kind == "f" else 0


def null_column(spec: ColumnSpec, n_rows: int) -> NDArray[Any]:
    """Return a column of nulls."""
    shape = (n_rows,) if spec.length is None else (n_rows, spec.length)
    return np.full(shape, _null_of(spec.numpy_dtype), spec.numpy_dtype)


def integer_limits(spec: ColumnSpec, *, is_key: bool = False) -> tuple[int, int]:
    """Smallest and largest integer a column may hold; a source_id is positive."""
    if spec.numpy_dtype.kind != "i":
        return 0, 0
    info = np.iinfo(spec.numpy_dtype.name)
    return (1 if is_key else int(info.min)), int(info.max)
