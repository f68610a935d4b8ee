"""Several spectra of one star, where they become one: their mean, weighted by inverse variance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName
from catalog_builder.features import lines
from catalog_builder.features.ledger import Ids
from catalog_builder.features.reading import PartitionReader
from catalog_builder.features.seen import is_among

Columns = dict[str, NDArray[Any]]
_NOBODY: Final[Ids] = np.empty(0, np.int64)


class Repeated:
    """The stars of a piece that have several spectra, held back until all of them are read.

    Parameters
    ----------
    release : ReleaseSpec
        Says whether spectra are combined; where they are not, nothing is ever held.
    """

    def __init__(self, release: ReleaseSpec) -> None:
        self._combines = release.several_spectra == "combined"
        self._ids = _NOBODY
        self._held: dict[str, list[tuple[Ids, Ids, Columns, Columns]]] = {}

    def find(self, table: TableName, reader: PartitionReader) -> None:
        """Look through a table for who has several rows, before it is read."""
        if not self._combines:
            return
        parts = [block.columns["source_id"] for block in reader.glance(table, ())]
        ids, counts = np.unique(np.concatenate([_NOBODY, *parts]), return_counts=True)
        self._ids = ids[counts > 1]

    def among(self, ids: Ids) -> NDArray[np.bool_]:
        """Say which ids are of stars with several rows in the table."""
        return is_among(ids, self._ids)

    def hold(
        self, name: str, ids: Ids, rows: Columns, scalars: Columns, samples: NDArray[Any] | None
    ) -> NDArray[np.bool_]:
        """Hold those of some spectra that are of such stars; return which are not.

        `samples` are their fluxes as they were read, by which a copy of a spectrum is known.
        """
        some = self.among(ids)
        if samples is not None and some.any():
            held = [{key: v[some] for key, v in each.items()} for each in (rows, scalars)]
            prints = _prints(samples[some])
            self._held.setdefault(name, []).append((ids[some], prints, held[0], held[1]))
        return ~some

    def take(self, name: str) -> tuple[Ids, Columns, Columns, Ids]:
        """Return the stars that were held, sorted, with their combined spectra; and let go.

        Last come the stars of spectra that are copies of others, which do not count again.
        """
        held = self._held.pop(name, [])
        if not held:
            return _NOBODY, {}, {}, _NOBODY
        ids, prints = (np.concatenate([each[place] for each in held]) for place in (0, 1))
        order = np.lexsort((prints, ids))
        ids, prints = ids[order], prints[order]
        again = np.zeros(ids.size, bool)
        again[1:] = (ids[1:] == ids[:-1]) & (prints[1:] == prints[:-1])
        copies, ids, order = ids[again], ids[~again], order[~again]
        rows = _together([each[2] for each in held], order)
        scalars = _together([each[3] for each in held], order)
        first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        combined = combine(name, rows, first)
        return ids[first], combined, {k: _one(k, v, first) for k, v in scalars.items()}, copies


def _prints(samples: NDArray[Any]) -> Ids:
    """Return 64 bits of each row, (n,), the same only of the same samples."""
    digests = [hashlib.blake2b(one.tobytes(), digest_size=8).digest() for one in samples]
    return np.frombuffer(b"".join(digests), "<i8").astype(np.int64)


def _together(parts: Sequence[Columns], order: NDArray[np.intp]) -> Columns:
    return {key: np.concatenate([part[key] for part in parts])[order] for key in parts[0]}


def combine(name: str, rows: Columns, first: NDArray[np.intp]) -> Columns:
    """Return the mean of the spectra of each star, weighted by inverse variance.

    Parameters
    ----------
    name : str
        Of the input.
    rows : dict of str to ndarray of shape (n, p)
        Flux, error and mask on the model grid, those of a star one after the other.
    first : ndarray of int, shape (s,)
        The first row of each star.

    Returns
    -------
    dict of str to ndarray of shape (s, p)
        A pixel is usable where it is in one of the spectra.
    """
    mask = rows[f"{name}_mask"]
    error = np.where(mask, rows[f"{name}_flux_error"], 1.0).astype(np.float64)
    weight = np.where(mask, error**-2, 0.0)
    total = np.add.reduceat(weight, first, axis=0)
    used = total > 0
    flux = np.add.reduceat(weight * rows[f"{name}_flux"], first, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, spread = flux / total, total**-0.5
    return {
        f"{name}_flux": np.where(used, mean, 0.0).astype(np.float32),
        f"{name}_flux_error": np.where(used, spread, 0.0).astype(np.float32),
        f"{name}_mask": used,
    }


def _one(key: str, values: NDArray[Any], first: NDArray[np.intp]) -> NDArray[Any]:
    """Return what is known of the mean: S/N add in squares; classes are known where all agree.

    A S/N below zero says that nothing was seen: it adds nothing.
    """
    if key.endswith("_normalisation"):
        least, most = (ufunc.reduceat(values, first) for ufunc in (np.minimum, np.maximum))
        return np.where(least == most, least, lines.UNKNOWN).astype(values.dtype)
    known = np.isfinite(values)
    power = np.add.reduceat(np.where(known, values.astype(np.float64).clip(0.0), 0.0) ** 2, first)
    some = np.logical_or.reduceat(known, first)
    return np.where(some, np.sqrt(power), np.nan).astype(values.dtype)
