"""The real archive through the misbehaving server: complete and identical; resumed after kills."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog_builder.fetch.settings import FetchSettings
from catalog_builder.labels.survey import LabelSurvey, load_survey

ARCHIVE = Path(__file__).parents[4] / "shared/data/real-dr3"
TABLES = ("gaia_source", "rvs_mean_spectrum", "xp_sampled_mean_spectrum")
ALLSTAR = "apogee/allStar-dr17-synspec_rev1.fits"
CHUNK = FetchSettings().chunk_bytes

#: What `catalog-builder fetch` does, so that a whole process can be killed.
PROGRAM = """
import socket
import sys
from pathlib import Path
import urllib3
from catalog_builder.fetch.driver import fetch_archive
from catalog_builder.fetch.settings import FetchSettings
from catalog_builder.archive.release import load_release

# What the system holds for a slow reader is not the program's to lose: kept small.
urllib3.connection.HTTPConnection.default_socket_options += [
    (socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
]
base, out, *tables = sys.argv[1:]
try:
    fetch_archive(
        load_release("dr3"), None, Path(out), settings=FetchSettings(), tables=tables,
        root=base + "/", listing=base + "/list?prefix=", allow_http=True,
    )
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def real_site(empty_site: Any) -> Any:
    if not ARCHIVE.is_dir():
        pytest.skip("the real archive is not here")
    empty_site.files |= {
        path.relative_to(ARCHIVE).as_posix(): path.read_bytes()
        for path in ARCHIVE.rglob("*")
        if path.is_file()
    }
    return empty_site


@pytest.mark.parametrize("seed", [1, 2])
def test_the_real_archive_comes_identical_from_a_server_that_misbehaves(
    real_site: Any, fetch: Any, settings: FetchSettings, tmp_path: Path, seed: int
) -> None:
    met: set[str] = set()
    real_site.any_fault = lambda key, number: _draw_fault(f"{seed} {key} {number}", number, met)
    survey = load_survey("apogee-dr17").model_dump(mode="json")
    survey["download"] = {"url": f"{real_site.base}/{ALLSTAR}"}

    report = fetch(
        real_site,
        tmp_path,
        tables=TABLES,
        survey=LabelSurvey.model_validate(survey),
        settings=settings.model_copy(update={"attempts": 8, "chunk_bytes": 1 << 16}),
    )

    assert met == {"cut", "busy", "drop", "no range", "moved"}
    assert report.n_files == len(real_site.files)
    assert real_site.is_whole(tmp_path)


def test_after_kills_nothing_is_fetched_again(real_site: Any, tmp_path: Path) -> None:
    del real_site.files[ALLSTAR]
    total = sum(len(content) for content in real_site.files.values())
    real_site.piece_pause = 0.002
    for share in (0.3, 0.6):
        _run_until(real_site, tmp_path, share * total, signal.SIGKILL)
        there = _bytes_there(real_site, tmp_path)
        assert 0.2 * total < there < 0.9 * total
        before = real_site.total_served
    real_site.piece_pause = 0.0

    assert _start(real_site, tmp_path).wait(60) == 0

    assert real_site.is_whole(tmp_path)
    # The last run brought what was missing, to the byte.
    assert real_site.total_served - before == total - there
    # What the kills cost: bytes on their way to the process, of each of its four downloads.
    lost = real_site.total_served - total
    print(f"{total} bytes, {lost} served twice after 2 kills")
    assert lost <= 2 * FetchSettings().jobs * CHUNK


def test_an_interrupt_stops_soon_and_the_rest_comes_later(real_site: Any, tmp_path: Path) -> None:
    del real_site.files[ALLSTAR]
    total = sum(len(content) for content in real_site.files.values())
    real_site.piece_pause = 0.002

    asked = time.monotonic()
    assert _run_until(real_site, tmp_path, 0.3 * total, signal.SIGINT) == 130

    assert real_site.total_served < 0.9 * total
    assert time.monotonic() - asked < 60
    real_site.piece_pause = 0.0
    assert _start(real_site, tmp_path).wait(60) == 0
    assert real_site.is_whole(tmp_path)


def _draw_fault(seed: str, number: int, met: set[str]) -> Callable[[Any, bytes], None] | None:
    """Draw one of the faults, or none, from a seed: the same whatever the order of requests."""
    draw = zlib.crc32(seed.encode())
    if number > 4:
        return None
    name = ("cut", "busy", "drop", "no range", "moved", "none")[draw % 6]
    faults: dict[str, Callable[[Any, bytes], None]] = {
        "cut": lambda handler, data: handler.serve(data, cut_after=draw % len(data)),
        "busy": lambda handler, data: handler.answer(503, b"", {"Retry-After": "0"}),
        "drop": lambda handler, data: handler.break_off(),
        "no range": lambda handler, data: handler.serve(
            data, cut_after=draw % len(data), ranges=False
        ),
        "moved": lambda handler, data: handler.answer(302, b"", {"Location": handler.path}),
    }
    if name not in faults:
        return None
    met.add(name)
    return faults[name]


def _start(site: Any, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, site.base, str(out), *TABLES]
    return subprocess.Popen(command)


def _run_until(site: Any, out: Path, n_bytes: float, kill: signal.Signals) -> int:
    """Start a fetch and kill it when the server has sent so many bytes in all."""
    process = _start(site, out)
    deadline = time.monotonic() + 60
    while site.total_served < n_bytes:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(kill)
    code = process.wait(60)
    # The server's threads notice.
    sent = -1
    while sent != site.total_served:
        sent = site.total_served
        time.sleep(0.2)
    return code


def _bytes_there(site: Any, out: Path) -> int:
    """Bytes of the archive that a killed fetch left, complete files and parts."""
    places = [(out / key, out / f"{key}.partial") for key in site.files]
    return sum(place.stat().st_size for both in places for place in both if place.exists())
