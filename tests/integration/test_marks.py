"""What is simulated is called so by every product, whatever part of the mark is lost on the way."""

import gzip
import html
import json
import shutil

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from catalog_builder import open_catalog
from catalog_builder.archive.release import load_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.ground.errors import ModelError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.survey import load_survey
from catalog_builder.run.config import load_config
from catalog_builder.run.runs import run_steps
from catalog_builder.simulate.score import score
from catalog_builder.simulate.sky import simulate
from tests.integration.conftest import QUICK, model_of, sealed


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a small clean sky, with all its marks."""
    out = tmp_path_factory.mktemp("small") / "archive"
    simulate("dr3", 120, 5, out, clean=True)
    return out


@pytest.fixture
def lent(small, tmp_path):
    """Return a copy of the small sky that a test may spoil."""
    return partial_copy(small, tmp_path / "copy")


def partial_copy(archive, copy):
    """Copy a simulated archive without the file in its root, as happens to parts of it."""
    ignored = shutil.ignore_patterns("SIMULATED.json", "truth")
    return shutil.copytree(archive, copy, ignore=ignored)


def without_marks(archive, *but):
    """Take the mark from tables whose names have none of these words, as if they were observed."""
    for file in archive.rglob("*.csv.gz"):
        if not any(word in file.name for word in but):
            lines = gzip.decompress(file.read_bytes()).decode().splitlines(keepends=True)
            kept = "".join(line for line in lines if not line.startswith("# meta:"))
            file.write_bytes(gzip.compress(kept.encode()))
    for file in archive.rglob("_MD5SUM.txt"):
        file.unlink()
    for file in archive.glob("apogee/*.fits"):
        with fits.open(file, mode="update") as hdus:
            for hdu in hdus:
                hdu.header.remove("SIMULATD", ignore_missing=True)
    return archive


def run(site, workdir, archive, **options):
    """Run over an archive; return RELEASE.json, the catalogue's folder and the closing lines."""
    settings = {"archive": str(archive), "workdir": str(workdir), "cluster.kind": site.address}
    config = load_config(None, [*QUICK, "publish.report=true"], settings | options)
    said = []
    run_steps(config, ("ingest", "predict", "publish"), verbosity=-1, echo=said.append)
    (catalogue,) = sealed(workdir)
    assert validate_catalog(catalogue) == []
    assert "<html" in (catalogue / "report.html").read_text(encoding="utf-8")
    return json.loads((catalogue / "RELEASE.json").read_text()), catalogue, "\n".join(said)


def marks_of(catalogue):
    """Return what the zarr store, both FITS headers and the report say of stars and model."""
    attributes = open_catalog(catalogue).attrs
    headers = [fits.getheader(catalogue / "catalog.fits", hdu) for hdu in (0, 1)]
    page = (catalogue / "report.html").read_text(encoding="utf-8")
    return {
        "zarr": ("simulated" in attributes, "model_simulated" in attributes),
        "fits": [(header["SIMULATD"], header["MODELSIM"]) for header in headers],
        "report": ('class="banner"' in page, "Simulated training stars." in page),
    }


@pytest.fixture(scope="module")
def given(site, finished, small, tmp_path_factory):
    """Run with a given model over a copy without the file in its root; see `run`."""
    root = tmp_path_factory.mktemp("given")
    partial_copy(small, root / "copy")
    return run(site, root / "work", root / "copy", model_path=str(model_of(finished)))


def test_every_receipt_and_product_of_a_simulated_sky_says_so(site, work):
    site.run(work, "publish.report=true", steps=("publish",))
    receipts = list(work.glob("receipts/*/*.json"))
    assert len(receipts) > 20
    assert all(json.loads(file.read_text())["notes"]["simulated"] for file in receipts)
    (catalogue,) = (each for each in sealed(work) if (each / "report.html").exists())
    record = json.loads((catalogue / "RELEASE.json").read_text())
    assert record["catalogue"] == "catalog-builder simulated Gaia Data Release 3"
    assert record["simulated"] is record["model"]["simulated"] is True
    assert record["model"]["trained_elsewhere"] is False
    credit = " ".join(record["acknowledgements"])
    assert not any(name in credit for name in ("ESA", "DPAC", "SDSS", "Sloan"))
    assert marks_of(catalogue) == {
        "zarr": (True, True), "fits": [(True, True)] * 2, "report": (True, False)
    }  # fmt: skip
    assert Table.read(catalogue / "catalog.fits", hdu=1, unit_parse_strict="silent").meta[
        "SIMULATD"
    ]
    page = (catalogue / "report.html").read_text(encoding="utf-8")
    for description in (load_release("dr3"), load_survey("apogee-dr17")):
        assert description.credit not in html.unescape(page)
    document = json.loads((model_of(work) / "model.json").read_text())
    assert document["provenance"]["simulated"] is True
    assert document["provenance"]["release_digest"] == record["release_digest"]


def test_a_partial_copy_with_a_given_model(site, finished, given):
    record, catalogue, said = given
    assert (record["simulated"], record["simulated_partitions"]) == (True, 6)
    assert said.startswith("SIMULATED: Every star")
    assert record["accounting"]["rejected"] == {}
    assert marks_of(catalogue)["fits"] == [(True, True)] * 2
    # The metrics are the model's own, and are called so.
    own = json.loads((sealed(finished)[0] / "RELEASE.json").read_text())["model"]
    assert record["model"] == own | {"trained_elsewhere": True}
    facts = (record["model_digest"][:12], own["archive"][:12], "apogee-dr17", "dr3")
    page = html.unescape((catalogue / "report.html").read_text(encoding="utf-8"))
    for fact in ("Measured where the model was trained", *facts):
        assert fact in said
        assert fact in page


