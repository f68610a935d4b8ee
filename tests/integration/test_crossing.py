"""Labels and models of DR3 in a later release: every star is the right one, or counted."""

import json
import sys

import numpy as np
import pytest
import zarr
from astropy.io import fits

from catalog_builder import cli, open_catalog
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.ground.errors import InputError
from catalog_builder.model.document import read_document
from catalog_builder.model.taught import taught_by
from catalog_builder.runtime.cleaning import find_surplus
from catalog_builder.runtime.workdir import Workdir
from tests.integration.conftest import model_of, sealed
from tests.renumbered import renumber


@pytest.fixture(scope="module")
def twin(archive, tmp_path_factory):
    return renumber(archive, tmp_path_factory.mktemp("later") / "archive", seed=2)


@pytest.fixture(scope="module")
def later(twin):
    """Return what a run in the later release is given."""
    return {"release": str(twin.release), "archive": str(twin.archive)}


@pytest.fixture(scope="module")
def place(site, later, tmp_path_factory):
    """A workdir in which labels went through the crosswalk."""
    workdir = tmp_path_factory.mktemp("walked") / "work"
    site.run(workdir, steps=("ingest", "training-set"), **later)
    return workdir


def receipt(workdir, stage):
    (file,) = (workdir / "receipts" / stage).glob("*.json")
    return json.loads(file.read_text())


def arrays(workdir, made):
    group = zarr.open_group(workdir / made["output"], mode="r")
    return {name: array[:] for name, array in group.arrays()}


def test_every_label_is_on_its_right_star_or_counted(twin, place):
    made, read = receipt(place, "crosswalk"), receipt(place, "labels")
    labels, walked = arrays(place, read), arrays(place, made)
    known = dict(zip(walked["old_source_id"].tolist(), walked["source_id"].tolist(), strict=True))
    assert known == {old: twin.new_of[old] for old in known}
    assert not set(known) & (twin.doubtful | twin.gone)
    ids = set(labels["source_id"].tolist())
    assert set(known) == ids - twin.doubtful - twin.gone
    assert made["rows_in"] == len(ids)
    assert made["rows_in"] - made["rows_out"] == sum(made["rejected"].values()) > 0
    moved = sum(old != new for old, new in known.items())
    assert moved > 5  # else all of this would be true of raw identifiers
    order = np.argsort(labels["source_id"])
    at = order[np.searchsorted(labels["source_id"][order], walked["old_source_id"])]
    np.testing.assert_array_equal(walked["labels"], labels["labels"][at])


def test_a_crosswalk_is_done_once(site, place, later):
    assert not site.run(place, steps=("ingest", "training-set"), **later)


def test_a_model_of_an_older_release_is_measured(site, finished, twin, place, later):
    model = model_of(finished)
    site.run(place, model_path=str(model), **later)
    (folder,) = sealed(place)
    told: list[str] = []
    assert site.run(place, model_path=str(model), said=told, **later) == {}
    walked = receipt(place, "crosswalk")  # long done, and said all the same
    assert f"{walked['rows_in']} stars = {walked['rows_out']} found in this one" in told[-1]
    assert not validate_catalog(folder)
    record = read_release(folder)
    assert record.unverified is None
    assert record.metrics == read_document(model).metrics
    measured = record.measured_here
    known, labels = taught_by(model), arrays(place, receipt(place, "labels"))["source_id"]
    split = known.find(labels, "dr3").split
    assert 0 < measured.stars <= np.count_nonzero((split == 0) | (split == 4))
    assert 0 < measured.taught <= np.count_nonzero((split > 0) & (split < 4))
    assert measured.metrics["as_observed"]["all"]["teff"]["stars"] <= measured.stars
    assert record.incidents.labels.crosswalk["one"] == receipt(place, "crosswalk")["rows_out"]
    assert any("Dr3Neighbourhood" in name for name in record.inputs)
    assert fits.getheader(folder / "catalog.fits")["UNVERIF"] is False
    # Those who taught are known by their new ids.
    catalogue = open_catalog(folder)
    said = dict(
        zip(
            catalogue.source_id.values.tolist(),
            catalogue.training_split.values.tolist(),
            strict=True,
        )
    )
    olds = np.array([old for old in twin.new_of if old not in twin.doubtful])
    for old, was in zip(olds.tolist(), known.find(olds, "dr3").split.tolist(), strict=True):
        assert said.get(twin.new_of[old], was) == was


