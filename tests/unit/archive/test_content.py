"""What a file is, is told by its content; its name is no promise."""

import bz2
import gzip
import io
import lzma

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import DamagedFileError, read_blocks
from catalog_builder.archive.readers.content import look_at
from catalog_builder.archive.rejects import RejectReason

RVS = "rvs_mean_spectrum"
IDS = np.arange(1, 25)
FLUX = np.arange(96, dtype=np.float32).reshape(24, 4)
NAMES = ("x.csv", "x.csv.gz", "x.ecsv.gz", "x.fits", "x.parquet")


def _csv():
    lines = (f'{i},"{row.tolist()}","{row.tolist()}"\n' for i, row in zip(IDS, FLUX, strict=True))
    return ("source_id,flux,flux_error\n" + "".join(lines)).encode()


def _fits():
    columns = [fits.Column("source_id", "K", array=IDS)]
    columns += [fits.Column(name, "4E", array=FLUX) for name in ("flux", "flux_error")]
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(buffer)
    return buffer.getvalue()


def _parquet():
    lists = pa.array(FLUX.tolist(), pa.list_(pa.float32()))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"source_id": IDS, "flux": lists, "flux_error": lists}), buffer)
    return buffer.getvalue()


def _packed(content):
    # Without the time of day, by which two processes would call a test by two names.
    return gzip.compress(content, mtime=0)


CSV, FITS, PARQUET = _csv(), _fits(), _parquet()
ECSV = (
    b"# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n# - {name: source_id, datatype: int64}\n"
    b"# - {name: flux, datatype: string}\n# - {name: flux_error, datatype: string}\n" + CSV
)
HTML = (
    b"\n<!DOCTYPE html>\n<html><head><title> 503 Service\x1b[31m Unavailable</title></head></html>"
)


def read(path, release, content):
    path.write_bytes(content)
    return list(read_blocks(FileRef(str(path), len(content)), RVS, release))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "content",
    [CSV, ECSV, FITS, PARQUET, _packed(CSV), _packed(ECSV), _packed(FITS)],
    ids=["csv", "ecsv", "fits", "parquet", "csv.gz", "ecsv.gz", "fits.gz"],
)
def test_every_format_under_every_name(tiny, tmp_path, name, content):
    blocks = read(tmp_path / name, tiny, content)
    assert np.concatenate([block.columns["source_id"] for block in blocks]).tolist() == [*IDS]
    np.testing.assert_array_equal(np.concatenate([b.columns["flux"] for b in blocks]), FLUX)
    assert not any(block.rejects for block in blocks)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bz2.compress(CSV), "is data compressed with bzip2"),
        (lzma.compress(CSV), "is data compressed with xz"),
        (lzma.compress(CSV, lzma.FORMAT_ALONE), "is data compressed with lzma"),
        (b"\x28\xb5\x2f\xfd" + CSV, "is data compressed with zstd"),
        (b"PK\x03\x04" + CSV, "is a zip archive"),
        (bytes(257) + b"ustar\x0000" + CSV, "is a tar archive"),
        (_packed(_packed(CSV)), "holds gzip within gzip"),
        (_packed(PARQUET), "is Parquet within gzip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file"),
        (CSV.decode().encode("utf-16"), "is text in UTF-16"),
        (HTML, r'is an HTML page \("503 Service\[31m Unavailable"\)'),
        (_packed(HTML), "holds an HTML page .* within gzip"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", 'XML .*"AccessDenied"'),
        (b"<?xml version='1.0'?>\n<VOTABLE version='1.4'>", "is a VOTable"),
        (b'{"error": 404, "detail": "gone"}', "is a JSON document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "pointer of Git LFS"),
        (bytes(range(256)) * 20, "is of no known format"),
        (bytes(5000), "is of no known format"),
        (_packed(bytes(5000)), "is of no known format"),
        (b"", "is empty"),
    ],
)
def test_what_is_read_nowhere_is_called_by_what_it_is(tiny, tmp_path, name, content, said):
    with pytest.raises(DamagedFileError, match=said) as caught:
        read(tmp_path / name, tiny, content)
    assert str(tmp_path / name) in caught.value.problem
    assert caught.value.problem.isprintable()
    assert caught.value.way_out


@pytest.mark.parametrize("name", ["x.fits", "x.parquet", "x.csv.gz"])
def test_words_are_no_table_where_the_name_promises_another_format(tiny, tmp_path, name):
    with pytest.raises(DamagedFileError, match="no known format: it begins with 'Not found"):
        read(tmp_path / name, tiny, b"Not found. Ask the archive.\n")


def test_a_header_may_look_like_the_beginning_of_another_format(tiny, tmp_path):
    for extra in ("PAR1", "ORC", "BZh", "PARE", "ARROW1"):
        lines = CSV.decode().splitlines()
        text = "\n".join([f"{extra},{lines[0]}", *(f"7,{line}" for line in lines[1:])])
        (block,) = read(tmp_path / "x.csv", tiny, text.encode())
        assert block.n_rows == 24


def _written(path, content):
    path.write_bytes(content)
    return FileRef(str(path), len(content))


def test_a_gzip_stream_that_cannot_be_unpacked_is_left_to_its_reader(tiny, tmp_path):
    file = _written(tmp_path / "x.fits", b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 100)
    assert look_at(file.url).gzipped
    with pytest.raises(DamagedFileError, match="gzip") as caught:
        list(read_blocks(file, RVS, tiny))
    assert caught.value.reason is RejectReason.UNREADABLE_FILE
