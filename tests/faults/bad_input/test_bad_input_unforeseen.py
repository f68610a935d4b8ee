"""What nobody foresaw of one file ends no run, and no lost file makes simulated stars real."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from catalog_builder.archive.readers.text import reader as text
from catalog_builder.features import stage as ingesting
from catalog_builder.ground.errors import InputError

GAIA, RVS = "gaia_source", "rvs_mean_spectrum"


def flipped_footers(content, error):
    """Yield copies with one flipped bit in the footer, for which Arrow raises an error."""
    rng, size = np.random.default_rng(1), int.from_bytes(content[-8:-4], "little")
    begin = len(content) - 8 - size
    for bit in rng.integers(8 * begin, 8 * (begin + size), 20_000).tolist():
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            pq.read_metadata(io.BytesIO(changed))
        except error:
            yield bytes(changed)
        except (OSError, ValueError):  # another one, or any that is caught by everybody
            continue


def as_parquet(bench, table, tmp_path):
    path = tmp_path / f"{table}.parquet"
    Table.read(bench.archive.path(table), format="ascii.ecsv", fill_values=("null", "0")).write(
        path, format="parquet"
    )
    return path.read_bytes()


def test_a_flipped_bit_in_a_parquet_footer(bench, tmp_path):
    whole = as_parquet(bench, GAIA, tmp_path)
    damaged = next(flipped_footers(whole, UnicodeDecodeError))
    bench.archive.write(GAIA, damaged)
    books = bench.ingest()
    assert {name: said["reason"] for name, said in books.files.items()} == {
        bench.archive.path(GAIA).name: "unreadable_file"
    }
    assert books.receipt["notes"]["simulated"]  # the other tables say so


def test_a_reader_that_fails_costs_its_file_alone(bench, monkeypatch):
    real = text.TextReader.blocks

    def broken(self):
        if bench.archive.first in self.url and RVS in self.url:
            raise IndexError("index 7 is out of bounds")
        yield from real(self)

    monkeypatch.setattr(text.TextReader, "blocks", broken)
    books = bench.ingest()
    said = books.files[bench.archive.path(RVS).name]
    assert said["reason"] == "unreadable_file"
    assert "cannot be read: IndexError in " in said["detail"]
    assert str(bench.archive.root) not in said["detail"]
    assert books.has["rvs"] == 0 < bench.clean_books.has["rvs"]
    assert books.has["xp"] == bench.clean_books.has["xp"]
    assert books.rows_in == bench.clean_books.rows_in  # the source table says who is lost


def test_a_file_that_is_lost_before_its_mark_was_seen(bench, monkeypatch):
    real = ingesting.ingest_partition

    def then_lost(partition, *arguments):
        result = real(partition, *arguments)
        bench.archive.path(GAIA).unlink()
        return result

    monkeypatch.setattr(ingesting, "ingest_partition", then_lost)
    with pytest.raises(InputError, match="is simulated cannot be told"):
        bench.ingest()
