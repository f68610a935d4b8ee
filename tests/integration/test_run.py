"""From archive to sealed catalogue, on a real cluster: what is in it, and what a rerun does."""

import gzip
import hashlib
import json
import shutil
import warnings

import numpy as np
import pytest
from astropy.io import fits

from catalog_builder import open_catalog
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.ground.errors import StoreError
from tests.integration.conftest import columns_of, model_of, sealed


def requested_ids(archive):
    """Read the ids of the driving tables with nothing of the program."""
    ids = set()
    for folder in (archive / "gdr3" / "Spectroscopy").iterdir():
        for file in folder.glob("*.csv.gz"):
            lines = gzip.decompress(file.read_bytes()).decode().splitlines()
            rows = [line for line in lines if not line.startswith("#")]
            assert rows[0].startswith("source_id,")
            ids |= {int(row.split(",", 1)[0]) for row in rows[1:]}
    return ids


def test_every_requested_source_is_a_row_or_a_counted_reject(finished, archive):
    (catalogue,) = sealed(finished)
    accounting = json.loads((catalogue / "RELEASE.json").read_text())["accounting"]
    ids = open_catalog(catalogue).source_id.values
    requested = requested_ids(archive)
    assert accounting["requested"] == len(requested)
    assert accounting["published"] == len(ids) == len(set(ids))
    assert len(requested - set(ids)) == sum(accounting["rejected"].values())
    assert (np.diff(ids) > 0).all()


def test_the_catalogue_is_valid_and_the_same_in_both_formats(finished):
    (catalogue,) = sealed(finished)
    assert validate_catalog(catalogue) == []
    dataset = open_catalog(catalogue)
    with fits.open(catalogue / "catalog.fits", checksum=True) as hdus:
        table = hdus[1]
        assert table.columns.names[:4] == ["source_id", "ra", "dec", "teff"]
        assert table.columns.names[-1] == "flags"
        for number, name in enumerate(table.columns.names, start=1):
            if name == "training_range":
                continue
            np.testing.assert_array_equal(table.data[name], dataset[name].values)
            assert (table.columns[name].unit or "") == dataset[name].attrs["units"]
            assert table.header[f"TUCD{number}"] == dataset[name].attrs["ucd"]
            assert table.header[f"TCOMM{number}"] == dataset[name].attrs["description"]
    for label in ("teff", "logg", "m_h", "alpha_m", "fe_h"):
        value, sigma = dataset[label].values, dataset[f"e_{label}"].values
        assert np.isfinite(value).any()
        np.testing.assert_array_equal(np.isfinite(value), sigma > 0)
    assert not (catalogue / "report.html").exists()


def test_the_same_command_again_does_nothing(site, work):
    before = columns_of(sealed(work)[0])
    assert site.run(work) == {}
    (catalogue,) = sealed(work)
    assert columns_of(catalogue) == before


@pytest.mark.parametrize("stage", ["ingest", "predict", "match"])
def test_a_deleted_receipt_repeats_one_task_and_nothing_after_it(site, work, stage):
    receipt = sorted((work / "receipts" / stage).glob("*.json"))[1]
    old = json.loads(receipt.read_text())
    receipt.unlink()
    assert site.run(work) == {stage: 1}
    new = json.loads(receipt.read_text())
    assert new["output_digest"] == old["output_digest"]
    assert len(sealed(work)) == 1


def test_a_damaged_output_is_made_again(site, work):
    receipt = json.loads(sorted((work / "receipts" / "ingest").glob("*.json"))[0].read_text())
    chunk = next((work / receipt["output"]).glob("xp_flux/c.0.0"))
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert site.run(work) == {"ingest": 1}


def test_a_changed_file_changes_its_partition_and_makes_a_new_version(
    site, work, archive, tmp_path
):
    changed = shutil.copytree(archive, tmp_path / "changed")
    given = {"model_path": str(model_of(work)), "archive": str(changed)}
    (first,) = sealed(work)
    folder = changed / "gdr3" / "gaia_source"
    file = sorted(folder.glob("*.csv.gz"))[2]
    *lines, _ = gzip.decompress(file.read_bytes()).decode().splitlines()
    before = hashlib.md5(file.read_bytes()).hexdigest()
    file.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    after = hashlib.md5(file.read_bytes()).hexdigest()
    listed = (folder / "_MD5SUM.txt").read_text()
    assert before in listed
    (folder / "_MD5SUM.txt").write_text(listed.replace(before, after))

    executed = site.run(work, **given)
    assert executed == {
        **{"ingest": 1, "repeated": 1, "predict": 1},
        **{"publish-chunks": 1, "publish": 1},
    }
    (second,) = set(sealed(work)) - {first}
    assert validate_catalog(first) == []
    lost = set(open_catalog(first).source_id.values) - set(open_catalog(second).source_id.values)
    assert len(lost) == 1


