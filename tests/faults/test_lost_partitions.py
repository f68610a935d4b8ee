"""A partition whose files kill every worker that reads them: it stays in the books, and is said."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from catalog_builder.catalog.validate import validate_catalog

PATIENCE = 600.0
RVS, XP = "RvsMeanSpectrum", "XpContinuousMeanSpectrum"


@dataclass(frozen=True)
class Site:
    """A sound archive in which the files of one partition are deadly."""

    kills: object
    bench: object
    workdir: Path

    @property
    def partition(self):
        """The first partition."""
        return min(path.stem for path in self.predictions.glob("[!.]*.json"))

    @property
    def predictions(self):
        """Receipts of the undisturbed run's predictions."""
        return self.bench.reference / "receipts" / "predict"

    @property
    def accounting(self):
        """The accounting of the undisturbed run."""
        return json.loads(sealed_in(self.bench.reference).read_text())["accounting"]

    @property
    def lost(self):
        """Sources that the partition holds."""
        receipt = self.bench.reference / "receipts" / "ingest" / f"{self.partition}.json"
        return json.loads(receipt.read_text())["rows_in"]

    def run(self, killers, *options, workers=1):
        """Give the command; it may not hang."""
        (model,) = self.bench.reference.glob("models/*/model.json")
        command = [sys.executable, "-m", "catalog_builder.cli", "run", "--release", "dr3"]
        command += ["--archive", str(self.bench.archive), "--workdir", str(self.workdir)]
        command += ["--model", str(model.parent), "--workers", str(workers)]
        command += ["--set", "cluster.attempts=1", "--set", "cluster.performance_report=false"]
        files = [
            path.name
            for path in self.bench.archive.rglob(f"*{self.partition}.csv.gz")
            if path.name.startswith(killers)
        ]
        env = self.kills.environment(
            DASK_DISTRIBUTED__WORKER__PRELOAD=str(Path(__file__).with_name("kill_reader.py")),
            # Of a dying worker Dask's own watch over its cluster sees only that it is gone.
            DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT="500ms",
            KILLERS=" ".join(files),
        )
        return self.bench.programs.run(
            [*command, *options],
            env=env,
            timeout=PATIENCE,
        )


def sealed_in(workdir):
    (record,) = workdir.glob("catalogs/*/[!.]*/RELEASE.json")
    return record


@pytest.fixture
def site(kills, bench, tmp_path):
    return Site(kills, bench, tmp_path / "work")


def test_a_deadly_table_leaves_its_partition_in_the_books_whatever_the_workers(site, tmp_path):
    answer = site.run(RVS, "--set", "ingest.max_rejected=0.5", workers=1)
    assert answer.returncode == 0, answer.stderr
    requested = site.accounting["requested"]
    books = {
        "requested": requested,
        "published": requested - site.lost,
        "rejected": {"quarantined_partition": site.lost},
    }
    record = sealed_in(site.workdir)
    content = json.loads(record.read_text())
    assert content["accounting"] == books
    count = content["incidents"]["counts"][site.partition]
    assert count["requested"] == site.lost
    assert count["tables"]["rvs_mean_spectrum"] == "announced"
    assert count["tables"]["xp_continuous_mean_spectrum"] == "rows"
    assert f"{requested} requested = {requested - site.lost} published" in answer.stdout
    assert "quarantined_partition" in record.with_name("report.html").read_text()
    assert validate_catalog(record.parent) == []

    two = Site(site.kills, site.bench, tmp_path / "two")
    answer = two.run(RVS, "--set", "ingest.max_rejected=0.1", "--until", "ingest", workers=2)
    assert answer.returncode == 4  # and the limit applies
    assert f"{site.lost} of {requested} requested sources were rejected" in answer.stderr
    for stage in ("ingest", "census"):
        assert outcomes(two.workdir, stage) == outcomes(site.workdir, stage)


def outcomes(workdir, stage):
    folder = workdir / "receipts" / stage
    receipts = {path.name: json.loads(path.read_text()) for path in folder.glob("[!.]*.json")}
    found = {name: (facts["rows_in"], facts["rejected"]) for name, facts in receipts.items()}
    return found | {path.name: path.read_text() for path in folder.glob("*.quarantined")}


def test_what_nobody_can_count_is_not_sealed_unless_that_is_accepted(site):
    everything = (RVS, XP, "XpSampledMeanSpectrum", "GaiaSource")
    answer = site.run(everything)
    assert answer.returncode == 4
    assert f"unknown number of sources of partition {site.partition}" in answer.stderr
    assert "--accept-lost" in answer.stderr
    assert not list(site.workdir.glob("catalogs/*/*"))

    answer = site.run(everything, "--accept-lost")
    assert answer.returncode == 0, answer.stderr
    record = sealed_in(site.workdir)
    content = json.loads(record.read_text())
    assert content["incidents"]["accepted_lost"] is True
    assert content["incidents"]["counts"] == {
        site.partition: {
            "requested": 0,
            "tables": dict.fromkeys(tables_of(site), "unknown"),
        }
    }
    assert content["accounting"]["requested"] == site.accounting["requested"] - site.lost
    words = f"an unknown number of sources of partition {site.partition} is lost"
    assert words in answer.stdout
    assert words in record.with_name("report.html").read_text()
    assert validate_catalog(record.parent) == []


def tables_of(site):
    """Driving tables of which the partition has a file."""
    stems = {RVS: "rvs_mean_spectrum", XP: "xp_continuous_mean_spectrum"}
    stems["XpSampledMeanSpectrum"] = "xp_sampled_mean_spectrum"
    there = {
        path.name.partition("_")[0]
        for path in site.bench.archive.rglob("*.csv.gz")
        if site.partition in path.name
    }
    return [table for stem, table in stems.items() if stem in there]
