"""One range of the sky in two releases: what a worker does."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.simulate.population.streams import Draws, streams
from catalog_builder.simulate.population.truth import Stars
from catalog_builder.simulate.twin import neighbourhood, tables, traps
from catalog_builder.simulate.twin.again import RvsMade, observe_again
from catalog_builder.simulate.twin.describe import GRID
from catalog_builder.simulate.twin.files import Files
from catalog_builder.simulate.twin.ids import Ids, renumber
from catalog_builder.simulate.twin.recipe import Recipe
from catalog_builder.simulate.writing import layout
from catalog_builder.simulate.writing.beside import Beside
from catalog_builder.simulate.writing.partition import (
    BLOCK,
    Looked,
    PartitionPlan,
    marked,
    simulate_partition,
    truth_path,
)
from catalog_builder.simulate.writing.truth_file import truth_table
from catalog_builder.simulate.writing.writers import PartitionReceipt

#: What the random numbers of the later release are drawn for, beside the seed of the sky.
_PURPOSE: Final = "twin"


@dataclass(frozen=True)
class TwinPlan:
    """Descriptor of one partition in two releases.

    Parameters
    ----------
    older : PartitionPlan
        The partition in the older release's archive.
    recipe : Recipe
        What the later release is like.
    out : str
        Root of its archive.
    stars : int
        Of the whole sky.
    """

    older: PartitionPlan
    recipe: Recipe
    out: str
    stars: int


@dataclass(frozen=True)
class TwinReceipt:
    """What both releases have of a partition."""

    older: PartitionReceipt
    later: PartitionReceipt


def ids_path(out: Path, range_: str) -> Path:
    """Return the file with the ids of one range in both releases."""
    return out / "truth" / f"ids_{range_}.parquet"


def simulate_twins(plan: TwinPlan) -> TwinReceipt:
    """Write all tables of one partition in both releases."""
    with ExitStack() as stack:
        twin = _Twin(stack, plan)
        older = simulate_partition(plan.older, twin)
    index = plan.older.index
    return TwinReceipt(older, PartitionReceipt(index, twin.files.checksums(), twin.files.rows))


class _Twin:
    """The later release, which looks at each block after the older one has."""

    def __init__(self, stack: ExitStack, plan: TwinPlan) -> None:
        self.plan, self.stack, self.out = plan, stack, Path(plan.out)
        self.release: ReleaseSpec = load_release(plan.older.release)
        first, last = plan.older.first, plan.older.last
        self.range = layout.range_name(self.release, first, last)
        stars = plan.stars if plan.recipe.layout == "regions" else 0
        self.files = Files(stack, self.out, self.range, stars, spell_nulls=not plan.older.clean)
        self.truth: pq.ParquetWriter | None = None
        self.ids: Ids | None = None

    def begin(self, star: Stars) -> None:
        """Draw what happens to the ids, and write it down."""
        older = self.plan.older
        rng = streams(older.seed, older.index, 0)(f"{_PURPOSE} ids")
        self.ids = renumber(rng, star.source_id, self.plan.recipe, BLOCK)
        table = pa.table(
            {
                "dr3_source_id": self.ids.old,
                "source_id": self.ids.new,
                "second_source_id": self.ids.second,
                "fate": pa.array(self.ids.fate.tolist(), type=pa.string()),
            }
        )
        pq.write_table(table.cast(marked(table.schema)), ids_path(self.out, self.range))

    def look(self, looked: Looked) -> None:
        """Observe a block again, and write it."""
        if self.ids is None:
            return
        plan, start = self.plan, looked.number * BLOCK
        ids = self.ids.rows(slice(start, start + len(looked.star)))
        draws = self._draws(looked.number)
        made = traps.made_with(RvsMade(GRID, self.release.spectra["rvs"].grid), plan.recipe.traps)
        if plan.recipe.normalised_by == "median":
            made = replace(made, all_by_median=True)
        again = observe_again(draws, looked.star, looked.seen, made)
        rng = draws("places")
        mas = neighbourhood.distances(rng, len(ids.old))
        ra, dec = neighbourhood.displaced(rng, looked.star, mas)
        star = replace(looked.star, source_id=np.where(ids.stays, ids.new, ids.old), ra=ra, dec=dec)
        g = looked.seen.magnitudes[:, 0], again.seen.magnitudes[:, 0]
        seconds = neighbourhood.seconds(draws("seconds"), star, ids, g[1])
        sheets = tables.make(draws, star, again, ids, self.release, seconds)
        near = neighbourhood.neighbourhood(draws("neighbours"), ids, mas, g, seconds)
        sheets["dr3_neighbourhood"] = near
        self.files.write(traps.sprung(sheets, plan.older.index, plan.recipe.traps))
        self._write_truth(replace(looked, star=star, seen=again.seen), ids)

    def _draws(self, number: int) -> Draws:
        draws = streams(self.plan.older.seed, self.plan.older.index, number)
        return lambda purpose: draws(f"{_PURPOSE} {purpose}")

    def _write_truth(self, looked: Looked, ids: Ids) -> None:
        nothing = Beside({}, {}, np.zeros(len(ids.old), dtype=bool))
        table = truth_table(looked.star, looked.seen, looked.labelled, looked.made, nothing)
        table = table.append_column("dr3_source_id", pa.array(ids.old))
        fate = pa.array(ids.fate.tolist(), type=pa.string())
        table = table.append_column("fate", fate).filter(pa.array(ids.stays))
        if self.truth is None:
            path = truth_path(self.out, self.range)
            writer = pq.ParquetWriter(path, marked(table.schema))
            self.truth = self.stack.enter_context(writer)
        self.truth.write_table(table.cast(marked(table.schema)))
