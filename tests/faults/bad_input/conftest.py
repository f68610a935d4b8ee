"""A tiny archive to damage, and the command line to find out what becomes of it.

Two partitions of 20 stars: tests damage the first and look whether the second is what it is in the
undamaged archive. Commands run in this process, on one cluster for the whole session.
"""

import csv
import gzip
import hashlib
import io
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from distributed import LocalCluster

from catalog_builder import cli
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.features import stage as ingesting
from catalog_builder.features.settings import IngestSettings
from catalog_builder.runtime.tasks import run_task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.simulate.sky import simulate

GAIA = "gaia_source"
RVS = "rvs_mean_spectrum"
XP = "xp_continuous_mean_spectrum"
SAMPLED = "xp_sampled_mean_spectrum"

STARS = 120  # the fewest that the simulator writes, in six partitions


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


class Text:
    """The text of a table: header lines, names, and rows as cells."""

    def __init__(self, content):
        lines = content.decode().splitlines()
        begin = next(n for n, line in enumerate(lines) if not line.startswith("#"))
        self.header = lines[:begin]
        self.names, *self.rows = csv.reader(lines[begin:])

    def column(self, name):
        place = self.names.index(name)
        return [row[place] for row in self.rows]

    def set(self, row, name, value):
        self.rows[row][self.names.index(name)] = value

    def source_id(self, row):
        return int(self.column("source_id")[row])

    def to_bytes(self):
        text = io.StringIO()
        text.writelines(f"{line}\n" for line in self.header)
        csv.writer(text, lineterminator="\n").writerows([self.names, *self.rows])
        return text.getvalue().encode()


class Archive:
    """An archive whose files can be damaged; `first` is the partition that tests damage."""

    def __init__(self, root):
        self.root = root
        self.release = load_release("dr3")
        names = sorted(path.name for path in (root / "gdr3" / GAIA).glob("*.csv.gz"))
        self.partitions = [name[len("GaiaSource_") : -len(".csv.gz")] for name in names]
        self.first, self.second, *_ = self.partitions

    def path(self, table, partition=None):
        spec = self.release.tables[table]
        name = f"{spec.stem}{partition or self.first}.csv.gz"
        return self.root / spec.folders[0] / name

    def text(self, table, partition=None):
        return Text(gzip.decompress(self.path(table, partition).read_bytes()))

    def write(self, table, content, *, partition=None, listed=True):
        """Replace a file: by a table, or by bytes as they are; and its checksum, if `listed`."""
        path = self.path(table, partition)
        if isinstance(content, Text):
            content = gzip.compress(content.to_bytes(), compresslevel=1)
        path.write_bytes(content)
        if listed:
            self.list_checksums(path.parent)

    def write_text(self, table, content):
        self.write(table, gzip.compress(content, compresslevel=1))

    def set(self, table, row, column, value):
        """Replace one cell of the first partition; return the source's id."""
        text = self.text(table)
        text.set(row, column, value)
        self.write(table, text)
        return text.source_id(row)

    def remove(self, table, partition=None):
        path = self.path(table, partition)
        path.unlink()
        self.list_checksums(path.parent)

    def list_checksums(self, folder):
        lines = [
            f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.name}\n"
            for path in sorted(folder.glob("*.gz"))
            if path.is_file()
        ]
        (folder / "_MD5SUM.txt").write_text("".join(lines))

    def ids(self, *tables, partition=None):
        """Source ids with a row in any of the tables (by default, all that are asked for)."""
        return {
            int(source_id)
            for table in tables or (RVS, XP, SAMPLED)
            if self.path(table, partition).is_file()
            for source_id in self.text(table, partition).column("source_id")
        }


class Books:
    """What the receipts of a workdir say of the first partition."""

    def __init__(self, receipt):
        self.receipt = receipt
        self.rows_in, self.rows_out = receipt["rows_in"], receipt["rows_out"]
        self.rejected = receipt["rejected"]
        notes = receipt["notes"]
        self.rows, self.cells = notes["row_rejects"], notes["cell_nulls"]
        self.files, self.examples = notes["file_rejects"], notes["examples"]
        self.has = notes["with"]
        assert self.rows_in == self.rows_out + sum(self.rejected.values())


