"""What is asked for: a catalogue, columns, a condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from catalog_builder.catalog.credit import citation, credit_of
from catalog_builder.catalog.credit_record import Credit
from catalog_builder.catalog.layout import STORE_NAME, find_catalogue
from catalog_builder.catalog.origins import record_in_words, unverified_in_words
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.selected import read_selected, schema_stored, schema_with
from catalog_builder.catalog.where import Where, parse_where
from catalog_builder.catalog.zarr_store import row_count
from catalog_builder.contract.schema import CatalogSchema

#: ``progress(rows looked at, rows in all)``, as often as there is news.
Progress = Callable[[int, int], None]
Rows = Mapping[str, NDArray[Any]]


def silent(seen: int, rows: int) -> None:
    """Say nothing of how far it is."""
    del seen, rows


@dataclass(frozen=True)
class Request:
    """Columns of the rows of a sealed catalogue that meet a condition.

    Attributes
    ----------
    folder : Path
        Of the catalogue.
    whole, schema : CatalogSchema
        Its schema, and that with only the columns asked for, in the order asked for.
    where : Where, optional
        The condition.
    record : mapping
        RELEASE.json.
    credit : Credit
        Whom users cite.
    rows : int
        Of the catalogue.
    progress : callable
        Told how far it is.
    """

    folder: Path
    whole: CatalogSchema
    schema: CatalogSchema
    where: Where | None
    record: Mapping[str, Any]
    credit: Credit
    rows: int
    progress: Progress = silent

    @classmethod
    def of(
        cls,
        catalogue: str | Path,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        progress: Progress = silent,
    ) -> Request:
        """Return a request, of which every part is known to exist.

        Raises
        ------
        CatalogueError
            If there is no sealed catalogue, or it has no such column.
        ConfigError
            If the condition is none.
        """
        folder = find_catalogue(catalogue)
        whole = schema_stored(folder)
        return cls(
            folder,
            whole,
            schema_with(whole, columns),
            None if where is None else parse_where(where, whole),
            read_release(folder).model_dump(mode="json"),
            credit_of(folder),
            row_count(folder / STORE_NAME),
            progress,
        )

    def blocks(self) -> Iterator[Rows]:
        """Yield the rows, a chunk of the store at a time; a chunk may have none."""
        names = [column.name for column in self.schema.all_columns]
        store = self.folder / STORE_NAME
        for seen, _, rows in read_selected(store, self.whole, names, self.where):
            yield rows
            self.progress(seen, self.rows)

    def facts(self) -> dict[str, str]:
        """Return what every format says of the catalogue, as far as it has a place for it."""
        record = self.record
        facts = {
            "title": f"{record['catalogue']}, version {record['version']}",
            "release": str(record["release"]),
            "version": str(record["version"]),
            "schema_version": self.whole.version,
            "model": str(record["model_digest"]),
            "software": f"catalog-builder {record['software'].get('catalog-builder', '')}",
            "citation": citation(self.credit, record),
            "license": self.credit.license or "",
            "simulated": record_in_words(record),
            "unverified": unverified_in_words(record),
            "where": "" if self.where is None else self.where.text,
        }
        return {name: words for name, words in facts.items() if words}


def count(rows: Rows) -> int:
    """Return how many rows a block has."""
    return len(next(iter(rows.values())))
