"""The table of those that taught, written when a catalogue is sealed: in FITS and in Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.exports import Target
from catalog_builder.catalog.exports import _fits_by_chunks as fits_file
from catalog_builder.catalog.side_record import SideFacts
from catalog_builder.contract.side_table import SideTable
from catalog_builder.publish.chunk import Building
from catalog_builder.publish.facts import ChunkFacts

#: Rows written at once, and those of a group in Parquet.
_ROWS: Final = 1 << 17
FILES: Final = {"fits": ".fits", "parquet": ".parquet"}

FactsOf = Callable[[int], ChunkFacts]


@dataclass
class TaughtSum:
    """Counts who taught as the facts of chunks are read, and writes them all.

    Attributes
    ----------
    building : Building
        The catalogue.
    table : SideTable
        The declaration.
    """

    building: Building
    table: SideTable

    def __post_init__(self) -> None:
        self._rows: dict[int, int] = {}

    def heard(self, facts_of: FactsOf) -> FactsOf:
        """Return what reads facts, and counts those of each chunk that taught."""

        def read(index: int) -> ChunkFacts:
            facts = facts_of(index)
            self._rows[index] = len(facts.taught.get("source_id", ()))
            return facts

        return read

    def finish(self, facts_of: FactsOf) -> dict[str, Any]:
        """Write the files, if anybody taught; return what RELEASE.json says of them, by name."""
        import pyarrow.parquet as pq

        from catalog_builder.catalog.voparquet import parquet_schema, table_of

        folder, record = self.building.folder, self.building.record
        files = {kind: f"{self.table.name}{ending}" for kind, ending in FILES.items()}
        for file in files.values():
            (folder / file).unlink(missing_ok=True)  # of an attempt that was interrupted
        rows = sum(self._rows.values())
        if rows == 0:
            return {}
        target = Target(folder / files["fits"], self.table, record, rows)
        fits_file.begin(target)
        start, written = 0, []
        schema = parquet_schema(self.table, record)
        with pq.ParquetWriter(
            folder / files["parquet"], schema, compression="zstd", store_schema=False
        ) as parquet:
            parquet.add_key_value_metadata(schema.metadata)
            for block in self._blocks(facts_of):
                written.append(fits_file.write(target, start, block))
                parquet.write_table(table_of(block, self.table, record))
                start += len(block["source_id"])
        fits_file.end(target, written)
        facts = SideFacts(declared=self.table, rows=rows, files=files, by_rows=False)
        return {self.table.name: facts.model_dump(by_alias=True)}

    def _blocks(self, facts_of: FactsOf) -> Iterator[dict[str, NDArray[Any]]]:
        held: list[Any] = []
        count = 0
        for index in sorted(index for index, rows in self._rows.items() if rows):
            held.append(facts_of(index).taught)
            count += self._rows[index]
            if count >= _ROWS:
                yield self._joined(held)
                held, count = [], 0
        if held:
            yield self._joined(held)

    def _joined(self, held: list[Any]) -> dict[str, NDArray[Any]]:
        return {name: np.concatenate([one[name] for one in held]) for name in self.table.names}
