"""A table of a later archive as a frame, from either layout."""

from __future__ import annotations

import polars as pl

from catalog_builder.simulate.twin.columns import FOLDERS, TABLES

TYPES = {
    "int8": pl.Int8,
    "int16": pl.Int16,
    "int64": pl.Int64,
    "float32": pl.Float32,
    "float64": pl.Float64,
    "bool": pl.String,
    "string": pl.String,
}


def _text(path, table):
    """Return the rows of a text file; arrays stay text."""
    kinds = {c.name: pl.String if c.array else TYPES[c.dtype] for c in TABLES[table]}
    frame = pl.read_csv(path, comment_prefix="#", null_values="null", schema_overrides=kinds)
    flags = [c.name for c in TABLES[table] if c.dtype == "bool" and c.name in frame.columns]
    return frame.with_columns(pl.col(name) == "True" for name in flags)


def read(archive, table):
    """Return all rows of a table, in the order of ids."""
    folder = archive / FOLDERS[table]
    files = sorted(folder.rglob("*.parquet"))
    frames = [pl.read_parquet(file, hive_partitioning=False) for file in files]
    frames += [_text(file, table) for file in sorted(folder.glob("*.csv.gz"))]
    return pl.concat(frames).sort("source_id", maintain_order=True)


def truth(archive, what="truth"):
    """Return the truth of all ranges, or their ids."""
    return pl.concat([pl.read_parquet(file) for file in sorted(archive.glob(f"truth/{what}_*"))])
