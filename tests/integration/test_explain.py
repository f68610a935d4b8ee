"""`explain` tells of a run in any state, and of any number that it is given."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from catalog_builder import cli, open_catalog
from catalog_builder.archive.release import load_release
from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.errors import InputError, StoreError
from catalog_builder.looking.explain import explain
from catalog_builder.runtime.cleaning import find_surplus, remove
from catalog_builder.runtime.plans import read_plan
from catalog_builder.runtime.quarantine import give_up
from catalog_builder.runtime.tasks import Task
from catalog_builder.runtime.workdir import Workdir
from tests.integration.conftest import model_of, sealed

SHIFT = load_release("dr3").partition.source_id_shift


def receipts_of(workdir, stage):
    return sorted((workdir / "receipts" / stage).glob("*.json"))


def ids_of(receipt, workdir, column="source_id"):
    return FeatureStore(workdir / json.loads(receipt.read_text())["output"]).column(column)


@pytest.fixture
def source(finished):
    """A source of the first partition."""
    return int(ids_of(receipts_of(finished, "ingest")[0], finished)[3])


def test_a_sealed_run(finished, source):
    text = explain(finished, source)
    (catalogue,) = sealed(finished)
    stars = open_catalog(catalogue)
    row = int(np.flatnonzero(stars.source_id.values == source)[0])
    assert f"source_id {source}, HEALPix level-8 pixel {source >> SHIFT}" in text
    assert "GaiaSource_000000-" in text
    assert "md5:" in text
    assert "features, row 3: " in text
    assert f"  teff = {float(stars.teff[row]):.6g} +- {float(stars.e_teff[row]):.3g} K" in text
    assert text.count("teff = ") == 1  # the catalogue says the same, and it is said once
    assert f"  flag {'rvs' if int(stars.flags[row]) & 1 else 'xp'}_used: " in text
    assert text.endswith(f"catalogue dr3/{catalogue.name}: row {row}")


def test_every_kind_of_source_of_a_run(finished):
    """None of them ends in a defect, whatever it lacks."""
    for receipt in receipts_of(finished, "ingest"):
        for source in ids_of(receipt, finished)[::150].tolist():
            assert "prediction\n" in explain(finished, source)


def test_an_id_that_is_not_there(finished, source):
    text = explain(finished, source + 1)
    assert "never asked for: no row in rvs_mean_spectrum or" in text
    assert "not predicted: not in the features" in text
    assert text.endswith(": not in it")


def test_an_id_that_was_rejected(finished):
    lost = [
        (receipt, source)
        for receipt in receipts_of(finished, "ingest")
        for source in np.setdiff1d(
            ids_of(receipt, finished, "rejected_source_id"), ids_of(receipt, finished)
        ).tolist()
        if source > 0
    ]
    assert lost, "the simulator plants some"
    text = explain(finished, lost[0][1])
    assert " was left out: " in text
    assert "not in the features: rejected, see above" in text
    assert text.endswith(": not in it")


@pytest.mark.parametrize("number", [0, -5, 2**63, 10**24, 9_000_000_000_000_000_000])
def test_a_number_that_is_no_source_id(finished, number):
    with pytest.raises(InputError, match=r"is no source id of Gaia Data Release 3"):
        explain(finished, number)


def test_a_source_of_another_partition(work, source):
    (work / "plans" / "ingest.json").unlink()
    receipts_of(work, "ingest")[0].unlink()
    with pytest.raises(InputError, match=r"No partition of the run in .* holds"):
        explain(work, source)


def test_a_run_that_is_going_on(work, source):
    receipts_of(work, "predict")[0].unlink()
    shutil.rmtree(work / "catalogs")
    text = explain(work, source)
    assert "features, row 3" in text
    assert text.endswith("not predicted yet\nin no sealed catalogue yet")
    receipts_of(work, "ingest")[0].unlink()
    assert "  not ingested yet\n" in explain(work, source)


def test_a_partition_in_quarantine(work, source):
    workdir, receipt = Workdir(work), receipts_of(work, "ingest")[0]
    key = read_plan(workdir, "ingest")[receipt.stem]
    receipt.unlink()
    give_up(workdir, Task("ingest", receipt.stem, key), "it killed its worker")
    assert "  not ingested: it killed its worker" in explain(work, source)
    give_up(workdir, Task("ingest", receipt.stem, "another"), "it killed its worker")
    assert "  not ingested yet; with earlier files or settings: it killed" in explain(work, source)


def test_a_prediction_in_quarantine(work, source):
    receipt = receipts_of(work, "predict")[0]
    receipt.unlink()
    key = read_plan(Workdir(work), "predict")[receipt.stem]
    give_up(Workdir(work), Task("predict", receipt.stem, key), "no memory")
    assert "\nnot predicted: no memory\n" in explain(work, source)


def test_receipts_that_are_damaged_or_of_an_earlier_plan(work, source):
    receipt = receipts_of(work, "predict")[0]
    receipt.write_bytes(receipt.read_bytes()[:100])
    assert "not predicted: its receipt is damaged" in explain(work, source)
    plan = work / "plans" / "ingest.json"
    plan.write_text(json.dumps(dict.fromkeys(json.loads(plan.read_text()), "other")))
    assert "features, row 3 (of an earlier plan" in explain(work, source)


def test_what_was_cleaned_away_still_has_its_row(work, source):
    remove(find_surplus(Workdir(work), intermediate=True))
    text = explain(work, source)
    assert "features: no longer there (`clean --intermediate` removes them)" in text
    assert "prediction: no longer there" in text
    assert "  teff = " in text  # from the catalogue


def test_damaged_stores_are_named(work, source):
    for stage in ("ingest", "predict"):
        output = work / json.loads(receipts_of(work, stage)[0].read_text())["output"]
        for file in output.rglob("c/*"):
            if file.is_file() and stage == "predict":
                file.write_bytes(b"damaged")
        if stage == "ingest":
            (output / "zarr.json").write_text("{}")
    (catalogue,) = sealed(work)
    for file in (catalogue / "catalog.zarr" / "source_id" / "c").iterdir():
        file.write_bytes(b"damaged")
    text = explain(work, source)
    assert "is not a feature store, or is damaged" in text
    assert f"catalogue dr3/{catalogue.name}: cannot be read" in text


@pytest.mark.parametrize("harm", [Path.unlink, lambda chunk: chunk.write_bytes(b"")])
def test_a_chunk_that_is_missing_from_a_catalogue_is_no_null(work, source, harm):
    """Of labels it would read as NaN, of flags as none: a row that nobody made."""
    (catalogue,) = sealed(work)
    remove(find_surplus(Workdir(work), intermediate=True))
    for column in ("teff", "flags", "source_id"):
        for chunk in (catalogue / "catalog.zarr" / column / "c").iterdir():
            harm(chunk)
        text = explain(work, source)
        assert f"catalogue dr3/{catalogue.name}: cannot be read (" in text
        assert f"catalog.zarr/{column}/c/0 is " in text
        assert "null" not in text


def test_a_run_with_a_given_model(site, work, tmp_path, source):
    model = shutil.copytree(model_of(work), tmp_path / "model")
    shutil.rmtree(work / "models")
    for stage in ("labels", "match", "training-set", "train", "model"):
        shutil.rmtree(work / "receipts" / stage)
    # Publishing would take the time of a report, and is another test.
    site.run(work, model_path=str(model), steps=("ingest", "predict"))
    assert "\nprediction\n  teff = " in explain(work, source)


def test_what_is_no_run(tmp_path, finished):
    for path, why in (("nowhere", "it is not there"), ("", "no run was begun in it")):
        with pytest.raises(StoreError, match=f"is not a workdir of catalog-builder: {why}"):
            explain(tmp_path / path, 5)
    (tmp_path / "failed" / "logs").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"No run in .* got as far as a plan"):
        explain(tmp_path / "failed", 5)
    (tmp_path / "failed" / "config.json").write_text("{}}")
    with pytest.raises(StoreError, match="damaged or of another version"):
        explain(tmp_path / "failed", 5)


def test_the_command(finished, source, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["catalog-builder", "explain", str(source), "--workdir", str(finished)]
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert f"source_id {source}" in capsys.readouterr().out
