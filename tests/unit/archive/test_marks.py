"""A simulated table is known by its header in every format, an archive by a file in its root."""

import contextlib
import gzip
import http.server
import os
import re
import threading
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.marks import KEYWORD, MARK_FILE, is_marked, is_marked_archive
from catalog_builder.archive.readers import read_blocks
from catalog_builder.ground.errors import InputError
from catalog_builder.simulate.writing.ecsv import Column, TableWriter


def marked(path):
    return is_marked(FileRef(str(path), 0))


@pytest.fixture
def simulated(tmp_path):
    """Return a small table as the simulator writes it."""
    path = tmp_path / "simulated.csv.gz"
    with TableWriter(path, [Column("source_id", "int64"), Column("ra", "float64", "deg")]) as out:
        out.write({"source_id": np.array([1, 2]), "ra": np.array([0.5, 1.5])})
    return path


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("csv.gz", None),
        ("ecsv", {"format": "ascii.ecsv", "delimiter": ","}),
        ("fits", {"format": "fits"}),
        ("fits.gz", {"format": "fits"}),
        ("parquet", {"format": "parquet"}),
    ],
)
def test_the_mark_outlives_a_conversion_by_astropy(simulated, tmp_path, ending, options):
    path = tmp_path / f"copy.{ending}"
    if options is None:
        path.write_bytes(simulated.read_bytes())
    else:
        Table.read(simulated, format="ascii.ecsv").write(path, **options)
    assert marked(path)


def test_a_name_says_nothing_of_the_content(simulated, tmp_path):
    (tmp_path / "odd.fits").write_bytes(simulated.read_bytes())
    (tmp_path / "odd.csv").write_bytes(gzip.decompress(simulated.read_bytes()))
    assert marked(tmp_path / "odd.fits")
    assert marked(tmp_path / "odd.csv")


def test_a_card_in_the_primary_header_is_enough(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header[KEYWORD] = True
    table = fits.BinTableHDU(np.zeros(3, dtype=[("source_id", "i8")]))
    fits.HDUList([primary, table]).writeto(tmp_path / "t.fits")
    assert marked(tmp_path / "t.fits")


def test_a_key_of_parquet_is_enough(tmp_path):
    table = pa.table({"a": [1]}).replace_schema_metadata({KEYWORD: "true"})
    pq.write_table(table, tmp_path / "t.parquet")
    assert marked(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "text",
    [
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\na\n1\n",
        # Said of a column, refused by a value, and in a row: none of them is the mark.
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: SIMULATD, datatype: int64}\nSIMULATD\n1\n",
        "# %ECSV 1.0\n# ---\n# meta: {SIMULATD: false}\na\n1\n",
        "a\n# SIMULATD: true\n",
        "",
    ],
)
def test_other_tables_are_not_marked(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert not marked(tmp_path / "t.csv")
    assert not marked(tmp_path / "t.csv.gz")


def test_a_card_that_says_no_is_no_mark(tmp_path):
    table = fits.BinTableHDU(np.zeros(3, dtype=[("a", "i8")]))
    table.header[KEYWORD] = False
    table.writeto(tmp_path / "t.fits")
    assert not marked(tmp_path / "t.fits")


@pytest.mark.parametrize(
    "content", [b"\x1f\x8bnonsense", b"PAR1nonsense", b"SIMPLE  =", b"\0" * 99]
)
def test_what_cannot_be_read_says_nothing(tmp_path, content):
    (tmp_path / "t").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not marked(tmp_path / "t")
    assert not marked(tmp_path / "absent")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert not marked(tmp_path / "pipe")


@pytest.mark.parametrize("name", [MARK_FILE, "truth/about.json"])
def test_a_file_in_the_root_marks_an_archive(tmp_path, name):
    assert not is_marked_archive(str(tmp_path))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    assert is_marked_archive(str(tmp_path))
    assert is_marked_archive(f"file://{tmp_path}/")


# --- one sniffing ---------------------------------------------------------------------------------

HEADER = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\n"
MARKED = f"{HEADER}# meta: {{{KEYWORD}: true}}\na\n1\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + MARKED.encode(),  # an editor's mark of UTF-8, which the reader skips
        b" \n\n" + MARKED.encode(),  # and so it does lines of nothing
        MARKED.replace("\n", "\r\n").encode(),
        MARKED.replace("\na\n1", "\nPAR1,a\n1,2").encode(),
    ],
    ids=["BOM", "empty lines", "CRLF", "PAR1"],
)
def test_a_header_is_where_the_reader_finds_it(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    assert marked(tmp_path / "t.csv")
    at = len(content) // 2
    # As bgzip writes it: every 64 kB a member of its own.
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(content[:at]) + gzip.compress(content[at:]))
    assert marked(tmp_path / "t.csv.gz")


