"""Ingest beside the physical limit, inflating the same files with isal, and beside astropy.

The whole of it counts: inflating, parsing, bringing to the model's grid, masking, the digest of
what was made, and the zarr store. Comparing the archive's checksums is measured apart: MD5 alone
takes more than half as long as inflating. Parsing alone stands beside polars and pyarrow too, which
make the same values.
"""

from __future__ import annotations

import gzip
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.table import Table
from isal import igzip
from pyarrow import csv

from catalog_builder.archive.layout import Partition, list_partitions
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.archive.tables import TableName
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.settings import IngestSettings
from tests.benchmarks.measure import Bench, Run

#: astropy is given this many rows: it needs half a millisecond for each.
ASTROPY_ROWS = 200


@pytest.fixture(scope="module")
def release() -> ReleaseSpec:
    return load_release("dr3")


@pytest.fixture(scope="module")
def partition(sky: Path, release: ReleaseSpec) -> Partition:
    (partition,) = list_partitions(str(sky), release)
    return partition


def inflate(*urls: str) -> None:
    for url in urls:
        with igzip.open(url, "rb") as text:
            while text.read(1 << 20):
                pass


def count(partition: Partition, table: TableName, release: ReleaseSpec) -> int:
    """Read a table as the ingest does, which goes through the text once."""
    blocks = read_blocks(partition.files[table][0], table, release, check_first=False)
    return sum(block.n_rows for block in blocks)


def ingest(
    partition: Partition, tables: list[TableName], release: ReleaseSpec, out: Path, **settings: Any
) -> float:
    part = replace(partition, files={table: partition.files[table] for table in tables})
    begin = time.process_time()
    ingest_partition(part, release, IngestSettings(**settings), out)
    seconds = time.process_time() - begin
    shutil.rmtree(out)
    return seconds


def with_astropy(file: Path) -> list[Any]:
    """Read a table as its users do today; astropy parses the lists in Python, row by row."""
    # Without the fill value it fails on the archive's nulls (astropy issue 13331).
    table = Table.read(file, format="ascii.ecsv", fill_values=[("null", "0")])
    lists = [table[name] for name in table.colnames if table[name].dtype.kind == "O"]
    # A null is no list: a source may lack a band.
    return [[np.asarray(cell, float) for cell in column if np.ndim(cell)] for column in lists]


def with_polars(file: str) -> dict[str, Any]:
    """Read a table with polars, which has no word for a list in a cell: it is cut at its commas."""
    table = pl.read_csv(file, comment_prefix="#", null_values=["null"])
    lists = [n for n, kind in table.schema.items() if kind == pl.String and _is_list(table[n])]
    numbers = (
        pl.col(n).str.strip_chars("[]()").str.split(",").cast(pl.List(pl.Float64)) for n in lists
    )
    made = table.with_columns(*numbers)
    return {name: made[name].to_arrow() for name in made.columns}


def with_pyarrow(file: str) -> dict[str, Any]:
    """Read a table with pyarrow; it has no comments, so the lines of the header are counted."""
    with igzip.open(file, "rt") as text:
        header = next(n for n, line in enumerate(text) if not line.startswith("#"))
    table = csv.read_csv(
        file,
        read_options=csv.ReadOptions(skip_rows=header, use_threads=False),
        convert_options=csv.ConvertOptions(null_values=["null"], strings_can_be_null=True),
    )
    columns = {name: table[name] for name in table.column_names}
    for name, values in columns.items():
        if pa.types.is_string(values.type) and _is_list(values.drop_null().to_pylist()):
            cells = pc.split_pattern(pc.utf8_trim(values, "[]()"), ",").combine_chunks()
            numbers = pc.cast(cells.flatten(), pa.float64())
            columns[name] = pa.ListArray.from_arrays(cells.offsets, numbers)
    return columns


def _is_list(cells: Any) -> bool:
    return str(cells[0]).startswith(("[", "("))