def test_a_whole_run_on_one_worker_makes_what_steps_on_two_make(site, executed, tmp_path):
    workdir, steps = executed
    assert all(steps.values())
    there = site.run(tmp_path / "one", **{"cluster.kind": "local", "cluster.workers": 1})
    assert there == {stage: count for step in steps.values() for stage, count in step.items()}
    (one,), (two,) = sealed(tmp_path / "one"), sealed(workdir)
    assert columns_of(one) == columns_of(two)


def test_chunks_of_another_size_hold_the_same_rows(site, work):
    before = columns_of(sealed(work)[0])
    executed = site.run(work, "publish.chunk_rows=97", version="coprime")
    assert set(executed) == {"publish-chunks", "publish"}
    (other,) = (path for path in sealed(work) if path.name.startswith("coprime"))
    assert columns_of(other) == before
    assert open_catalog(other).teff.chunks[0][0] == 97
    assert validate_catalog(other) == []


def test_a_model_given_to_its_own_archive_knows_who_taught_it(site, work, tmp_path):
    (catalogue,) = sealed(work)
    site.run(tmp_path / "there", model_path=str(model_of(work)))
    (again,) = sealed(tmp_path / "there")
    assert columns_of(again) == columns_of(catalogue)
    assert open_catalog(again).in_training_sample.values.any()


def test_a_model_predicts_another_archive(site, work, tmp_path):
    from catalog_builder.simulate.sky import simulate

    simulate("dr3", 120, 5, tmp_path / "other")
    executed = site.run(
        tmp_path / "there", archive=str(tmp_path / "other"), model_path=str(model_of(work))
    )
    assert not {"labels", "match", "train", "model"} & set(executed)
    (catalogue,) = sealed(tmp_path / "there")
    assert np.isfinite(open_catalog(catalogue).teff.values).mean() > 0.9


def test_a_step_alone_needs_the_steps_before_it(site, tmp_path):
    with pytest.raises(StoreError, match=r"ingest is not complete.*catalog-builder ingest"):
        site.run(tmp_path / "work", steps=("predict",), model_path=None)


def test_the_training_set_holds_each_star_once_and_keeps_splits_apart(finished):
    receipt = json.loads((finished / "receipts" / "training-set" / "apogee-dr17.json").read_text())
    from catalog_builder.training.store import open_training

    dataset = open_training(finished / receipt["output"])
    ids = dataset.source_id.values
    assert ids.size == np.unique(ids).size == receipt["rows_out"]
    counts = {
        split: int((dataset.split.values == i).sum())
        for i, split in enumerate(("fit", "validation", "calibration", "test"))
    }
    assert counts == receipt["notes"]["split_counts"]
    stars = open_catalog(sealed(finished)[0])
    known = np.searchsorted(stars.source_id.values, ids)
    np.testing.assert_array_equal(stars.source_id.values[known], ids)
    expected = np.zeros(stars.sizes["source"], np.uint8)
    expected[known] = dataset.split.values + 1
    np.testing.assert_array_equal(stars.training_split.values, expected)
    taught = np.isin(expected, [1, 2, 3])
    np.testing.assert_array_equal(stars.in_training_sample.values, taught)
    # The two networks of a fold can disagree, as those of the ensemble can.
    told = np.isfinite(stars.member_disagreement.values)
    np.testing.assert_array_equal(told, np.isfinite(stars.teff.values))
    assert told[taught].any()
    assert dataset.xp_flux.dims == ("star", "xp_wavelength")
    scaling = dataset.attrs["scaling"]
    fit = dataset.isel(star=dataset.split.values == 0)
    g = fit.phot_g_mean_mag.values[fit.has_photometry.values].astype(np.float64)
    np.testing.assert_allclose(scaling["photometry_mean"][0], g.mean(), rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        np.testing.assert_allclose(
            scaling["labels_mean"][2], np.nanmean(fit.labels.values[:, 2]), rtol=1e-4, atol=1e-6
        )
