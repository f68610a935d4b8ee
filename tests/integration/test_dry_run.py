"""--dry-run says what is there and what is left, and leaves everything as it is."""

import json
import sys

import pytest
import yaml

from catalog_builder.ground.errors import InputError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.run.config import load_config
from catalog_builder.run.runs import plan_in_words
from catalog_builder.run.steps import steps_of
from catalog_builder.runtime.quarantine import give_up
from catalog_builder.runtime.receipts import read_receipt, write_receipt
from catalog_builder.runtime.tasks import Task
from catalog_builder.runtime.workdir import Workdir
from tests.integration.conftest import QUICK


@pytest.fixture
def plan(site):
    """Return a function that plans a run of the site in a workdir."""

    def words(workdir, *assignments, retry_quarantined=False, **options):
        settings = {"archive": str(site.archive), "workdir": str(workdir)} | options
        config = load_config(None, [*QUICK, *assignments], settings)
        text = plan_in_words(config, steps_of(config), retry_quarantined=retry_quarantined)
        return text, dict(
            line.split(maxsplit=1) for line in text.partition("Steps:\n")[2].splitlines()
        )

    return words


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_finished_workdir(plan, work):
    before = files_of(work)
    text, steps = plan(work)
    assert text.startswith("Partitions: 6 (")
    assert steps["ingest"] == "complete (6 tasks)"
    assert steps["training-set"] == "complete (8 tasks)"
    # What the archive's pipelines say of each partition's stars is published, too.
    assert steps["publish"] == "complete (7 tasks)"
    assert text.endswith("Nothing is left to do.")
    assert files_of(work) == before


def test_an_unfinished_one(plan, work):
    sorted((work / "receipts" / "train").glob("*.json"))[0].unlink()
    before = files_of(work)
    text, steps = plan(work)
    assert steps["training-set"].startswith("complete")
    assert steps["train"] == "1 of 6 train tasks to do"
    assert (steps["predict"], steps["publish"]) == ("to do", "to do")
    assert "Nothing is left" not in text
    assert files_of(work) == before


def test_a_catalogue_of_another_version_is_to_do(plan, work):
    before = files_of(work)
    _, steps = plan(work, version="2.0")
    assert steps["predict"] == "complete (6 tasks)"
    assert steps["publish"] == "to do"
    assert files_of(work) == before


def test_another_try_is_planned_and_nothing_is_forgotten(plan, work):
    workdir = Workdir(work)
    lacking, other = sorted((work / "receipts" / "ingest").glob("*.json"))[:2]
    receipt = read_receipt(lacking)
    notes = {"file_rejects": {"a.csv.gz": {"table": "x", "reason": "r", "detail": "d"}}}
    write_receipt(lacking, receipt.model_copy(update={"notes": {**receipt.notes, **notes}}))
    key = read_receipt(other).key
    give_up(workdir, Task("ingest", other.stem, key), "it killed its worker")
    other.unlink()
    before = files_of(work)
    assert plan(work)[1]["ingest"].endswith(" count tasks to do, 1 in quarantine")
    _, steps = plan(work, retry_quarantined=True)
    assert steps["ingest"] == "2 of 6 ingest tasks to do"
    assert files_of(work) == before


def test_a_new_workdir_is_not_made(plan, tmp_path):
    _, steps = plan(tmp_path / "new")
    assert steps["ingest"] == "6 of 6 ingest tasks to do"
    assert not (tmp_path / "new").exists()


def test_a_demo_whose_sky_is_there(site, work):
    """The plan is that of the sky, not the sentence that one is simulated."""
    config = load_config(None, QUICK, {"release": "dr3-demo", "workdir": str(work)})
    text = plan_in_words(config, steps_of(config))
    assert text.startswith("A sky of 6000 stars is simulated, then run on: ingest, training-set,")
    (work / "archive-dr3-6000-1").symlink_to(site.archive)
    text = plan_in_words(config, steps_of(config))
    assert text.startswith("Partitions: 6 (")
    assert "  ingest                       complete (6 tasks)\n" in text


def test_the_command_plans_what_it_would_do(site, work, monkeypatch, capsys):
    from catalog_builder import cli

    options = ["--archive", str(site.archive), "--workdir", str(work), "--dry-run"]
    options += [part for each in QUICK for part in ("--set", each)]
    monkeypatch.setattr(sys, "argv", ["catalog-builder", "predict", *options])
    with pytest.raises(SystemExit):
        cli.main()
    text = capsys.readouterr().out
    assert text.partition("Steps:\n")[2].split() == [
        *("predict", "complete", "(6", "tasks)"),
        *("Nothing", "is", "left", "to", "do."),
    ]


def test_the_gate_looks_before_anything_is_done(plan, tmp_path):
    text, _ = plan(tmp_path / "new")
    assert "\nLooked at 4 files: nothing against it.\n" in text
    assert "Looked at" not in plan(tmp_path / "new", "ingest.gate=false")[0]
    content = yaml.safe_load((schemas_dir() / "releases/dr3.yaml").read_text())
    content["spectra"]["rvs"]["medium"] = "air"
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(
        InputError, match=r"spectra\.rvs\.grid: .* write spectra\.rvs\.medium: vacuum"
    ):
        plan(tmp_path / "new", release=str(wrong), labels=None)
    assert not (tmp_path / "new").exists()


def test_labels_that_only_check_are_looked_for_before_anything_is_done(plan, finished, tmp_path):
    """Beside a model they are read when the catalogue is published, after all predictions."""
    (model,) = (path.parent for path in finished.glob("models/*/model.json"))
    with pytest.raises(InputError, match=r"label file .*nowhere\.fits is not there"):
        plan(tmp_path / "new", model_path=str(model), labels=str(tmp_path / "nowhere.fits"))


def test_the_log_has_what_the_gate_saw(finished):
    logs = finished.glob("logs/run-*.jsonl")
    lines = [line for log in logs for line in log.read_text().splitlines()]
    (gate,) = [event for event in map(json.loads, lines) if event["event"] == "gate"]
    assert len(gate["files"]) == 4
    assert gate["findings"] == []
    assert gate["facts"]["spectra.rvs.grid"].startswith("triplet")