def test_a_column_called_par1_is_text_for_all(tiny, tmp_path):
    path = tmp_path / "Rvs.csv"
    path.write_text('PAR1,source_id,flux,flux_error\n1,1,"[1,2,3,4]","[1,2,3,4]"\n')
    file = FileRef(str(path), 0)
    assert sum(block.n_rows for block in read_blocks(file, "rvs_mean_spectrum", tiny)) == 1
    assert not is_marked(file, was_read=True)


def spoilt(rng, content, begin):
    """Flip one to three bits from a place on."""
    changed = bytearray(content)
    for bit in rng.integers(8 * begin, 8 * len(content), int(rng.integers(1, 4))).tolist():
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize(("ending", "cases"), [("parquet", 1500), ("fits", 200), ("csv.gz", 200)])
def test_who_can_read_a_table_can_see_its_mark(tiny, tmp_path, ending, cases):
    """A flipped bit of a header ends no run, neither in the reader nor when the mark is sought."""
    path, rng = tmp_path / f"t.{ending}", np.random.default_rng(5)
    flux = np.arange(12, dtype=np.float32).reshape(3, 4)
    if ending == "parquet":
        lists = pa.array(flux.tolist(), pa.list_(pa.float32()))
        table = pa.table({"source_id": [1, 2, 3], "flux": lists, "flux_error": lists})
        pq.write_table(table.replace_schema_metadata({KEYWORD: "true"}), path)
        begin = path.stat().st_size - 8 - int.from_bytes(path.read_bytes()[-8:-4], "little")
    elif ending == "fits":
        columns = [fits.Column("source_id", "K", array=[1, 2, 3])]
        columns += [fits.Column(name, "4E", array=flux) for name in ("flux", "flux_error")]
        table = fits.BinTableHDU.from_columns(columns)
        table.header[KEYWORD] = True
        table.writeto(path)
        begin = 0
    else:
        rows = '1,"[1,2,3,4]","[1,2,3,4]"\n' * 3
        path.write_bytes(gzip.compress(f"source_id,flux,flux_error\n{rows}".encode(), mtime=0))
        begin = 0
    whole, file, n_read = path.read_bytes(), FileRef(str(path), 0), 0
    for _ in range(cases):
        path.write_bytes(spoilt(rng, whole, begin))
        is_marked(file, was_read=False)
        rows = 0
        with contextlib.suppress(InputError):
            for block in read_blocks(file, "rvs_mean_spectrum", tiny):
                rows += block.n_read
        if rows:
            is_marked(file, was_read=True)
        n_read += bool(rows)
    assert 0 < n_read < cases


def test_rows_of_a_file_that_is_gone_are_not_real(simulated):
    file = FileRef(str(simulated), 0)
    assert is_marked(file, was_read=True)
    simulated.unlink()
    assert not is_marked(file, was_read=False)
    with pytest.raises(InputError, match=r"simulated\.csv\.gz is simulated cannot be told"):
        is_marked(file, was_read=True)


@pytest.mark.parametrize(("status", "found"), [(200, True), (403, False), (404, False)])
def test_a_server_is_asked_for_the_file_of_an_archive(server, status, found):
    server.content, server.status = b"{}", status
    assert is_marked_archive(f"http://127.0.0.1:{server.server_port}/") is found
    server.status = 503
    with pytest.raises(InputError, match="cannot be opened"):
        is_marked_archive(f"http://127.0.0.1:{server.server_port}/")


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A server that gives parts of files, and counts what it gives."""

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer(is_head=True)

    def do_GET(self):
        self.answer(is_head=False)

    def answer(self, *, is_head):
        content = self.server.content
        begin, end = 0, len(content)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted:
            begin, end = int(wanted[1]), min(end, int(wanted[2]) + 1)
        self.send_response(206 if wanted else self.server.status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - begin))
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        self.end_headers()
        if not is_head:
            self.server.given += end - begin
            with contextlib.suppress(OSError):
                self.wfile.write(content[begin:end])


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as server:
        server.given, server.status = 0, 200
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_look_at_a_remote_file_fetches_little_more_than_it_needs(server, tmp_path, ending):
    if ending == "csv":
        server.content = MARKED.encode() + b"1\n" * (10 << 20)
    else:
        noise = np.random.default_rng(0).random(1 << 20)
        table = pa.table({"a": noise}).replace_schema_metadata({KEYWORD: "true"})
        pq.write_table(table, tmp_path / "t.parquet", use_dictionary=False)
        server.content = (tmp_path / "t.parquet").read_bytes()
    assert len(server.content) > 8 << 20
    url = f"http://127.0.0.1:{server.server_port}/t.{ending}"
    assert is_marked(FileRef(url, 0), was_read=True)
    assert server.given < 3 << 18  # 256 kB are looked at


def test_rows_of_a_server_that_is_lost_are_not_real():
    file = FileRef("http://127.0.0.1:9/t.csv", 0)
    assert not is_marked(file, was_read=False)
    with pytest.raises(InputError, match="cannot be told"):
        is_marked(file, was_read=True)
    with pytest.raises(InputError, match="cannot be opened"):
        is_marked_archive("http://127.0.0.1:9/")
