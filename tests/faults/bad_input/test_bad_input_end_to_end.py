"""A whole run over a damaged archive, and models that do not fit: from files to RELEASE.json."""

import hashlib
import json
import os
import shutil
import sys
import threading
import time

import pytest
from safetensors.torch import load, save

from catalog_builder import cli
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.contract.labels import Labels
from catalog_builder.model.document import read_document
from catalog_builder.simulate.sky import simulate

GAIA = "gaia_source"
RVS = "rvs_mean_spectrum"
XP = "xp_continuous_mean_spectrum"
SAMPLED = "xp_sampled_mean_spectrum"

#: The smallest model that trains: a run's bookkeeping does not depend on how good it is.
TINY_MODEL = ["model.epochs=1", "model.members=1", "model.folds=0", "model.min_label_stars=20"]


@pytest.fixture(scope="module")
def sealed(cluster, open_archive, tmp_path_factory):
    """Run over an archive with something wrong in every partition but two."""
    root = tmp_path_factory.mktemp("end-to-end")
    simulate("dr3", 540, 0, root / "archive", apogee_share=0.5)
    archive = open_archive(root / "archive")
    names = archive.partitions

    truncated = archive.path(RVS, names[0])
    archive.write(RVS, truncated.read_bytes()[:200_000], partition=names[0])
    differs = archive.path(XP, names[3])
    archive.write(XP, differs.read_bytes() + b"\0", partition=names[3], listed=False)
    text = archive.text(GAIA, names[4])
    text.set(0, "parallax", "abc")
    text.set(1, "ra", "null")
    archive.write(GAIA, text, partition=names[4])

    unquiet = archive.path(SAMPLED, names[5])
    stop = threading.Event()

    def keep_changing():
        while not stop.is_set():
            os.utime(unquiet)
            time.sleep(0.002)

    changer = threading.Thread(target=keep_changing)
    changer.start()
    options = ["--archive", archive.root, "--workdir", root / "work", "--cluster", cluster]
    settings = [*TINY_MODEL, "ingest.max_rejected=0.5"]
    options += [part for setting in settings for part in ("--set", setting)]
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["catalog-builder", "run", *map(str, options)])
            with pytest.raises(SystemExit) as end:
                cli.main()
    finally:
        stop.set()
        changer.join()
    assert end.value.code == 0
    (folder,) = (root / "work" / "catalogs" / "dr3").glob("*/")
    return folder, archive, names, root / "work"


def test_everything_that_was_wrong_is_in_the_sealed_record(sealed):
    folder, archive, names, _ = sealed
    record = json.loads((folder / "RELEASE.json").read_text())
    incidents = record["incidents"]
    reasons = {name: facts["reason"] for name, facts in incidents["files"].items()}
    assert reasons == {
        archive.path(RVS, names[0]).name: "truncated_file",
        archive.path(XP, names[3]).name: "checksum_mismatch",
    }
    assert incidents["rows"][XP]["checksum_mismatch"] == len(archive.ids(XP, partition=names[3]))
    assert incidents["cells"][f"{GAIA}.parallax"] == 1
    assert set(incidents["partitions"]) == {names[5]}
    assert archive.path(SAMPLED, names[5]).name in incidents["partitions"][names[5]]
    assert str(archive.root) not in json.dumps(record)


def test_every_requested_source_is_a_row_or_a_counted_reject(sealed):
    folder, archive, names, _ = sealed
    books = json.loads((folder / "RELEASE.json").read_text())["accounting"]
    assert books["requested"] == books["published"] + sum(books["rejected"].values())
    # The truncated file no longer says whom it asked for; every other request is counted.
    known = sum(len(archive.ids(partition=name)) for name in names[1:])
    known += len(archive.ids(XP, SAMPLED, partition=names[0]))
    assert known <= books["requested"] <= known + 20
    assert books["rejected"]["quarantined_partition"] == len(archive.ids(partition=names[5]))


def test_the_catalogue_is_valid_in_spite_of_it_all(sealed):
    folder, *_ = sealed
    assert validate_catalog(folder) == []


# --- models ---------------------------------------------------------------------------------------


@pytest.fixture
def model(sealed, tmp_path):
    """A copy of the model that the run trained."""
    *_, work = sealed
    (trained,) = (
        path.parent for path in work.glob("models/*/model.json") if path.parent.name != "members"
    )
    return shutil.copytree(trained, tmp_path / "model")


def edit(model, **changes):
    """Change what a model says of itself, its own digest included."""
    document = read_document(model).model_copy(update=changes)
    document = document.model_copy(update={"digest": document.content_digest()})
    (model / "model.json").write_bytes(document.to_bytes())


def flip_a_weight(model):
    file = next(model.glob("*.safetensors"))
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)


