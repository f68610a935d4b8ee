"""The rows of sources without spectra, written among those of the stars that have some."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from catalog_builder.archive.marks import KEYWORD, SENTENCE
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName
from catalog_builder.simulate.instruments.bare import observe_bare
from catalog_builder.simulate.instruments.motion import measure
from catalog_builder.simulate.instruments.observed import Observed
from catalog_builder.simulate.population.bare import chance_of_spectra, draw_bare
from catalog_builder.simulate.population.motion import set_moving
from catalog_builder.simulate.population.streams import Draws, streams
from catalog_builder.simulate.population.truth import Stars
from catalog_builder.simulate.writing import tables
from catalog_builder.simulate.writing.truth_file import arrow

#: The column of a truth file with the chance that a source like this one has spectra.
CHANCE: Final = "chance_of_spectra"
_BLOCK: Final = 2000
#: Number of the first block, for random numbers that no block of stars with spectra has.
_FIRST: Final = 1 << 20
_ALL: Final = np.iinfo(np.int64).max
#: Puts rows among those of a block of stars, by table.
Among = Callable[[dict[TableName, tables.Block]], None]
#: Columns of the truth that say nothing of a source without spectra.
_OF_SPECTRA: Final = frozenset({"anomaly", "vsini", "macroturbulence"})


class BareSources:
    """Sources without spectra of one range, handed out in the order of their ids; if there are any.

    Parameters
    ----------
    release : ReleaseSpec
        What the tables look like.
    place : sequence of int
        Seed and number of the partition, and its first and last pixel.
    planned : (int, float)
        How many, and their share of all (`population.bare.plan_bare`).
    """

    def __init__(
        self, release: ReleaseSpec, place: Sequence[int], planned: tuple[int, float]
    ) -> None:
        self._release = release
        count, self._share = planned
        self._parts: list[dict[TableName, tables.Block]] = []
        self._truths: list[pa.Table] = []
        if not count:
            return
        seed, index, first, last = place
        rng = streams(seed, index, 0)("sources without spectra")
        star, magnitude = draw_bare(rng, release, first, last, count)
        chance = self.chance(star, magnitude)
        for start in range(0, len(star), _BLOCK):
            block = star.rows(slice(start, start + _BLOCK))
            draws = streams(seed, index, _FIRST + start // _BLOCK)
            set_moving(draws("velocities"), block)
            seen = observe_bare(rng, block, release)
            seen.motion = measure(draws, block, seen.astrometry, seen.exact_grvs)
            self._parts.append(_rows(release, block, seen, draws))
            truth = _truth(block, seen)
            self._truths.append(self.told(truth, chance[start : start + _BLOCK]))

    def chance(self, star: Stars, magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return with what chance a source like each of these stars has spectra, (n,)."""
        if not self._share:
            return np.ones(len(star))
        return chance_of_spectra(star, magnitude, self._release, self._share)

    def told(self, truth: pa.Table, chance: NDArray[np.float64]) -> pa.Table:
        """Return rows of a truth with their chance, if that is less than 1 for anyone."""
        return truth.append_column(CHANCE, pa.array(chance)) if self._share else truth

    def before(self, ids: NDArray[np.int64]) -> Among:
        """Return what puts the rows with ids below the first of these among those of a block.

        If there are no ids, all that are left.
        """
        return functools.partial(self._join, int(ids[0]) if ids.size else _ALL)

    def _join(self, before: int, contents: dict[TableName, tables.Block]) -> None:
        left = []
        for part in self._parts:
            now, later = {}, {}
            for table, rows in part.items():
                due = np.asarray(rows["source_id"], np.int64) < before
                now[table] = {name: values[due] for name, values in rows.items()}
                later[table] = {name: values[~due] for name, values in rows.items()}
            for table, rows in now.items():
                if len(rows["source_id"]):
                    contents[table] = tables.together(contents.get(table, {}), rows)
            if any(len(rows["source_id"]) for rows in later.values()):
                left.append(later)
        self._parts = left

    def write_truth(self, path: Path) -> None:
        """Write what is true of them."""
        if not self._truths:
            return
        marks = {KEYWORD: "true", "ORIGIN": SENTENCE}
        table = pa.concat_tables(self._truths).replace_schema_metadata(marks)
        pq.write_table(table, path)


def truth_of_bare(out: Path, range_: str) -> Path:
    """Return where the truth of sources without spectra of one range lies."""
    return out / "truth" / f"without_spectra_{range_}.parquet"


def _rows(
    release: ReleaseSpec, star: Stars, seen: Observed, draws: Draws
) -> dict[TableName, tables.Block]:
    """Return the rows of the source table and of those joined to it."""
    columns = tables.gaia_source(star, seen, release)
    columns["random_index"] = tables.random_index(draws("random index"), len(star))
    nobody = np.zeros(len(star), bool)
    has = {one.table: nobody for spectrum in release.spectra.values() for one in spectrum.products}
    for name, (values, _) in tables.announcements(release, has).items():
        columns[name] = values
    return tables.looked_up(release, star, columns, {})


def _truth(star: Stars, seen: Observed) -> pa.Table:
    told = {
        field.name: getattr(star, field.name)
        for field in fields(star)
        if field.name not in _OF_SPECTRA
    }
    told["phot_g_mean_mag"] = seen.magnitudes[:, 0]
    told["bp_rp"] = seen.magnitudes[:, 1] - seen.magnitudes[:, 2]
    told["parallax"] = seen.astrometry.parallax
    return pa.table({name: arrow(values) for name, values in told.items()})