def test_a_catalogue_tells_its_old_identifiers(place, twin, later, tmp_path, monkeypatch, capsys):
    (folder,) = sealed(place)[:1]
    out = tmp_path / "table.csv"
    arguments = ["crosswalk", str(folder), "--archive", later["archive"]]
    arguments += ["--release", later["release"], "-o", str(out)]
    monkeypatch.setattr(sys, "argv", ["catalog-builder", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0, capsys.readouterr().err
    rows = [line.split(",") for line in out.read_text().splitlines()[1:]]
    sure = {int(old): int(new) for new, old, *_, status in rows if status == "one"}
    assert sure == {old: twin.new_of[old] for old in sure}
    assert not set(sure) & twin.doubtful
    assert {row[0] for row in rows} == set(map(str, open_catalog(folder).source_id.values))


def test_an_unmeasured_model_marks_what_it_makes(site, finished, place, later):
    site.run(place, model_path=str(model_of(finished)), unverified_model=True, **later)
    folder = max(sealed(place), key=lambda path: path.stat().st_mtime_ns)
    record = read_release(folder)
    assert (record.unverified, record.measured_here) == (True, None)
    assert not validate_catalog(folder)
    assert fits.getheader(folder / "catalog.fits")["UNVERIF"] is True
    assert "not measured on stars of dr4" in open_catalog(folder).attrs["unverified"]


@pytest.mark.parametrize(
    ("options", "words"), [({}, "holds no dr3_neighbourhood"), ({"model": 1}, "has to be measured")]
)
def test_without_the_table_a_run_does_not_begin(
    site, finished, twin, later, tmp_path, options, words
):
    for name in ("gdr3", "apogee", "SIMULATED.json"):
        (tmp_path / name).symlink_to(twin.archive / name)
    given = {"model_path": str(model_of(finished))} if options else {}
    with pytest.raises(InputError, match=words) as refusal:
        site.run(tmp_path / "work", **{**later, **given, "archive": str(tmp_path)})
    assert "--table dr3_neighbourhood" in refusal.value.way_out
    assert ("--unverified-model" in refusal.value.way_out) is bool(given)
    assert not (tmp_path / "work" / "receipts").exists()


def test_sigma_is_fitted_anew_without_a_training(site, work, place, later):
    # More test stars: the new release has no others that did not teach.
    more = ("training.test=0.45", "training.calibration=0.1", "training.validation=0.1")
    more = (*more, "model.folds=0")
    site.run(work, *more, steps=("training-set", "train"))
    model = model_of(work)
    done = site.run(place, model_path=str(model), recalibrate=True, **later)
    assert done["recalibrate"] == 1
    assert "train" not in done
    new = place / receipt(place, "recalibrate")["output"]
    before, after = read_document(model), read_document(new)
    assert after.provenance["parent"] == before.digest != after.digest
    assert after.provenance["calibrated_release"] == "dr4"
    record = read_release(max(sealed(place), key=lambda path: path.stat().st_mtime_ns))
    assert record.model_digest == after.digest
    assert record.metrics == after.metrics
    assert (record.model.parent, record.model.calibrated_release) == (before.digest, "dr4")
    assert record.measured_here is None
    assert record.unverified is None


def test_what_these_stages_leave_is_cleaned_away(place):
    (place / "translated" / "apogee-dr17-00000000.zarr").mkdir()
    found = find_surplus(Workdir(place))
    assert "translated" in {one.path.parent.name for one in found}
    folders = {one.path.parent.name for one in find_surplus(Workdir(place), intermediate=True)}
    assert {"crosswalks", "translated", "taught", "comparisons", "measures"} <= folders