def refuse_other_values(partition: Partition, table: TableName, release: ReleaseSpec) -> None:
    """Compare what the other readers make of a table's first list with what ours does."""
    file = partition.files[table][0]
    ours = [block.columns for block in read_blocks(file, table, release)]
    name = "flux" if "flux" in ours[0] else "bp_coefficients"
    ids = np.concatenate([block["source_id"] for block in ours])
    values = np.concatenate([block[name] for block in ours])
    for read in (with_polars, with_pyarrow):
        columns = read(file.url)
        theirs = dict(zip(*(columns[n].to_pylist() for n in ("source_id", name)), strict=True))
        for source_id, row in zip(ids.tolist(), values, strict=True):
            cells = theirs[source_id] or [np.nan] * len(row)  # a null is no list
            np.testing.assert_array_equal(np.array(cells, dtype=row.dtype), row)


def excerpt(source: Path, rows: int, out: Path) -> Path:
    """Copy the header and the first rows of a table, packed as the archive does."""
    with igzip.open(source, "rt") as text, gzip.open(out, "wt", compresslevel=6) as file:
        left = rows + 1
        for line in text:
            file.write(line)
            left -= not line.startswith("#")
            if left == 0:
                return out
    return out


@pytest.mark.parametrize(
    ("name", "table", "least"),
    [
        ("rvs", "rvs_mean_spectrum", 0.5),
        ("xp-continuous", "xp_continuous_mean_spectrum", 0.5),
        ("xp-sampled", "xp_sampled_mean_spectrum", None),
    ],
)
def test_ingest(
    name: str,
    table: TableName,
    least: float | None,
    bench: Bench,
    partition: Partition,
    release: ReleaseSpec,
    tmp_path: Path,
) -> None:
    stars = count(partition, table, release)
    few = excerpt(Path(partition.files[table][0].url), ASTROPY_ROWS, tmp_path / "few.ecsv.gz")
    tables: list[TableName] = [table, "gaia_source"]

    def whole(*, verify: bool) -> Callable[[], float]:
        return lambda: ingest(
            partition, tables, release, tmp_path / "out.zarr", verify_checksums=verify
        )

    urls = [partition.files[name][0].url for name in tables]
    refuse_other_values(partition, table, release)
    isal = Run("isal", lambda: inflate(*urls), stars)
    ours = Run("read_blocks", lambda: count(partition, table, release), stars)
    bench.compare(
        f"parse-{name}",
        "inflate and parse",
        ours,
        [
            Run("isal", lambda: inflate(urls[0]), stars),
            Run("polars", lambda: with_polars(urls[0]), stars),
            Run("pyarrow", lambda: with_pyarrow(urls[0]), stars),
        ],
        unit="stars/s",
    )
    bench.compare(
        f"ingest-{name}",
        "inflate, parse, resample, mask, write",
        Run("ingest", whole(verify=False), stars),
        [
            replace(isal, at_least=least),
            Run("astropy", lambda: with_astropy(few), ASTROPY_ROWS, at_least=20.0),
            Run("with MD5", whole(verify=True), stars),
        ],
        unit="stars/s",
    )


def test_join(bench: Bench, partition: Partition, release: ReleaseSpec, tmp_path: Path) -> None:
    """All tables of a partition at once, joined by source id."""
    tables: list[TableName] = [
        "rvs_mean_spectrum",
        "xp_continuous_mean_spectrum",
        "xp_sampled_mean_spectrum",
        "gaia_source",
    ]
    stars = count(partition, "xp_continuous_mean_spectrum", release)
    bench.compare(
        "ingest-join",
        "RVS, XP continuous, XP sampled and gaia_source of one partition",
        Run(
            "ingest",
            lambda: ingest(
                partition, tables, release, tmp_path / "out.zarr", verify_checksums=False
            ),
            stars,
        ),
        [Run("isal", lambda: inflate(*(partition.files[table][0].url for table in tables)), stars)],
        unit="stars/s",
    )
