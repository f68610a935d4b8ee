from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.contract.labels import Labels
from catalog_builder.ground.errors import ModelError
from catalog_builder.labels.agreed import default_contract
from catalog_builder.training.design import (
    Scaling,
    Split,
    Stars,
    design_features,
    design_labels,
    network_columns,
    physical_labels,
)
from catalog_builder.training.shapes import widths_of

CONTRACT = default_contract()
INPUTS, WIDTHS = CONTRACT.inputs, widths_of(CONTRACT)


def test_absent_inputs_are_nan_and_so_outside_the_statistics(sky):
    block = dict(sky.block)
    for name in ("xp", "photometry", "parallax"):
        block[f"has_{name}"] = np.arange(len(sky)) % 3 > 0
    features = design_features(block, INPUTS)
    assert {name: values.shape for name, values in features.items()} == {
        name: (len(sky), width) for name, width in WIDTHS.items() if name != "labels"
    }
    for values in features.values():
        np.testing.assert_array_equal(np.isfinite(values).all(axis=1), np.arange(len(sky)) % 3 > 0)
        np.testing.assert_array_equal(np.isnan(values).all(axis=1), np.arange(len(sky)) % 3 == 0)


def test_hidden_photometry_is_not_seen_through_the_luminosity(sky, scaling):
    stars = Stars.from_block(
        {**sky.block, "has_photometry": np.zeros(len(sky), dtype=bool)}, INPUTS
    )
    assert (stars["luminosity"] == 0).all()
    assert (stars["photometry"] == 0).all()


def test_negative_and_tiny_parallaxes_are_ordinary(sky):
    parallax = np.linspace(-5.0, 5.0, len(sky))
    features = design_features({**sky.block, "parallax_corrected": parallax}, INPUTS)
    for name in ("parallax", "luminosity"):
        first = features[name][:, 0]
        assert np.isfinite(first).all()
    assert (np.diff(features["parallax"][:, 0]) > 0).all()


def test_without_a_zero_point_the_measured_parallax_is_used(sky):
    uncorrected = {**sky.block, "parallax_corrected": np.full(len(sky), np.nan)}
    as_measured = {**sky.block, "parallax_corrected": sky.block["parallax"]}
    np.testing.assert_array_equal(
        design_features(uncorrected, INPUTS)["parallax"],
        design_features(as_measured, INPUTS)["parallax"],
    )


def test_sky_position_and_flux_scale_are_not_inputs(sky):
    moved = {**sky.block, "ra": np.ones(len(sky)), "dec": np.ones(len(sky))}
    for name, values in design_features(moved, INPUTS).items():
        np.testing.assert_array_equal(values, design_features(sky.block, INPUTS)[name])


def test_a_present_value_that_is_not_finite_is_refused_by_name(sky):
    flux = sky.block["xp_flux"].copy()
    flux[7, 100] = np.nan
    with pytest.raises(ModelError, match="xp_flux of source_id 10007 is not finite"):
        Stars.from_block({**sky.block, "xp_flux": flux}, INPUTS)


def test_rvs_trust_falls_with_the_error_and_is_zero_where_masked(sky, scaling):
    mask = np.ones((len(sky), 800), dtype=bool)
    mask[:, :10] = False
    errors = np.linspace(1e-3, 1.0, len(sky))[:, None] * np.ones((1, 800))
    block = {**sky.block, "rvs_mask": mask, "rvs_flux_error": errors}
    depth, trust = network_columns(Stars.from_block(block, INPUTS), scaling, ("rvs",))[
        "rvs"
    ].unbind(dim=1)
    assert (depth[:, :10] == 0).all()
    assert (trust[:, :10] == 0).all()
    assert (torch.diff(trust[:, 10]) < 0).all()


@given(st.floats(3000, 20000), st.floats(1, 500))
def test_an_error_of_teff_is_a_relative_error_of_its_logarithm(teff, error):
    labels, errors = design_labels(
        np.array([[teff, 0, 0, 0, 0.0]]), np.array([[error] + [0.0] * 4]), CONTRACT.labels
    )
    assert np.exp(labels[0, 0]) == pytest.approx(teff)
    assert errors[0, 0] * teff == pytest.approx(error)


@pytest.mark.parametrize("way", ["value", "logarithm", "reciprocal"])
def test_what_is_learnt_rises_with_the_label_and_comes_back(way):
    (teff,) = (label for label in CONTRACT.labels if label.name == "teff")
    declared = Labels([teff.model_copy(update={"learnt_as": way})])
    values = np.array([[3000.0], [5000.0], [20000.0]])
    learnt, errors = design_labels(values, 0.001 * values, declared)
    assert (np.diff(learnt[:, 0]) > 0).all()
    again, unit = physical_labels(learnt, declared)
    np.testing.assert_allclose(again, values)
    np.testing.assert_allclose(errors * unit, 0.001 * values)


def test_what_is_the_reciprocal_of_no_positive_number_is_no_answer():
    declared = Labels([CONTRACT.labels[0].model_copy(update={"learnt_as": "reciprocal"})])
    values, unit = physical_labels(np.array([[0.0], [1e-4], [-2e-4]]), declared)
    np.testing.assert_allclose(values, [[np.nan], [np.nan], [5000.0]])
    np.testing.assert_allclose(unit, [[np.nan], [np.nan], [2.5e7]])


def test_scaling_survives_json_to_the_last_bit(scaling):
    again = Scaling.from_json(json.loads(json.dumps(scaling.to_json())), CONTRACT)
    assert again.digest() == scaling.digest()


def test_scaling_of_constant_or_missing_columns_is_harmless():
    width = WIDTHS["photometry"]
    mean, std = np.full(width, np.nan), np.array([np.nan, 0.0, 2.0])
    scaling = Scaling.from_statistics({"photometry": (mean, std)}, CONTRACT)
    np.testing.assert_array_equal(scaling["photometry_mean"], 0.0)
    np.testing.assert_array_equal(scaling["photometry_std"], [1.0, 1.0, 2.0])


def test_scaling_refuses_what_does_not_fit():
    with pytest.raises(ModelError, match="unknown inputs: colour"):
        Scaling.from_statistics({"colour": (np.zeros(1), np.ones(1))}, CONTRACT)
    with pytest.raises(ModelError, match=r"scaling of xp has shapes \(3,\)"):
        Scaling.from_statistics({"xp": (np.zeros(3), np.ones(3))}, CONTRACT)
    with pytest.raises(ModelError, match="the model's scaling holds"):
        Scaling.from_json({"xp_mean": [0.0]}, CONTRACT)


def test_subset_keeps_rows_together(sky):
    test = sky.subset(Split.TEST)
    rows = np.flatnonzero(sky.split == Split.TEST)
    np.testing.assert_array_equal(test.block["source_id"], sky.block["source_id"][rows])
    np.testing.assert_array_equal(test.labels, sky.labels[rows])


def test_training_arrays_of_wrong_shape_are_refused(sky):
    with pytest.raises(ModelError, match="training array labels has shape"):
        replace(sky, labels=sky.labels[:, :3])
