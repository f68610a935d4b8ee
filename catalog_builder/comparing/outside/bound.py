"""A mapping bound to the columns that one file has: values, errors and cuts of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.outside.columns import Columns, Kind
from catalog_builder.comparing.outside.formats import Named
from catalog_builder.comparing.outside.mapping import (
    Calibration,
    Cut,
    Names,
    OtherTable,
    Value,
    first_there,
    spellings,
)
from catalog_builder.contract.units import same_unit
from catalog_builder.ground.errors import InputError

Array = NDArray[np.float64]


class Bound:
    """A mapping bound to the columns of one file.

    Attributes
    ----------
    key : str
        The file's column of ids.
    needed : tuple of str
        Labels whose values are read: those wanted, and those of which a calibration is made.
    cuts : list of Cut
        Those whose column is there.
    kinds : dict of str to Kind
        Columns to read.

    Raises
    ------
    InputError
        If the file lacks a column that must be there, or gives another unit.
    """

    def __init__(
        self,
        rows: Named,
        mapping: OtherTable,
        labels: Sequence[str],
        calibration: Calibration | None,
    ) -> None:
        self._mapping, self._rows = mapping, rows
        self._spelt = spellings(rows.units)
        self.key = self._found(mapping.source_id)
        terms = {} if calibration is None else calibration.labels
        self.needed = tuple(dict.fromkeys([*labels, *(terms[n].of for n in labels if n in terms)]))
        self.cuts = [c for c in mapping.cuts if not (c.optional and not self._has(c.column))]
        self.kinds: dict[str, Kind] = {self.key: "id"}
        for name in self.needed:
            self._take(mapping.labels[name])
        if mapping.extinction is not None and self._has(mapping.extinction.column):
            self._take(mapping.extinction)
        if (rank := self._there(mapping.sig_to_noise)) is not None:
            self.kinds.setdefault(rank, "number")
        for cut in self.cuts:
            self._take_cut(cut)
        for name in labels:
            self._check_unit(name)

    def value(self, columns: Columns, name: str) -> Array:
        """Return the values of a label, in our unit, before any calibration."""
        return self._value(columns, self._mapping.labels[name])

    def error(self, columns: Columns, name: str) -> Array:
        """Return 1-sigma errors, NaN where none above 0 is given."""
        value = self._mapping.labels[name]
        count = len(columns[self.key])
        error, lower, upper = (self._there(n) for n in (value.error, value.lower, value.upper))
        found = np.full(count, np.nan)
        if error is not None:
            found = self._number(columns, error)
            if value.logarithm:  # of dex: relative
                found = found * np.log(10.0) * self._value(columns, value)
        elif lower is not None and upper is not None:
            low, high = self._number(columns, lower), self._number(columns, upper)
            if value.logarithm:
                low, high = 10.0**low, 10.0**high
            found = (high - low) / 2
        scaled = found * abs(value.scale)
        with np.errstate(invalid="ignore"):
            return np.where(scaled > 0, scaled, np.nan)

    def extinction(self, columns: Columns) -> Array:
        """Return extinctions, NaN where unknown."""
        value = self._mapping.extinction
        if value is None or not self._has(value.column):
            return np.full(len(columns[self.key]), np.nan)
        return self._value(columns, value)

    def rank(self, columns: Columns) -> Array:
        """Return by what the best row of a star is chosen."""
        name = self._there(self._mapping.sig_to_noise)
        count = len(columns[self.key])
        return np.full(count, np.nan) if name is None else self._number(columns, name)

    def fails(self, columns: Columns, cut: Cut) -> NDArray[np.bool_]:
        """Return which rows a cut rejects."""
        given = columns[self._found(cut.column)]
        if cut.characters is not None:
            return _has_larger(given, cut.characters, cut.largest)
        if cut.equals is not None:
            return np.asarray(~np.isin(given, np.asarray(cut.equals)))
        if cut.no_bit_of is not None:
            mask = sum(1 << bit for bit in cut.no_bit_of)
            numbers = self._nulled(given)
            unknown = ~np.isfinite(numbers)  # not known to be good
            whole = np.where(unknown, 0, numbers).astype(np.int64)
            # Of bit 63 the mask has the sign.
            return np.asarray(unknown | ((whole & np.uint64(mask).astype(np.int64)) != 0))
        numbers = self._nulled(given)
        failed = np.zeros(len(numbers), bool)
        with np.errstate(invalid="ignore"):
            if cut.minimum is not None:
                failed |= ~(numbers >= cut.minimum)
            if cut.maximum is not None:
                failed |= numbers > cut.maximum
        return failed

    def _value(self, columns: Columns, value: Value) -> Array:
        found = self._number(columns, self._found(value.column))
        with np.errstate(over="ignore"):
            found = 10.0**found if value.logarithm else found
        scaled = found * value.scale + value.offset
        return np.where(np.isfinite(scaled), scaled, np.nan)

    def _number(self, columns: Columns, name: str) -> Array:
        return self._nulled(columns[name])

    def _nulled(self, values: NDArray[Any]) -> Array:
        # -9999.99 in a file of four-byte numbers is another number than in this program's eight.
        nulls = np.asarray(self._mapping.null_values, dtype=np.float64)
        none = np.isin(values.astype(np.float32), nulls.astype(np.float32))
        return np.where(none, np.nan, values)

    def _take(self, value: Value) -> None:
        for names in value.columns:
            if (name := self._there(names)) is not None:
                self.kinds.setdefault(name, "number")

    def _take_cut(self, cut: Cut) -> None:
        """Read the column of a cut; ids that are read as numbers would be rounded to others."""
        name = self._found(cut.column)
        kind: Kind = "text" if cut.is_text else "number"
        if self.kinds.setdefault(name, kind) != kind:
            raise InputError(
                f"{self._rows.path}: the cut {cut.name} reads {name} as {kind}, which is read as"
                f" {self.kinds[name]} elsewhere.",
                f"Correct it in the mapping {self._mapping.name}.",
            )

    def _has(self, names: Names) -> bool:
        return self._there(names) is not None

    def _there(self, names: Names | None) -> str | None:
        return first_there(names, self._spelt)

    def _found(self, names: Names) -> str:
        name = self._there(names)
        if name is None:
            wanted = names if isinstance(names, str) else " or ".join(names)
            raise InputError(
                f"{self._rows.path} has no column {wanted}; it has"
                f" {', '.join(list(self._rows.units)[:60])}.",
                f"Is it a part of {self._mapping.title}? If so, correct the mapping.",
            )
        return name

    def _check_unit(self, label: str) -> None:
        value = self._mapping.labels[label]
        name = self._found(value.column)
        said, plain = self._rows.units[name], value.scale == 1 and not value.logarithm
        # No format but the text of ECSV has logarithmic units: what stands for dex is not compared.
        if not said or not plain or value.unit.startswith(("dex", "log")) or not value.unit:
            return
        if not same_unit(said, value.unit):
            raise InputError(
                f"{self._rows.path}: {name} is in {said!r}, the mapping says {value.unit!r}.",
                "Correct whichever is wrong.",
            )


def _has_larger(
    chains: NDArray[np.str_], places: tuple[int, int], largest: int
) -> NDArray[np.bool_]:
    """Return which chains of digits have a larger one at these places, or are shorter."""
    first, last = places
    kinds, index = np.unique(chains, return_inverse=True)
    bad = [
        len(one) < last or any(not c.isdigit() or int(c) > largest for c in one[first - 1 : last])
        for one in kinds.tolist()
    ]
    return np.asarray(np.array(bad, dtype=bool)[index])