def other_features(model):
    edit(model, trained_inputs=("rvs", "infrared"))


def other_grid(model):
    settings = read_document(model).settings
    edit(model, settings=settings.model_copy(update={"flux_components": 7}))


def other_labels(model):
    contract = read_document(model).contract
    edit(model, contract=contract.model_copy(update={"labels": Labels(contract.labels[:3])}))


def truncated_weights(model):
    file = next(model.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])


DAMAGES = {
    "no folder": (shutil.rmtree, "model.json"),
    "no model.json": (lambda model: (model / "model.json").unlink(), "model.json"),
    "no JSON": (lambda model: (model / "model.json").write_text("{"), "model.json"),
    "another document": (lambda model: (model / "model.json").write_text("{}"), "settings"),
    "edited": (
        lambda model: (model / "model.json").write_text(
            (model / "model.json").read_text().replace('"epochs": 1', '"epochs": 2')
        ),
        "its own digest",
    ),
    "no weights": (lambda model: next(model.glob("*.safetensors")).unlink(), "safetensors"),
    "a flipped weight": (flip_a_weight, "its digest differs"),
    "truncated weights": (truncated_weights, "its digest differs"),
    "other features": (other_features, "infrared"),
    "other labels": (other_labels, "trained_labels"),
    "another grid": (other_grid, "safetensors"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_model_that_does_not_fit_is_refused(bench, model, kind):
    damage, seen = DAMAGES[kind]
    damage(model)
    bench.ingest()
    bench.refuse(7, seen, model, step="predict", arguments=["--model", model])
    assert not list((bench.workdir / "receipts" / "predict").glob("*.json"))


def test_a_sound_model_from_elsewhere_predicts(bench, model):
    bench.ingest()
    answer = bench.step("predict", "--model", model)
    assert answer.code == 0, answer.err
    receipt = bench.receipt(bench.archive.first, "predict")
    assert receipt["rows_out"] == bench.clean_books.rows_out


# --- answers --------------------------------------------------------------------------------------


def overflowing(archive):
    """Give stars of the first partition values that are finite, and nothing computed of them is."""
    text = archive.text(GAIA)
    spectra = archive.ids()
    rows = [row for row in range(len(text.rows)) if text.source_id(row) in spectra]
    extremes = (
        {"phot_bp_mean_mag": "-3.3e38", "phot_rp_mean_mag": "3.3e38"},
        {"phot_g_mean_mag": "3e5"},
        {"parallax": "1e300", "parallax_error": "1e-44"},
    )
    for row, cells in zip(rows, extremes, strict=False):
        for name, value in cells.items():
            text.set(row, name, value)
    archive.write(GAIA, text)
    return [text.source_id(row) for row in rows[: len(extremes)]]


def test_a_star_without_a_finite_answer_is_counted_kept_by_name_and_explained(bench, model):
    failed = overflowing(bench.archive)
    answer = bench.step("run", "--model", model)
    assert answer.code == 0, answer.err
    receipt = bench.receipt(bench.archive.first, "predict")
    assert receipt["rejected"] == {"prediction_failed": len(failed)}
    (folder,) = (bench.workdir / "catalogs" / "dr3").glob("*/")
    assert validate_catalog(folder) == []
    books = json.loads((folder / "RELEASE.json").read_text())["accounting"]
    assert books["rejected"] == {"prediction_failed": len(failed)}
    assert books["requested"] == books["published"] + len(failed)
    closing = f"{books['published']} published + {len(failed)} rejected ({len(failed)} prediction"
    assert closing in answer.out
    assert "prediction_failed" in (folder / "report.html").read_text()
    for source_id in failed:
        told = bench.command("explain", source_id, "--workdir", bench.workdir)
        assert "prediction_failed" in told.out
        assert "not in it" in told.out  # the catalogue

    # The same command again does nothing more; a lower limit stops it before it publishes.
    again = bench.step("publish", "--model", model, "--set", "ingest.max_rejected=0.05")
    assert again.code == 7
    assert f"{len(failed)} of {books['requested']} sources could not be predicted" in " ".join(
        again.err.split()
    )


def test_a_model_that_answers_nobody_publishes_nothing(bench, model):
    file = model / "member-00.safetensors"
    tensors = load(file.read_bytes())
    file.write_bytes(
        save({**tensors, "head.bias": tensors["head.bias"] + 3e38}, {"document": "{}"})
    )
    (weights,) = read_document(model).weights
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    edit(model, weights=(weights.model_copy(update={"sha256": digest}),))
    answer = bench.step("run", "--model", model, "--set", "ingest.max_rejected=0.1")
    assert answer.code == 7, answer.err
    assert "no finite answer" in " ".join(answer.err.split())
    assert not list((bench.workdir / "catalogs").glob("dr3/*"))