def test_what_compares_with_the_truth_is_unmoved(given, small):
    assert score(open_catalog(given[1]), small / "truth").unknown == 0


def marked_partitions(site, workdir, archive):
    """Ingest an archive; return which of its partitions are marked, in order."""
    site.run(workdir, archive=str(archive), steps=("ingest",))
    files = sorted((workdir / "receipts" / "ingest").glob("*.json"))
    return [json.loads(file.read_text())["notes"].get("simulated", False) for file in files]


def test_the_file_in_the_root_is_enough(site, lent, tmp_path):
    (without_marks(lent) / "SIMULATED.json").write_text("{}")
    assert marked_partitions(site, tmp_path / "work", lent) == [True] * 6
    # Without it nothing is left that says so; no output of before is taken for that.
    (lent / "SIMULATED.json").unlink()
    assert marked_partitions(site, tmp_path / "work", lent) == [False] * 6


def test_one_simulated_file_marks_its_partition(site, lent, tmp_path):
    names = sorted(file.name for file in lent.rglob("GaiaSource*"))
    without_marks(lent, names[2])
    marks = marked_partitions(site, tmp_path / "work", lent)
    assert marks == [number == 2 for number in range(6)]


def test_real_stars_with_a_model_of_simulated_ones(site, finished, lent, tmp_path):
    record, catalogue, said = run(
        site, tmp_path / "work", without_marks(lent), model_path=str(model_of(finished))
    )
    assert record["simulated"] is False
    assert record["model"]["simulated"] is True
    assert "trained on simulated stars" in record["catalogue"]
    assert said.startswith("SIMULATED TRAINING STARS: ")
    assert marks_of(catalogue) == {
        "zarr": (False, True), "fits": [(False, True)] * 2, "report": (True, True)
    }  # fmt: skip
    (credit,) = record["acknowledgements"]
    assert credit == load_release("dr3").credit


def test_a_clean_sky_has_nothing_to_reject(site, tmp_path):
    simulate("dr3", 600, 5, tmp_path / "sky", clean=True)
    steps, said = ("ingest", "training-set"), []
    site.run(tmp_path / "work", archive=str(tmp_path / "sky"), steps=steps, said=said)
    assert_every_label_row_is_told(said[0], tmp_path / "work")
    receipts = [
        json.loads(file.read_text()) for file in (tmp_path / "work").glob("receipts/*/*.json")
    ]
    assert {receipt["stage"] for receipt in receipts} == {
        "ingest", "labels", "match", "training-set"
    }  # fmt: skip
    for receipt in receipts:
        assert receipt["rejected"] == {}
        notes = receipt["notes"]
        for name in ("row_rejects", "cell_nulls", "file_rejects", "absent", "label_nulls"):
            assert not np.any(list(notes.get(name, {}).values())), (receipt["stage"], name)


def assert_every_label_row_is_told(said, work):
    """A run that ends with the training set says how rows of labels became the stars in it."""
    notes = {
        stage: json.loads(next(work.glob(f"receipts/{stage}/*.json")).read_text())
        for stage in ("labels", "training-set")
    }
    rows, split = notes["labels"]["rows_in"], notes["training-set"]["notes"]["split_counts"]
    assert f"Labels: {rows} rows of apogee-dr17 = {rows} stars + 0 left out." in said
    assert f"Training set: {sum(split.values())} of their spectra = {split['fit']} fit + " in said


def test_simulated_stars_are_told_in_the_first_line_and_in_the_log(site, work, capsys):
    settings = {"archive": str(site.archive), "workdir": str(work), "cluster.kind": site.address}
    config = load_config(None, QUICK, settings)
    run_steps(config, ("ingest", "training-set"), echo=list)
    told = "SIMULATED STARS, says the archive and the label file."
    assert capsys.readouterr().err.splitlines()[0] == told
    log = max((work / "logs").glob("run-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    (start,) = (event for event in events if event["event"] == "start")
    assert start["simulated"] == told


def test_a_model_of_spectra_in_another_frame_is_refused(site, finished, small, tmp_path):
    text = (schemas_dir() / "releases" / "dr3.yaml").read_text(encoding="utf-8")
    other = tmp_path / "dr3.yaml"
    assert "frame: rest" in text
    other.write_text(text.replace("frame: rest", "frame: barycentric"), encoding="utf-8")
    with pytest.raises(ModelError, match=r"rvs\.frame is barycentric here, rest for the model"):
        run(site, tmp_path / "w", small, model_path=str(model_of(finished)), release=str(other))


def test_another_description_is_told_and_makes_another_edition(
    site, finished, given, small, tmp_path
):
    first, _, _ = given
    other = tmp_path / "dr3.yaml"
    text = (schemas_dir() / "releases" / "dr3.yaml").read_text(encoding="utf-8")
    other.write_text(text.replace("title: Gaia", "title: Our Gaia"), encoding="utf-8")
    model = str(model_of(finished))
    second, _, _ = run(site, tmp_path / "two", small, model_path=model, release=str(other))
    assert first["release_digest"] != second["release_digest"]
    assert second["model"]["release_digest"] == first["release_digest"]
    assert first["version"] != second["version"]
    log = next((tmp_path / "two" / "logs").glob("run-*.jsonl")).read_text()
    assert "the model's release is described otherwise: title is" in log
