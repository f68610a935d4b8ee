"""A private Slurm, a small sky, and runs of the whole path on it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from catalog_builder.run.config import load_config
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir
from tests.cluster.testbed import Testbed, why_not

ROOT = Path(__file__).parents[2]

#: What is learnt does not matter here; that it is carried through, and is the same, does.
QUICK = {"model": {"epochs": 2, "members": 1, "min_label_stars": 50, "min_regime_stars": 20}}


def batch(**given):
    """Return the section of a batch system: one that looks often and is soon out of patience."""
    patience = {"poll_seconds": 0.5, "pending_warning": 2.0, "start_seconds": 60.0}
    times = {"walltime": "00:10:00", "lifetime_margin": 60.0, "lifetime_stagger": 10.0}
    # Jobs start in a folder of their own; the package is that of this checkout.
    prologue = [f"export PYTHONPATH={ROOT}"]
    section = {"queue": "cpu", "interface": "lo", "job_script_prologue": prologue}
    return {**section, **patience, **times, **given}


def settings(kind, workers=1, *, cluster=None, **given):
    """Return the settings of a run on a batch system."""
    section = "slurm" if kind == "srun" else kind
    shared = {"kind": kind, "workers": workers, "memory_limit": "1200MiB", section: batch(**given)}
    return {**QUICK, "cluster": {**shared, **(cluster or {})}}


class Run:
    """A run in a process of its own, and what it leaves."""

    def __init__(self, archive, workdir, given):
        self.archive, self.workdir = archive, workdir
        file = workdir.with_suffix(".yaml")
        file.write_text(json.dumps(given))  # JSON is YAML
        self.command = [
            *(sys.executable, "-m", "catalog_builder.cli", "run", "--config", str(file)),
            *("--archive", str(archive), "--workdir", str(workdir)),
        ]
        self.process = None

    def start(self, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with self.workdir.with_suffix(".err").open("w") as said:
            self.process = subprocess.Popen(
                [*self.command, *arguments], env=environment, stderr=said, stdout=said
            )
        return self

    def end(self, code=0, seconds=300):
        assert self.process.wait(timeout=seconds) == code, self.said
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def said(self):
        return self.workdir.with_suffix(".err").read_text()

    def done(self, stage):
        """Return how many tasks of a stage, or of all by ``*``, have a receipt."""
        return len(list(self.workdir.glob(f"receipts/{stage}/*.json")))

    def after(self, condition, seconds=180):
        """Wait for something, as long as the run goes on, and return it."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.1)
        return found

    @property
    def columns(self):
        """Return the digests of the sealed catalogue's columns."""
        (release,) = self.workdir.glob("catalogs/*/[!.]*/RELEASE.json")
        return json.loads(release.read_text())["columns"]

    def digests(self, stage):
        """Return the output digests of a stage's tasks."""
        receipts = (self.workdir / "receipts" / stage).glob("*.json")
        return {path.stem: json.loads(path.read_text())["output_digest"] for path in receipts}

    @property
    def log(self):
        files = sorted(self.workdir.glob("logs/run-*.jsonl"), key=lambda f: f.stat().st_mtime_ns)
        return [json.loads(line) for line in files[-1].read_text().splitlines()]


@pytest.fixture(scope="session")
def bed():
    reason = why_not()
    if reason:
        pytest.skip(reason)
    # Not among pytest's folders: munge wants its socket where everybody could reach it.
    testbed = Testbed(Path(tempfile.mkdtemp(prefix="slurm-")))
    # Processes of this session speak to it, and to no other Slurm.
    before = {name: os.environ.get(name) for name in ("SLURM_CONF", "PATH")}
    os.environ.update({name: testbed.environment[name] for name in before})
    try:
        testbed.up()
        yield testbed
    finally:
        testbed.down()
        shutil.rmtree(testbed.folder, ignore_errors=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def quiet_bed(bed):
    """Return the test bed, and see to it that a test leaves no job there and no node drained."""
    yield bed
    for node in bed.call("sinfo", "-hNt", "drain", "-o", "%N").split():
        bed.call("scontrol", "update", f"nodename={node}", "state=resume")
    bed.wait_until(lambda: not bed.jobs(), seconds=30)


@pytest.fixture(scope="session")
def sky(tmp_path_factory):
    from catalog_builder.simulate.sky import simulate

    out = tmp_path_factory.mktemp("sky") / "archive"
    simulate("dr3", 600, 7, out)
    return out


@pytest.fixture(scope="session")
def reference(sky, tmp_path_factory):
    """Return a run on this machine."""
    workdir = tmp_path_factory.mktemp("local") / "work"
    given = {**QUICK, "cluster": {"workers": 2, "memory_limit": "1200MiB"}}
    return Run(sky, workdir, given).start().end()


@pytest.fixture
def run(sky, tmp_path):
    """Return a function that makes a run in the test's own workdir."""
    runs = []

    def make(given):
        runs.append(Run(sky, tmp_path / "work", given))
        return runs[-1]

    yield make
    for each in runs:
        if each.process is not None and each.process.poll() is None:
            each.process.terminate()
            each.process.wait(timeout=60)


@pytest.fixture
def cluster(tmp_path):
    """Return a function that makes a cluster in this process, not opened."""

    def make(given):
        config = load_config(None, [], given)
        workdir = Workdir(tmp_path / "work")
        workdir.create()
        return make_cluster(config.cluster, workdir, Events(None))

    return make
