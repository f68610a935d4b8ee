"""Options of the benchmark suite, and its sky; how to measure is told in `measure.py`."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest

from tests.benchmarks.measure import Bench, line_of, write_page


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bench", metavar="FOLDER", help="run benchmarks; write their page here")
    parser.addoption(
        "--bench-only",
        metavar="NAME",
        default="",
        help="run benchmarks of this name; write no page",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # The hook is shown the tests of all folders, of which some have a fixture of that name.
    here = Path(__file__).parent
    benchmarks = [
        item
        for item in items
        if item.path.is_relative_to(here) and "bench" in getattr(item, "fixturenames", ())
    ]
    if config.getoption("bench", None) is None:
        for item in benchmarks:
            item.add_marker(pytest.mark.skip(reason="a benchmark: make bench"))
        return
    wanted = config.getoption("bench_only").lower()
    items[:] = [item for item in benchmarks if wanted in item.nodeid.rpartition("/")[2].lower()]


#: Benchmarks that ended in an error.
BROKEN = pytest.StashKey[list[str]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # A target that was missed fails the end of a test, not its body.
    if report.failed and report.when != "teardown":
        item.config.stash.setdefault(BROKEN, []).append(item.name)
    return report


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """All figures of the session; the page is written when the last benchmark is done."""
    begin = time.monotonic()
    bench = Bench()
    yield bench
    folder, only = (request.config.getoption(name, None) for name in ("bench", "bench_only"))
    if folder and not only:
        broken = request.config.stash.get(BROKEN, [])
        write_page(Path(folder), bench.figures, time.monotonic() - begin, broken)


@pytest.fixture
def bench(figures: Bench) -> Iterator[Bench]:
    """What a benchmark notes its figures with; it fails in the end if one misses its target."""
    before = len(figures.figures)
    yield figures
    missed = [line_of(figure) for figure in figures.figures[before:] if figure.met is False]
    if missed:
        pytest.fail("missed: " + "; ".join(missed), pytrace=False)


@pytest.fixture(scope="session")
def sky_of_many_partitions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated archive of 10 000 stars; other readers stop where a cell is spoilt."""
    from catalog_builder.simulate.sky import simulate

    root = tmp_path_factory.mktemp("bench") / "sky"
    simulate("dr3", 10_000, 7, root, clean=True)
    return root


@pytest.fixture(scope="session")
def sky(sky_of_many_partitions: Path) -> Path:
    """The simulated archive, each of whose tables is one partition.

    Partitions of a release hold some thousand RVS spectra (DR4) and tens of thousands of XP
    spectra; those of a small simulated sky would show nothing but the cost of opening files.
    """
    from catalog_builder.archive.release import load_release

    root = sky_of_many_partitions.with_name("whole")
    shutil.copytree(sky_of_many_partitions, root)
    for table in load_release("dr3").tables.values():
        for folder in filter(Path.is_dir, (root / folder for folder in table.folders)):
            merge(sorted(folder.glob(f"{table.stem}*.csv.gz")), folder)
    return root


def merge(files: Sequence[Path], folder: Path) -> None:
    """Put files of one table together, as the file of the whole sky."""
    from isal import igzip

    ranges = [file.name.removesuffix(".csv.gz").rsplit("_", 1) for file in files]
    stem, first = ranges[0][0], ranges[0][1].split("-")[0]
    whole = folder / f"{stem}_{first}-{ranges[-1][1].split('-')[1]}.csv.gz"
    text = [igzip.decompress(file.read_bytes()) for file in files]
    for file in [*files, folder / "_MD5SUM.txt"]:
        file.unlink(missing_ok=True)
    joined = b"".join([text[0], *map(_rows, text[1:])])
    # The default level of gzip, not isal's: a smaller file takes other time to inflate.
    packed = gzip.compress(joined, compresslevel=6, mtime=0)
    whole.write_bytes(packed)
    digest = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    (folder / "_MD5SUM.txt").write_text(f"{digest}  {whole.name}\n", encoding="ascii")


def _rows(text: bytes) -> bytes:
    """Return a table's text without its header: comments and the line of names."""
    names = text.index(b"\n", text.rindex(b"\n#") + 1) + 1
    return text[text.index(b"\n", names) + 1 :]


@pytest.fixture(scope="session")
def workdir(sky: Path) -> Path:
    """A run over the sky: features, a training store, and a model of four members.

    Each is trained for one epoch. What it then says is of no use, but takes as long as any other.
    """
    out = sky.with_name("workdir")
    settings = ("model.epochs=1", "model.min_label_stars=50", "cluster.workers=1")
    command = [sys.executable, "-m", "catalog_builder.cli", "run", "--release", "dr3"]
    command += ["--archive", str(sky), "--workdir", str(out)]
    for setting in settings:
        command += ["--set", setting]
    subprocess.run(command, check=True, capture_output=True)
    return out
