"""A small simulated sky, a shared cluster, and a run of the whole path that tests look at."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from distributed import LocalCluster

from catalog_builder.run.config import load_config
from catalog_builder.run.runs import run_steps
from catalog_builder.run.steps import STEPS, steps_of
from catalog_builder.runtime.clusters.local import WORKER_ENVIRONMENT
from catalog_builder.simulate.sky import simulate
from tests.warm import forked_workers

#: Small and quick: what is learnt does not matter here, that it is carried through does.
QUICK = (
    "model.epochs=2",
    "model.members=2",
    "model.folds=2",
    "model.min_label_stars=50",
    "model.min_regime_stars=20",
    "ingest.store_chunk_rows=64",
    "predict.batch_size=37",
    # It takes as long as the rest; test_marks looks at reports of whole runs.
    "publish.report=false",
    # A third of a second for each run; `executed` has one saved.
    "cluster.performance_report=false",
)


@dataclass(frozen=True)
class Site:
    """Where tests run: an archive, a cluster."""

    archive: Path
    address: str

    def run(
        self, workdir: Path, *assignments: str, steps=None, said=None, **options
    ) -> dict[str, int]:
        """Run steps; return how many tasks of each stage were carried out. It is told to `said`."""
        settings = {"archive": str(self.archive), "workdir": str(workdir)}
        settings |= {"cluster.kind": self.address} | options
        config = load_config(None, [*QUICK, *assignments], settings)
        echo = (said if said is not None else []).append
        run_steps(config, steps or steps_of(config), verbosity=-1, echo=echo)
        log = max((workdir / "logs").glob("run-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        events = [json.loads(line) for line in log.read_text().splitlines()]
        return [event for event in events if event["event"] == "end"][-1]["executed"]


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    out = tmp_path_factory.mktemp("sky") / "archive"
    simulate("dr3", 1500, 12, out)
    return out


# A cluster that idles draws from `random` at every heartbeat, which Hypothesis takes for a defect
# of the tests of other folders: it lives no longer than the tests of this one.
@pytest.fixture(scope="package")
def site(archive):
    with (
        forked_workers(),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            env=WORKER_ENVIRONMENT,
        ) as cluster,
    ):
        yield Site(archive, cluster.scheduler_address)


@pytest.fixture(scope="package")
def executed(site, tmp_path_factory):
    """Run the steps one by one; return the workdir, and what was carried out in each step."""
    workdir = tmp_path_factory.mktemp("finished") / "work"
    steps = {
        step: site.run(
            workdir, f"cluster.performance_report={str(step == 'ingest').lower()}", steps=(step,)
        )
        for step in STEPS
    }
    assert len(list(workdir.glob("logs/performance-*.html"))) == 1
    return workdir, steps


@pytest.fixture(scope="package")
def finished(executed):
    """Return the workdir of a complete run; tests copy it before they change it."""
    workdir, _ = executed
    return workdir


@pytest.fixture
def work(finished, tmp_path):
    """Return a copy of the complete run that a test may spoil."""
    return Path(shutil.copytree(finished, tmp_path / "work"))


def sealed(workdir: Path) -> list[Path]:
    """Return the folders of all sealed catalogues of a workdir."""
    return sorted(path.parent for path in workdir.glob("catalogs/*/[!.]*/RELEASE.json"))


def columns_of(catalogue: Path) -> dict[str, str]:
    """Return the column digests of a catalogue."""
    return json.loads((catalogue / "RELEASE.json").read_text())["columns"]


def model_of(workdir: Path) -> Path:
    """Return the model directory of a run."""
    receipt = json.loads((workdir / "receipts" / "model" / "ensemble.json").read_text())
    return workdir / receipt["output"]
