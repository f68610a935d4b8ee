"""What is compared: a table of stars in order of their ids, read a chunk at a time.

A catalogue is one (:class:`CatalogueSide`). Whatever else shall be compared needs the few methods
of :class:`Side`; the engine asks for nothing more.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.layout import STORE_NAME, find_catalogue
from catalog_builder.catalog.open import schema_of
from catalog_builder.catalog.release_json import ReleaseRecord, read_release
from catalog_builder.catalog.zarr_store import open_columns
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogueError

Block = dict[str, NDArray[Any]]
Ids = NDArray[np.int64]

SOURCE_ID: Final = "source_id"
TIER: Final = "quality_tier"


class Side(Protocol):
    """A table of stars, one row each, in ascending order of their ids.

    Attributes
    ----------
    title : str
        What it is called in sentences.
    schema : CatalogSchema
        Its labels, bits, tiers and inputs.
    columns : frozenset of str
        Those that it really has.
    """

    @property
    def title(self) -> str:
        """What it is called in sentences."""
        ...

    @property
    def schema(self) -> CatalogSchema:
        """Its labels, bits, tiers and inputs."""
        ...

    @property
    def columns(self) -> frozenset[str]:
        """Those that it really has."""
        ...

    @property
    def starts(self) -> NDArray[np.int64]:
        """First row of each chunk, and the number of rows behind them, shape (chunks + 1,)."""
        ...

    @property
    def first_ids(self) -> Ids:
        """First id of each chunk, shape (chunks,)."""
        ...

    def read(self, chunk: int, names: Sequence[str]) -> Block:
        """Return these columns of a chunk."""
        ...


@dataclass(frozen=True)
class CatalogueSide:
    """A catalogue's zarr store.

    Attributes
    ----------
    store : Path
        ``catalog.zarr``.
    said_schema : CatalogSchema
        That it was made with.
    facts : mapping
        Of ``RELEASE.json``, as far as they are known: ``release``, ``version``, ``accounting``,
        ``columns`` (digests), ``seal``. Empty for a store alone.
    """

    store: Path
    said_schema: CatalogSchema
    facts: Mapping[str, Any]

    @property
    def schema(self) -> CatalogSchema:
        """That it was made with."""
        return self.said_schema

    @property
    def title(self) -> str:
        """Release and version, or the path of a store alone."""
        known = [str(self.facts[key]) for key in ("release", "version") if self.facts.get(key)]
        return " ".join(known) or str(self.store)

    @functools.cached_property
    def columns(self) -> frozenset[str]:
        """Declared columns that the store has."""
        there = {path.parent.name for path in self.store.glob("*/zarr.json")}
        return frozenset(there & {*self.said_schema.names})

    @functools.cached_property
    def starts(self) -> NDArray[np.int64]:
        """First row of each chunk, and the number of rows behind them."""
        ids = self._arrays[SOURCE_ID]
        rows = int(ids.shape[0])
        return np.append(np.arange(0, rows, ids.chunks[0], dtype=np.int64), rows)

    @functools.cached_property
    def first_ids(self) -> Ids:
        """First id of each chunk.

        Raises
        ------
        CatalogueError
            If the ids do not ascend: rows could be missed in silence.
        """
        first: list[int] = []
        last = None
        for chunk in range(len(self.starts) - 1):
            ids = self.read(chunk, [SOURCE_ID])[SOURCE_ID]
            if (last is not None and ids[0] <= last) or np.any(np.diff(ids) <= 0):
                raise CatalogueError(
                    f"{self.store}: the ids of chunk {chunk} are not in ascending order.",
                    "See `catalog-builder validate`.",
                )
            first.append(int(ids[0]))
            last = ids[-1]
        return np.array(first, dtype=np.int64)

    def read(self, chunk: int, names: Sequence[str]) -> Block:
        """Return these columns of a chunk."""
        rows = slice(int(self.starts[chunk]), int(self.starts[chunk + 1]))
        return {name: np.asarray(self._arrays[name][rows]) for name in names}

    @functools.cached_property
    def _arrays(self) -> dict[str, Any]:
        return open_columns(self.store, sorted(self.columns | {SOURCE_ID}))


def open_side(path: str | Path) -> CatalogueSide:
    """Open a sealed catalogue for a comparison; whatever `open_catalog` takes but a store alone.

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue.
    """
    folder = find_catalogue(path)
    record: ReleaseRecord = read_release(folder)
    return CatalogueSide(folder / STORE_NAME, schema_of(folder), record.model_dump(mode="json"))


def rows_of(side: Side) -> int:
    """Return the number of stars of a side."""
    return int(side.starts[-1])
