"""Memory of one worker does not depend on the size of a partition."""

import gzip
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

REAL = Path(__file__).parents[4] / "shared" / "data" / "real-dr3"
RANGE = "000000-023055"
SPECTRA = Path("gdr3/Spectroscopy/xp_sampled_mean_spectrum") / f"XpSampledMeanSpectrum_{RANGE}"
SOURCES = Path("gdr3/gaia_source") / f"GaiaSource_{RANGE}"

#: The largest partitions of DR3 are about this size.
SPECTRA_ROWS, SOURCE_ROWS = 65_000, 535_000
MEMORY_LIMIT = 1.5 * 2**30


def repeat_rows(real, out, count):
    """Write the rows of a real file again and again under new ids, ascending within the range."""
    lines = gzip.decompress(real.with_suffix(".csv.gz").read_bytes()).splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if not line.startswith(b"#")) + 1
    place = lines[begin - 1].split(b",").index(b"source_id")
    cells = [line.split(b",", place + 1) for line in lines[begin:]]
    out.parent.mkdir(parents=True)
    with gzip.open(out.with_suffix(".csv.gz"), "wb", compresslevel=1) as file:
        file.writelines(lines[:begin])
        for row in range(count):
            before, after = cells[row % len(cells)][:place], cells[row % len(cells)][place + 1 :]
            file.write(b",".join([*before, b"%d" % (3000 * 2**43 + row), *after]))


def peak_memory(command):
    """Run a command; return its exit code, and the largest RSS of any process below it."""
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    peak = max(peak, child.memory_info().rss)
            time.sleep(0.05)
        return process.returncode, peak, process.stdout.read().decode()


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real archive beside the repository")
def test_a_partition_of_full_size_is_ingested_in_little_memory(tmp_path):
    repeat_rows(REAL / SPECTRA, tmp_path / "archive" / SPECTRA, SPECTRA_ROWS)
    repeat_rows(REAL / SOURCES, tmp_path / "archive" / SOURCES, SOURCE_ROWS)
    program = "from catalog_builder.cli import main; main()"
    options = ["--archive", tmp_path / "archive", "--workdir", tmp_path / "work", "--workers", "1"]
    code, peak, said = peak_memory([sys.executable, "-c", program, "ingest", *map(str, options)])
    assert code == 0, said
    (receipt,) = (tmp_path / "work" / "receipts" / "ingest").glob("*.json")
    books = json.loads(receipt.read_text())
    assert (books["rows_in"], books["rows_out"]) == (SPECTRA_ROWS, SPECTRA_ROWS)
    assert 0 < peak < MEMORY_LIMIT