@dataclass(frozen=True)
class Workbench:
    """An archive, a workdir, and the command line on them."""

    archive: Archive
    workdir: Path
    cluster: str
    capture: object
    monkeypatch: object
    clean: dict

    def command(self, *arguments):
        """Run the program in this process; a traceback is never what the user gets."""
        self.capture.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["catalog-builder", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        answer = Answer(code, *self.capture.readouterr())
        assert "Traceback" not in answer.err + answer.out
        assert "defect" not in answer.err
        return answer

    def step(self, name, *arguments, archive=None):
        """Run a step; however much is damaged, it goes on unless `arguments` say otherwise."""
        return self.command(
            name,
            *("--archive", archive or self.archive.root),
            *("--workdir", self.workdir, "--cluster", self.cluster),
            # Saving Dask's report would be a third of most commands; `sealed` has one saved.
            *("--set", "cluster.performance_report=false"),
            *("--set", "ingest.max_rejected=1", *arguments),
        )

    def refuse(self, code, *words, step="ingest", arguments=(), archive=None):
        """Expect a refusal with a documented code that names things, and the way out."""
        answer = self.step(step, *arguments, archive=archive)
        assert answer.code == code, answer.err
        said = " ".join(answer.err.split())
        for word in words:
            assert str(word) in said, f"{word!r} is not in: {said}"
        assert "\n  -> " in answer.err  # the way out
        return answer

    def ingest(self):
        """Do the ingest tasks here, without a cluster; return the first partition's books."""
        workdir, settings = Workdir(self.workdir), IngestSettings()
        context = ingesting.IngestContext(workdir, self.archive.release, settings)
        partitions = list_partitions(str(self.archive.root), self.archive.release)
        for task in ingesting.plan(partitions, self.archive.release, settings):
            run_task(ingesting.STAGE, context, workdir, task)
        return self.books()

    def ingest_by_command(self, *arguments):
        """Ingest as a user does; return what was said, and the first partition's books."""
        answer = self.step("ingest", *arguments)
        assert answer.code == 0, answer.err
        return answer, self.books()

    def books(self):
        """Assert that the second partition is what it always is; return the books of the first."""
        kept = self.receipt(self.archive.second)
        assert kept["output_digest"] == self.clean[self.archive.second]["output_digest"]
        assert kept["rejected"] == {}
        return Books(self.receipt(self.archive.first))

    def receipt(self, partition, stage="ingest"):
        return json.loads((self.workdir / "receipts" / stage / f"{partition}.json").read_text())

    @property
    def clean_books(self):
        """Return the books of the first partition of the undamaged archive."""
        return Books(self.clean[self.archive.first])

    def quarantined(self):
        """Return the reasons of ingest's quarantine by partition."""
        folder = self.workdir / "receipts" / "ingest"
        records = [json.loads(path.read_text()) for path in folder.glob("*.quarantined")]
        return {record["task"]: record["reason"] for record in records}


# Not for the whole session: an idle cluster draws from `random`, which Hypothesis does not suffer.
@pytest.fixture(scope="package")
def cluster():
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as local:
        yield local.scheduler_address


@pytest.fixture(scope="session")
def open_archive():
    return Archive


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """Two whole partitions of a simulated sky: all four tables, nothing wrong."""
    root = tmp_path_factory.mktemp("pristine")
    # With seed 0, what the simulator itself damages lies in the first three partitions.
    simulate("dr3", STARS, 0, root / "sky")
    archive = root / "archive"
    for path in sorted((root / "sky" / "gdr3").rglob("*.csv.gz")):
        folder = archive / path.parent.relative_to(root / "sky")
        folder.mkdir(parents=True, exist_ok=True)
        kept = sorted((root / "sky" / "gdr3" / GAIA).glob("*.csv.gz"))[3:5]
        if path.name.partition("_")[2] in {other.name.partition("_")[2] for other in kept}:
            shutil.copy(path, folder)
    shutil.copytree(root / "sky" / "apogee", archive / "apogee")
    return Archive(archive)


@pytest.fixture
def archive(pristine, tmp_path):
    root = tmp_path / "archive"
    shutil.copytree(pristine.root, root)
    copy = Archive(root)
    for table in (GAIA, RVS, XP, SAMPLED):
        copy.list_checksums(copy.path(table).parent)
    return copy


@pytest.fixture(scope="package")
def clean_receipts(pristine, cluster, tmp_path_factory):
    """Receipts of the undamaged archive, by partition."""
    workdir = tmp_path_factory.mktemp("clean")
    options = ["--archive", pristine.root, "--workdir", workdir, "--cluster", cluster, "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["catalog-builder", "ingest", *map(str, options)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert end.value.code == 0
    receipts = workdir / "receipts" / "ingest"
    return {path.stem: json.loads(path.read_text()) for path in receipts.glob("[!.]*.json")}


@pytest.fixture
def bench(archive, cluster, clean_receipts, tmp_path, capfd, monkeypatch):
    return Workbench(archive, tmp_path / "work", cluster, capfd, monkeypatch, clean_receipts)
