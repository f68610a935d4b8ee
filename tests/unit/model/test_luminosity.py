"""What a model learns of absolute magnitudes, from stars that it did not learn from."""

from __future__ import annotations

import json

import numpy as np
import pytest

from catalog_builder.contract.places import has_luminosity
from catalog_builder.galaxy.label_distance import SPECTROPHOTOMETRIC
from catalog_builder.inference.columns import catalogue_columns
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.model.document import ModelDocument
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.luminosity import Teachers, axes_of, by_spectra_alone
from catalog_builder.training.design import Split, TrainingArrays
from tests.contracts import FIVE, FOUR, THREE_SPECTRA, with_labels

SCHEMA = default_schema()


@pytest.fixture(scope="module")
def placed(sky) -> TrainingArrays:
    """The labelled sky with positions, and parallaxes that go with labels and magnitudes."""
    rng = np.random.default_rng(4)
    stars = len(sky)
    absolute = 2.0 * (sky.labels[:, 1] - 3.0) + 4.0 + 0.2 * rng.standard_normal(stars)
    index = sky.contract.inputs.reddening_free
    magnitude = sum(weight * sky.block[name] for name, weight in index.items())
    true = 10.0 ** (0.2 * (absolute - magnitude) + 2.0)
    error = sky.block["parallax_error"]
    block = {
        **sky.block,
        "ra": rng.uniform(0, 360, stars),
        "dec": rng.uniform(-60, 60, stars),
        "parallax_corrected": true + error * rng.standard_normal(stars),
    }
    return TrainingArrays(sky.contract, block, sky.labels, sky.label_error, sky.split)


@pytest.fixture(scope="module")
def estimator(members, sky, scaling, settings, tmp_path_factory) -> Estimator:
    folder = tmp_path_factory.mktemp("plain") / "model"
    assemble(members, sky, scaling, settings, {"release": "dr3"}, folder)
    return Estimator.load(folder)


@pytest.fixture(scope="module")
def taught(placed, estimator):
    """Return a model that has learnt absolute magnitudes of all its stars."""
    teachers = Teachers(placed, 1, estimator.document.trained_labels)
    teachers.ask(estimator, 0)
    relation = teachers.learnt()
    assert relation is not None
    document = estimator.document.model_copy(update={"luminosity": relation})
    return estimator.calibrated_as(document)


def columns_of(block, estimator):
    missing = {c.name: c.numpy_dtype for c in SCHEMA.columns if c.name not in block}
    whole = {**block, **{n: np.zeros(len(block["ra"]), dtype) for n, dtype in missing.items()}}
    return catalogue_columns(whole, estimator.predict(block, 128), estimator, SCHEMA)


def test_labels_decide_whether_there_are_absolute_magnitudes():
    contract = default_contract()
    axes = axes_of(contract, FIVE)
    assert axes.names == ("teff", "logg", "m_h", "alpha_m")
    assert axes.learnt_as == ("logarithm", "value", "value", "value")
    assert axes_of(contract, ("teff", "m_h")) is None
    assert not has_luminosity(with_labels(["teff", "m_h"]))
    assert has_luminosity(FOUR)
    inputs = contract.inputs.model_copy(update={"parallax": False})
    assert not has_luminosity(contract.model_copy(update={"inputs": inputs}))
    assert has_luminosity(THREE_SPECTRA) == bool(THREE_SPECTRA.inputs.reddening_free)


def test_no_star_is_answered_by_a_model_that_it_taught(placed, estimator):
    asked = []

    class Watched:
        document = estimator.document

        def predict(self, block, size):
            asked.append(block["source_id"])
            return estimator.predict(block, size)

    teachers = Teachers(placed, 3, estimator.document.trained_labels)
    assert not (teachers.data.split == Split.TEST).any()
    for fold in range(3):
        teachers.ask(Watched(), fold)
    assert sorted(np.concatenate(asked)) == sorted(teachers.data.block["source_id"])
    assert len(set(map(len, asked))) > 1
    # Without folds there are those that no gradient saw.
    few = Teachers(placed, 0, estimator.document.trained_labels)
    assert set(np.unique(few.data.split)) == {Split.VALIDATION, Split.CALIBRATION}


