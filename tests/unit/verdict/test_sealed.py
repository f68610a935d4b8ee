"""Checks are sealed with a catalogue, and read again."""

import json

import pytest
import zarr
from typer.testing import CliRunner

from catalog_builder.catalog.check_record import Check, closing_lines
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.cli.program import app
from catalog_builder.features.population import InputCounts
from catalog_builder.inference.rows import RowWriter
from catalog_builder.publish.edition import Edition
from catalog_builder.publish.labelled import LabelStores
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.publish.stage import (
    CHUNKS,
    SEAL,
    PublishContext,
    plan_chunk_tasks,
    plan_seal,
    prepare_store,
)
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.tasks import run_task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.training.match import write_arrays
from catalog_builder.verdict.facts import VerdictFacts
from tests.spoilt import EDGES
from tests.unit.catalog.conftest import facts as facts  # noqa: PLC0414
from tests.unit.catalog.conftest import receipt_of
from tests.unit.verdict.conftest import STARS


@pytest.fixture(scope="module")
def sealed(tmp_path_factory, honest, schema, request):
    """Return the folder of an honest sky, published in three chunks."""

    root, about = tmp_path_factory.mktemp("published"), request.getfixturevalue("facts")
    writer = RowWriter(root / "predictions.zarr", schema, STARS)
    writer.write(0, honest.columns)
    writer.finish()
    write_arrays(root / "features.zarr", {"int64": honest.columns["source_id"][None]})
    about_it = {"kind": "features", "sources": STARS, "spectra": {}}
    about_it["columns"] = {"int64": ["source_id"]}
    zarr.open_group(root / "features.zarr").attrs.update(about_it)
    matched = {"row": honest.at, "labels": honest.labels, "label_error": honest.errors}
    write_arrays(root / "matches.zarr", matched)
    settings = PublishSettings(report=False, chunk_rows=1500)
    edition = Edition("dr3", "v1", "0123456789abcdef")
    record = {**about, **honest.record}
    known = VerdictFacts(
        edges=EDGES,
        survey_labels=schema.contract.labels.names,
        folds=5,
        ingested=InputCounts(),
        not_compared="the model has no reference",
    )
    context = PublishContext(
        *(Workdir(root), schema, settings, edition, record),
        verdict=known,
        survey_labels=known.survey_labels,
    )
    predictions = [receipt_of("predictions.zarr", STARS)]
    context = prepare_store(context, predictions)
    need = Need("x", "y", checked="nothing")
    labels = {"predictions.zarr": LabelStores(("features.zarr", "matches.zarr"), (need, need), "d")}
    chunks = plan_chunk_tasks(edition, predictions, settings, labels)
    for task in chunks:
        run_task(CHUNKS, context, context.workdir, task)
    (seal,) = plan_seal(edition, chunks)
    return root / run_task(SEAL, context, context.workdir, seal).output


def test_the_seal_knows_what_the_rows_themselves_say(sealed, honest):
    """Of sums that three chunks left: the same numbers as of all stars at once."""
    assert validate_catalog(sealed) == []
    found = {check.name: check for check in read_release(sealed).checks}
    for name in ("coverage", "coverage_95", "bias", "bias_along", "scatter", "fit_stars", "sky"):
        (whole,) = (check for check in honest.checks() if check.name == name)
        assert (found[name].number, found[name].about) == (whole.number, whole.about)
        assert (found[name].tests, found[name].stars) == (whole.tests, whole.stars)
    assert found["tiers"].words == "the model has no reference."
    assert found["columns"].state == "not tested"


def test_they_are_printed_and_a_fail_has_an_exit_code_of_its_own(sealed, tmp_path):
    done = CliRunner().invoke(app, ["validate", str(sealed), "--science"])
    assert done.exit_code == 0
    assert done.stdout.count("CHECK ") == len(read_release(sealed).checks)
    record = read_release(sealed)
    worse = [check.model_copy(update={"state": "fail"}) for check in record.checks]
    record = record.model_copy(update={"checks": tuple(worse)})
    copy = tmp_path / "v1"
    copy.mkdir()
    edited = json.loads(record.to_json())
    (copy / "RELEASE.json").write_text(json.dumps(edited))
    assert CliRunner().invoke(app, ["validate", str(copy), "--science"]).exit_code != 0
    honestly = record.model_copy(update={"seal": record.expected_seal()})
    (copy / "RELEASE.json").write_text(honestly.to_json())
    done = CliRunner().invoke(app, ["validate", str(copy), "--science"])
    assert done.exception.exit_code == 11


def test_closing_lines_have_one_for_each_that_did_not_pass():
    states = ("pass", "warn", "fail", "not tested", "pass")
    checks = [Check(name=s, title=s, state=s, words="so it is.") for s in states]
    assert closing_lines(checks) == [
        "Checks: 2 pass, 1 not tested, 1 warn, 1 fail.",
        "CHECK warn: warn: so it is.",
        "CHECK fail: fail: so it is.",
        "CHECK not tested: not tested: so it is.",
    ]
