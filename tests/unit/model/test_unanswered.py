"""A star that has inputs and gets no finite answer has no row; nobody else is the worse for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from catalog_builder.features.store import FeatureWriter, arrays_of
from catalog_builder.ground.errors import ModelError
from catalog_builder.inference.columns import catalogue_columns, unanswered
from catalog_builder.inference.predict import predict_partition
from catalog_builder.inference.rows import read_failed, read_rows
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.net.packed import PackedLinear

SCHEMA = default_schema()
MODALITIES = default_contract().inputs.names
ARRAYS = arrays_of(default_contract().inputs)
STARS, BATCH = 300, 100
BIG = np.finfo(np.float32).max


@pytest.fixture(scope="module")
def model(members, sky, scaling, settings, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    assemble(members, sky, scaling, settings, {"survey": "invented"}, out)
    return out


@pytest.fixture(scope="module")
def estimator(model) -> Estimator:
    return Estimator.load(model)


@pytest.fixture
def block(sky):
    """Return features of some stars, with all that the catalogue copies from them."""
    copied = {name: values[:STARS].copy() for name, values in sky.block.items()}
    for column in SCHEMA.columns:
        if column.name not in copied:
            copied[column.name] = np.zeros(STARS, column.numpy_dtype)
    return copied


def write(block, path):
    writer = FeatureWriter(path, 64, default_contract().inputs)
    for kind, arrays in ARRAYS.items():
        writer.append(kind, {name: block[name] for name in arrays})
    spectra = {name for arrays in ARRAYS.values() for name in arrays}
    sources = {name: values for name, values in block.items() if name not in spectra}
    for kind in ARRAYS:
        rows = np.arange(STARS, dtype=np.int32)
        sources[f"{kind}_row"] = np.where(block[f"has_{kind}"], rows, -1).astype(np.int32)
    writer.finish(sources, {})
    return path


def predict(block, estimator, folder):
    out = folder / "rows.zarr"
    features = write(block, folder / "features.zarr")
    made = predict_partition(features, estimator, SCHEMA, BATCH, out, source_id_release="dr3")
    assert made.rows + made.failed == STARS
    return made, read_rows(out, 0, made.rows), read_failed(out)


def colours(block, star):
    block["phot_bp_mean_mag"][star], block["phot_rp_mean_mag"][star] = -BIG, BIG


def magnitude(block, star):
    block["phot_g_mean_mag"][star] = 3e5


def parallax(block, star):
    block["parallax_corrected"][star], block["parallax_error"][star] = 1e300, 1e-44


def rvs(block, star):
    block["rvs_flux"][star] = BIG


def xp(block, star):
    block["xp_flux"][star], block["xp_flux_error"][star] = BIG, BIG


@pytest.mark.parametrize("extreme", [colours, magnitude, parallax, rvs, xp])
def test_inputs_that_overflow_cost_their_star_its_row_and_no_other(
    extreme, block, estimator, tmp_path
):
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    _, before, nobody = predict(block, estimator, tmp_path / "before")
    assert nobody.size == 0
    extreme(block, 7)
    extreme(block, 250)
    _, rows, failed = predict(block, estimator, tmp_path / "after")
    ids = block["source_id"]
    np.testing.assert_array_equal(failed, ids[[7, 250]])
    others = np.delete(np.arange(STARS), [7, 250])
    np.testing.assert_array_equal(rows["source_id"], ids[others])
    for name, values in rows.items():
        np.testing.assert_array_equal(values, before[name][others], err_msg=name)


def test_every_number_of_every_row_is_finite_or_a_declared_null(block, estimator, tmp_path):
    rng = np.random.default_rng(3)
    for name in ("rvs_flux", "xp_flux", "rvs_flux_error", "xp_flux_error", "phot_g_mean_mag",
                 "phot_bp_mean_mag", "phot_rp_mean_mag", "parallax", "parallax_corrected",
                 "parallax_error"):  # fmt: skip
        values = block[name]
        some = rng.choice(STARS, 40, replace=False)
        size = 10.0 ** rng.uniform(2, 38, (40, *([1] * (values.ndim - 1))))
        values[some] = np.minimum(np.abs(values[some].astype(np.float64)) * size, BIG)
    made, rows, _ = predict(block, estimator, tmp_path)
    for name, values in rows.items():
        if values.dtype.kind == "f":
            assert not np.isinf(values).any(), name
    for label in estimator.document.trained_labels:
        assert np.isfinite(rows[label]).all()
        assert (rows[f"e_{label}"] > 0).all()
    assert 0 < made.failed < STARS


def test_a_star_without_inputs_has_a_row_of_nulls(block, estimator, tmp_path):
    for name in MODALITIES:
        block[f"has_{name}"][5] = False
    made, rows, failed = predict(block, estimator, tmp_path)
    assert (made.rows, failed.size) == (STARS, 0)
    assert np.isnan(rows["teff"][5])
    assert made.labelled["teff"] == STARS - 1


@pytest.mark.parametrize("value", [1e30, 3e38])
def test_weights_that_are_finite_and_answers_that_are_not(value, block, model, tmp_path):
    estimator = Estimator.load(model)
    presence = estimator.networks[0].presence
    with torch.no_grad():
        (presence._bias if isinstance(presence, PackedLinear) else presence.bias).fill_(value)
    made, rows, failed = predict(block, estimator, tmp_path)
    np.testing.assert_array_equal(failed, block["source_id"])
    assert made.rows == 0
    assert all(values.shape == (0,) for values in rows.values())
    assert made.labelled == dict.fromkeys(made.labelled, 0)


def test_what_is_finite_until_it_is_rounded_is_no_answer(block, estimator):
    prediction = estimator.predict(block, BATCH)
    prediction.sigma[3, 1] = 1e-60
    prediction.mean[4, 0] = 1e60
    prediction.correlation[5, 0, 1] = np.nan
    columns = catalogue_columns(block, prediction, estimator, SCHEMA)
    assert np.flatnonzero(unanswered(columns, prediction, estimator)).tolist() == [3, 4, 5]


def test_an_input_that_is_not_finite_is_still_a_damaged_store(block, estimator):
    for name, column in (("photometry", "phot_g_mean_mag"), ("parallax", "parallax_error")):
        spoilt = {**block, column: block[column].copy()}
        spoilt[column][2] = np.inf
        with pytest.raises(ModelError, match=f"{name} of source_id 10002 is not finite"):
            estimator.predict(spoilt, BATCH)


def test_who_failed_is_part_of_the_digest(block, estimator, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    colours(block, 3)
    first, *_ = predict(block, estimator, tmp_path / "a")
    block["source_id"][3] += 10**6
    second, *_ = predict(block, estimator, tmp_path / "b")
    assert second.digest != first.digest