def test_a_fold_learns_nothing_of_its_own_stars(placed, estimator):
    teachers = Teachers(placed, 2, estimator.document.trained_labels)
    for fold in range(2):
        teachers.ask(estimator, fold)
    before = teachers.learnt(without=0)
    own = teachers._fold == 0
    assert before is not None
    assert before.stars < (~own).sum() + 1
    teachers._mean[own] += 1.0
    assert teachers.learnt(without=0) == before
    assert teachers.learnt() != before


def test_without_positions_or_good_parallaxes_nothing_is_learnt(sky, placed, estimator):
    trained = estimator.document.trained_labels
    assert Teachers(sky, 2, trained).learnt() is None
    null = {**placed.block, "parallax_corrected": np.full(len(placed), np.nan)}
    nothing = TrainingArrays(sky.contract, null, sky.labels, sky.label_error, sky.split)
    teachers = Teachers(nothing, 1, trained)
    teachers.ask(estimator, 0)
    assert teachers.learnt() is None


def test_labels_of_the_spectra_are_those_of_stars_that_have_nothing_else(taught, placed):
    found = taught.predict(placed.block, 128)
    alone = taught.predict(by_spectra_alone(placed.block, placed.contract.inputs), 128)
    np.testing.assert_allclose(found.spectral_mean, alone.spectral_mean, rtol=1e-5)
    np.testing.assert_allclose(found.spectral_mean, alone.mean, rtol=1e-5)
    size = alone.sigma_aleatoric**2 + alone.sigma_epistemic**2
    diagonal = np.diagonal(found.spectral_covariance, axis1=1, axis2=2)
    # What a contradiction of two spectra adds to sigma is not in it.
    assert np.isclose(diagonal, size, rtol=1e-3).mean() > 0.95
    assert np.isclose(found.spectral_share, alone.prior_share, rtol=1e-3).mean() > 0.95
    assert (found.spectral_share > found.prior_share).mean() > 0.95
    assert not np.allclose(found.mean, found.spectral_mean, rtol=1e-3)


def test_other_answers_are_the_same_bits_with_it_and_without(taught, estimator, placed):
    with_it, without = (one.predict(placed.block, 128) for one in (taught, estimator))
    for name in ("mean", "sigma", "correlation", "distances", "map_position", "interval95"):
        np.testing.assert_array_equal(getattr(with_it, name), getattr(without, name))
    assert np.isnan(without.spectral_mean).all()


def test_the_catalogue_has_distances_but_of_doubtful_stars(taught, placed):
    columns = columns_of(placed.block, taught)
    median, lower, upper = (columns[name] for name in SPECTROPHOTOMETRIC)
    known = np.isfinite(median)
    assert known.mean() > 0.5
    assert ((lower < median) & (median < upper))[known].all()
    doubtful = SCHEMA.flags.test(columns, "teff_outside_range", "xp_out_of_distribution")
    assert doubtful.any()
    assert not known[doubtful].any()
    parallaxes = np.asarray(placed.block["parallax_corrected"])
    good = known & (parallaxes > 20 * placed.block["parallax_error"])
    np.testing.assert_allclose(median[good], 1000 / parallaxes[good], rtol=0.25)


def test_a_model_without_it_gives_nulls(estimator, placed):
    columns = columns_of(placed.block, estimator)
    assert all(np.isnan(columns[name]).all() for name in SPECTROPHOTOMETRIC)
    assert np.isfinite(columns["distance"]).any()


def test_a_star_without_a_corrected_parallax_has_none(taught, placed):
    stars = len(placed)
    some = np.where(np.arange(stars) % 2, np.nan, placed.block["parallax_corrected"])
    columns = columns_of({**placed.block, "parallax_corrected": some}, taught)
    known = np.isfinite(columns[SPECTROPHOTOMETRIC[0]])
    assert known[::2].mean() > 0.5
    assert not known[1::2].any()


def test_its_document_is_read_as_it_was_written(taught):
    document = taught.document
    again = ModelDocument.model_validate(json.loads(document.to_bytes()))
    assert again.luminosity == document.luminosity
