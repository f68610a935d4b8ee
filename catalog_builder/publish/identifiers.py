"""The table beside a catalogue that says which words its 64-bit keys stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from catalog_builder.archive.identifiers import NamesOfKeys
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.catalog.layout import IDENTIFIERS_NAME
from catalog_builder.features.names import unpacked
from catalog_builder.features.store import FeatureStore
from catalog_builder.inference.rows import read_source_ids
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import Receipt

#: How a key follows from its word, said in the file.
RULE: Final = (
    "1 + BLAKE2b-64 of the word's bytes (UTF-8, without blanks at the ends; digest of 8 bytes,"
    " little-endian) modulo 12 * 2**59 - 1"
)


@dataclass(frozen=True)
class IdentifierPlan:
    """Whose words are published.

    Attributes
    ----------
    columns : mapping of str to str
        By the column of a key, what the archive calls the words.
    stores : sequence of (str, str)
        Features and catalogue rows of each partition, relative to the workdir.
    needs : sequence of Need
        What these come from.
    """

    columns: Mapping[str, str]
    stores: Sequence[tuple[str, str]]
    needs: Sequence[Need]


def plan_identifiers(
    release: ReleaseSpec, features: Sequence[Receipt], predictions: Sequence[Receipt]
) -> IdentifierPlan | None:
    """Return what is to be published; None of a release whose identifiers are numbers.

    Parameters
    ----------
    release : ReleaseSpec
        Says which identifiers are words, and what they are called.
    features, predictions : sequence of Receipt
        Of the partitions, in one order.
    """
    if not release.spelt:
        return None
    table = release.tables[release.source_table]
    columns = {}
    for name in release.spelt:
        native = table.native_names(name)[0].lower()
        columns[name] = f"{native}_text" if native in {"source_id", "star_id"} else native
    stores = [
        (feature.output, prediction.output)
        for feature, prediction in zip(features, predictions, strict=True)
    ]
    needs = [Need(one.stage, one.task) for one in (*features, *predictions)]
    return IdentifierPlan(columns, stores, needs)


def write_identifiers(plan: IdentifierPlan, root: Path, folder: Path) -> None:
    """Write the table: a row for each of the catalogue's, in the same order.

    Parameters
    ----------
    plan : IdentifierPlan
        What to write.
    root : Path
        Of the workdir.
    folder : Path
        Of the catalogue.

    Raises
    ------
    InputError
        If two words have the same key.
    """
    known = {name: NamesOfKeys(f"The identifiers ({name})") for name in plan.columns}
    fields = []
    for name, native in plan.columns.items():
        fields.append(pa.field(name, pa.int64(), nullable=False))
        fields.append(pa.field(native, pa.string(), nullable=False))
    schema = pa.schema(fields, {"key": RULE})
    with pq.ParquetWriter(folder / IDENTIFIERS_NAME, schema, compression="zstd") as file:
        for words in _words(plan, root):
            arrays = []
            for name in plan.columns:
                keys, texts = words[name]
                known[name].add(keys, texts)
                plain = [text.decode(errors="replace") for text in texts.tolist()]
                arrays += [pa.array(keys), pa.array(plain, pa.string())]
            file.write_table(pa.Table.from_arrays(arrays, schema=schema))
    for names in known.values():  # those of partitions, whose keys may be the same
        names.refuse_one_key_for_two()


def _words(
    plan: IdentifierPlan, root: Path
) -> Iterator[dict[str, tuple[NDArray[np.int64], NDArray[np.bytes_]]]]:
    """Yield keys and words of each partition's rows of the catalogue."""
    for features, predictions in plan.stores:
        store = FeatureStore(root / features)
        published = np.isin(store.column("source_id"), read_source_ids(root / predictions))
        columns: dict[str, Any] = {name: store.column(name) for name in store.names}
        yield {
            name: (columns[name][published], unpacked(name, columns)[published])
            for name in plan.columns
        }
