"""An archive that is not Gaia's, from words for identifiers to a sealed catalogue."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
import zarr
from astropy.table import Table

from catalog_builder import open_catalog
from catalog_builder.archive.identifiers import keys_of
from catalog_builder.catalog.fits_table import EXTENSION
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.looking.explain import explain
from tests.integration.conftest import sealed
from tests.rave import write

STARS = 500


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    root = tmp_path_factory.mktemp("rave")
    known = write(root, STARS)
    units = {"teff": "K", "logg": "dex(cm s-2)"}
    columns = {"teff": "TEFF", "logg": "LOGG", "m_h": "M_H", "alpha_m": "ALPHA_M", "fe_h": "FE_H"}
    survey = {
        "name": "by-crossmatch", "title": "APOGEE by a crossmatch", "credit": "SDSS",
        "source_id_release": "rave-dr6", "files": ["apogee/allStar.fits"], "hdu": 1,
        "source_id": "APOGEE_ID", "text_ids": True, "sig_to_noise": "SNR",
        "crossmatch": {
            "files": ["apogee/rave_x_apogee.fits"], "own": "APOGEE_ID", "source_id": "raveid",
            "distance": "distance", "largest_distance": 2.0,
        },
        "labels": {
            name: {
                "column": column, "error": f"{column}_ERR", "unit": units.get(name, "dex"),
                "error_floor": 0.01, "error_if_missing": 1.0,
            }
            for name, column in columns.items()
        },
        "duplicates": "best_sig_to_noise",
    }  # fmt: skip
    (root / "survey.yaml").write_text(yaml.safe_dump(survey))
    return root, known


@pytest.fixture(scope="module")
def published(site, sky, tmp_path_factory):
    root, _ = sky
    workdir = tmp_path_factory.mktemp("work") / "work"
    settings = (
        "release=rave-dr6",
        f"training.survey={root / 'survey.yaml'}",
        "publish.formats=[fits, hats]",
        "model.min_label_stars=20",
        "model.folds=0",
        "cluster.workers=1",
    )
    dataclasses.replace(site, archive=root).run(workdir, *settings)
    (folder,) = sealed(workdir)
    return workdir, folder


def test_each_spectrum_is_a_row_and_its_words_lie_beside_it(sky, published):
    _, known = sky
    workdir, folder = published
    assert validate_catalog(folder) == []
    catalogue = open_catalog(folder)
    order = np.argsort(keys_of(known.obsid))
    np.testing.assert_array_equal(catalogue["source_id"].values, keys_of(known.obsid)[order])
    np.testing.assert_array_equal(catalogue["star_id"].values, keys_of(known.raveid)[order])
    beside = pq.read_table(folder / "identifiers")
    assert beside.column_names == ["source_id", "obsid", "star_id", "raveid"]
    np.testing.assert_array_equal(beside["source_id"], catalogue["source_id"].values)
    assert beside["obsid"].to_pylist() == [name.decode() for name in known.obsid[order].tolist()]
    assert beside["raveid"].to_pylist() == [name.decode() for name in known.raveid[order].tolist()]
    (part, *_) = sorted((folder / "identifiers").glob("*.parquet"))
    assert "BLAKE2b" in Table.read(part, format="parquet.votable")["source_id"].description
    table = Table.read(folder / "identifiers.fits", hdu=EXTENSION)
    assert table["raveid"].tolist() == beside["raveid"].to_pylist()
    assert not (folder / "identifiers.zarr").exists()
    word = beside["obsid"][7].as_py()
    assert f"({word})" in explain(workdir, word)


def test_no_star_is_on_both_sides(published):
    workdir, folder = published
    catalogue = open_catalog(folder)
    star, split = catalogue["star_id"].values, catalogue["training_split"].values
    assert len(star) == STARS + -(-STARS // 3)
    assert (split > 0).all()
    assert len(np.unique(split)) == 4
    assert len(np.unique(np.stack([star, split]), axis=1).T) == len(np.unique(star)) == STARS
    (training,) = (workdir / "training").glob("*")
    group = zarr.open_group(training, mode="r")
    pairs = np.stack([group["star_id"][:], group["split"][:]])
    assert len(np.unique(pairs, axis=1).T) == STARS


def test_a_run_may_combine_them(site, sky, tmp_path):
    root, known = sky
    settings = ("release=rave-dr6", "several_spectra=combined", "cluster.workers=1")
    counts = dataclasses.replace(site, archive=root).run(
        tmp_path / "work", *settings, steps=["ingest"]
    )
    assert counts == {"ingest": 1}
    assert len(np.unique(known.raveid)) == STARS
    word = known.raveid[3].decode()
    assert f"({word})" in explain(tmp_path / "work", word)
