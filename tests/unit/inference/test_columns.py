"""Columns of the catalogue from the arrays of a prediction, for several contracts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pytest

from catalog_builder.catalog.derived import with_derived
from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.labels import Labels
from catalog_builder.contract.schema import CatalogSchema, label_columns
from catalog_builder.galaxy.relation import Relation
from catalog_builder.ground.errors import ConfigError, ModelError
from catalog_builder.inference.columns import catalogue_columns, refuse_other_contract
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.model.ensemble import Prediction
from tests.contracts import FOUR, SIX, THIRTY, THREE_SPECTRA, added_since_1_1

STARS = 400
RANGES = {
    **{"teff": (3500.0, 7000.0), "logg": (0.0, 5.0), "m_h": (-2.4, 0.5)},
    **{"alpha_m": (-0.1, 0.4), "fe_h": (-2.5, 0.5)},
}


@dataclass
class Ranges:
    """What is asked of a model here: the limits of its training stars."""

    label_range: dict[str, tuple[float, float]] = field(default_factory=lambda: dict(RANGES))
    magnitude_range: tuple[float, float] | None = (8.0, 16.0)
    parallax_range: tuple[float, float] | None = (0.05, 0.9)
    luminosity: Relation | None = None


def drawn(schema):
    """Return features of some stars and what a model could say of them."""
    rng = np.random.default_rng(13)
    labels, inputs = len(schema.labels), schema.inputs

    def some_null(values, share=0.1):
        values = np.array(values, dtype=np.float64)
        values[rng.random(values.shape) < share] = np.nan
        return values

    made = added_since_1_1(schema)
    block = {
        column.name: rng.random(STARS).astype(column.numpy_dtype)
        for column in schema.columns
        if not column.name.startswith(("corr_", "e_", "e95")) and column.name not in made
    }
    block["source_id"] = np.arange(1, STARS + 1)
    block["rvs_spec_sig_to_noise"] = (block["rvs_spec_sig_to_noise"] * 50).astype("f4")
    block["phot_g_mean_mag"] = (7 + 10 * block["phot_g_mean_mag"]).astype("f4")
    block["parallax_corrected"] = some_null(block["parallax_corrected"])
    centre = np.array([5000, 3, -0.3, 0.1, -0.3, *[0.0] * 25])[:labels]
    width = np.array([900, 1.5, 0.8, 0.15, 0.8, *[0.2] * 25])[:labels]
    mean = some_null(rng.normal(centre, width, (STARS, labels)))
    mean[:9] = np.nan
    scale = np.array([150, 0.2, 0.15, 0.08, 0.15, *[0.3] * 25])[:labels]
    given = np.where(np.isnan(mean), np.nan, 1)
    shape = (STARS, labels)
    prediction = Prediction(
        mean=mean,
        sigma=rng.random(shape) * scale * given,
        sigma_aleatoric=rng.random(shape) * given,
        sigma_epistemic=rng.random(shape) * given,
        interval95=rng.random(shape) * given,
        correlation=rng.uniform(-1, 1, (*shape, labels)),
        inputs_used=rng.random((STARS, len(inputs.names))) < 0.8,
        distances=some_null(rng.random((STARS, len(distances_of(inputs)))) * 1.02),
        map_position=rng.uniform(-1, 1, (STARS, 2 * len(inputs.lines))),
        prior_share=np.linspace(0, 1, STARS),
        spectral_mean=mean,
        spectral_covariance=np.einsum("ni,ij->nij", scale**2 * given, np.eye(labels)),
        spectral_share=np.linspace(0, 1, STARS),
    )
    return block, prediction


def test_columns_of_the_released_contract_are_what_they_were():
    """The number is that of the program before columns followed from a contract."""
    schema = default_schema()
    columns = catalogue_columns(*drawn(schema), Ranges(), schema)
    content = b"".join(
        name.encode() + np.ascontiguousarray(values).tobytes()
        for name, values in columns.items()
        if name not in added_since_1_1(schema)
    )
    assert hashlib.sha256(content).hexdigest() == (
        "0710f95231384387047ab57d5083ebd4cad2087d7d6cc998ed9eddbdd79f61ac"
    )
    assert np.bincount(columns["quality_tier"]).tolist() == [9, 19, 171, 201]


@pytest.mark.parametrize(
    "contract", [SIX, FOUR, THIRTY, THREE_SPECTRA], ids=["six", "four", "thirty", "three spectra"]
)
def test_every_declared_column_is_made(contract):
    schema = CatalogSchema.of(contract)
    block, prediction = drawn(schema)
    columns = catalogue_columns(block, prediction, Ranges(), schema)
    assert tuple(columns) == schema.names
    for column in schema.columns:
        assert columns[column.name].dtype == column.numpy_dtype
        assert columns[column.name].shape == (STARS,)
    for place, label in enumerate(contract.labels.names):
        value, sigma, *_ = label_columns(label)
        np.testing.assert_array_equal(columns[value], prediction.mean[:, place].astype("f4"))
        np.testing.assert_array_equal(columns[sigma], prediction.sigma[:, place].astype("f4"))
        null = np.isnan(prediction.mean[:, place])
        absent = schema.flags.test(columns, f"{label}_not_available")
        np.testing.assert_array_equal(absent, null)
    one, other = len(contract.labels) - 2, len(contract.labels) - 1
    pair = "corr_{}_{}".format(*contract.labels.names[-2:])
    expected = prediction.correlation[:, one, other].astype("f4")
    np.testing.assert_array_equal(columns[pair], expected)
    assert set(np.unique(columns["quality_tier"])) >= {0, 3}


def test_a_third_spectrum_has_its_place_in_every_array():
    schema = CatalogSchema.of(THREE_SPECTRA)
    block, prediction = drawn(schema)
    columns = catalogue_columns(block, prediction, Ranges(), schema)
    flags = schema.flags
    np.testing.assert_array_equal(
        columns["xp_hr_conflict"], prediction.distances[:, 7].astype("f4")
    )
    with np.errstate(invalid="ignore"):
        beyond = prediction.distances[:, 7] > 1
    assert distances_of(schema.inputs)[7] == "xp_hr_conflict"
    np.testing.assert_array_equal(flags.test(columns, "xp_hr_conflict"), beyond)
    used = prediction.inputs_used
    for place, name in enumerate(schema.inputs.names):
        np.testing.assert_array_equal(flags.test(columns, f"{name}_used"), used[:, place])
    np.testing.assert_array_equal(
        flags.test(columns, "hr_low_snr"), used[:, 2] & (block["hr_snr"] < 40)
    )
    np.testing.assert_array_equal(columns["hr_map_y"], prediction.map_position[:, 3].astype("f4"))
    np.testing.assert_array_equal(columns["j_ks"], block["j_m"] - block["ks_m"])
    gold = columns["quality_tier"] == 1
    assert used[gold][:, :3].all()


def test_a_sixth_label_counts_in_tier_and_digits():
    schema = CatalogSchema.of(SIX)
    block, prediction = drawn(schema)
    ranges = Ranges({**RANGES, "mg_fe": (-0.05, 0.05)})
    columns = catalogue_columns(block, prediction, ranges, schema)
    with np.errstate(invalid="ignore"):
        outside = np.abs(prediction.mean[:, 5]) > 0.05
        large = prediction.sigma[:, 5] > 0.1
    assert outside.any()
    assert large.any()
    np.testing.assert_array_equal(schema.flags.test(columns, "mg_fe_outside_range"), outside)
    assert (columns["quality_tier"][outside] == 3).all()
    assert (columns["quality_tier"][large] > 1).all()
    digits = with_derived(columns, schema)["training_range"]
    assert digits.dtype == "S8"
    sixth = np.array([text[5:6] for text in digits])
    null = np.isnan(prediction.mean[:, 5])
    np.testing.assert_array_equal(sixth == b"1", outside)
    np.testing.assert_array_equal(sixth == b"9", null)


def test_a_column_that_nothing_makes_is_null_or_named():
    schema = CatalogSchema.of(default_contract())
    block, prediction = drawn(schema)
    without = {name: values for name, values in block.items() if name != "ruwe"}
    assert np.isnan(catalogue_columns(without, prediction, Ranges(), schema)["ruwe"]).all()
    without = {name: values for name, values in block.items() if name != "has_rvs"}
    with pytest.raises(ConfigError, match="the column has_rvs"):
        catalogue_columns(without, prediction, Ranges(), schema)


def test_columns_in_another_order_than_the_model_s_are_refused():
    today = default_contract()
    turned = today.model_copy(update={"labels": Labels(reversed(today.labels))})
    refuse_other_contract(today, today)
    with pytest.raises(ModelError, match=r"labels are fe_h, alpha_m.*the model's teff, logg"):
        refuse_other_contract(turned, today)
