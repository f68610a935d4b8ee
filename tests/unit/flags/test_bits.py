"""The bits of `flags`: set by their tests, read back as words and as digits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.archive.release import load_release
from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.flags import FlagSchema
from catalog_builder.flags.bits import compute_flags, flag_words, training_range_string
from catalog_builder.flags.predicates import PREDICATES, FlagContext
from catalog_builder.ground.errors import ConfigError
from catalog_builder.labels.agreed import default_contract, default_schema

LABELS = default_contract().labels.names

SCHEMA = default_schema().flags
CONTRACT = default_contract()
DISTANCES = distances_of(CONTRACT.inputs)
NAN = np.nan


def feature_columns():
    """Return the columns that predicates find in `features`: keys of the source table, and one."""
    return (*load_release("dr3").tables["gaia_source"].columns, "parallax_corrected")


def star(**changes):
    """Return the context of one ordinary giant, inside every range, with changes."""
    context = FlagContext(
        contract=CONTRACT,
        mean=np.array([[4800.0, 2.5, -0.3, 0.1, -0.3]], dtype=np.float32),
        inputs_used=np.ones((1, 4), dtype=bool),
        features={
            **dict.fromkeys(feature_columns(), np.array([NAN])),
            "phot_g_mean_mag": np.array([12.0], dtype=np.float32),
            "parallax": np.array([0.9]),
            "parallax_corrected": np.array([0.95]),
            "rvs_spec_sig_to_noise": np.array([80.0], dtype=np.float32),
        },
        label_range={
            **{"teff": (3500.0, 7000.0), "logg": (0.0, 5.0), "m_h": (-2.4, 0.5)},
            **{"alpha_m": (-0.1, 0.4), "fe_h": (-2.5, 0.5)},
        },
        magnitude_range=(7.0, 14.0),
        parallax_range=(-0.1, 20.0),
        distances={name: np.array([0.7]) for name in DISTANCES},
    )
    features = {**context.features, **changes.pop("features", {})}
    return replace(context, features=features, **changes)


def words(context):
    flags = compute_flags(context, SCHEMA)
    return set(flag_words({name: mask[0] for name, mask in flags.items()}, SCHEMA))


USED = {"rvs_used", "xp_used", "photometry_used", "parallax_used"}


def test_an_ordinary_star_carries_only_its_inputs():
    assert words(star()) == USED


@pytest.mark.parametrize("position", range(4))
def test_an_input_that_was_not_used(position):
    used = np.ones((1, 4), dtype=bool)
    used[0, position] = False
    name = ("rvs_used", "xp_used", "photometry_used", "parallax_used")[position]
    assert words(star(inputs_used=used)) == USED - {name}


STRANGE = {
    "rvs_distance": "rvs_out_of_distribution",
    "xp_distance": "xp_out_of_distribution",
    "rvs_misfit": "rvs_unlike_any_star",
    "input_conflict": "rvs_xp_conflict",
    "member_disagreement": "ensemble_disagreement",
    "rvs_map_distance": "outside_rvs_map",
}


def test_every_distance_has_a_bit():
    assert set(STRANGE) == set(DISTANCES)


@pytest.mark.parametrize(("distance", "name"), STRANGE.items())
@pytest.mark.parametrize(("value", "beyond"), [(1.0, False), (1.01, True), (NAN, False)])
def test_a_distance_beyond_its_limit(distance, name, value, beyond):
    distances = {**star().distances, distance: np.array([value])}
    assert words(star(distances=distances)) == (USED | {name} if beyond else USED)


def test_a_distance_that_nobody_measures_is_refused():
    with pytest.raises(ConfigError, match="asks for the distance 'rvs_distance'"):
        words(star(distances={}))


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("value", [-1e4, 1e5])
def test_a_label_outside_the_training_range(position, value):
    mean = star().mean.copy()
    mean[0, position] = value
    assert words(star(mean=mean)) == USED | {f"{LABELS[position]}_outside_range"}


@pytest.mark.parametrize("end", [0, 1])
def test_the_ends_of_the_training_range_are_inside(end):
    ordinary = star()
    ends = np.array([[ordinary.label_range[label][end] for label in LABELS]])
    features = {
        "phot_g_mean_mag": np.array([ordinary.magnitude_range[end]]),
        "parallax_corrected": np.array([ordinary.parallax_range[end]]),
    }
    assert words(star(mean=ends, features=features)) == USED


@pytest.mark.parametrize("position", range(5))
def test_a_null_label_is_not_available_and_not_outside(position):
    mean = star().mean.copy()
    mean[0, position] = NAN
    assert words(star(mean=mean)) == USED | {f"{LABELS[position]}_not_available"}


def test_a_star_without_any_label():
    lost = star(mean=np.full((1, 5), NAN), inputs_used=np.zeros((1, 4), dtype=bool))
    assert words(lost) == {"not_predicted"} | {f"{label}_not_available" for label in LABELS}


@pytest.mark.parametrize(
    ("features", "bits"),
    [
        ({"phot_g_mean_mag": np.array([14.01])}, {"g_outside_range"}),
        ({"phot_g_mean_mag": np.array([14.0])}, set()),
        ({"phot_g_mean_mag": np.array([NAN])}, set()),
        ({"parallax_corrected": np.array([-0.2])}, {"parallax_outside_range"}),
        ({"parallax_corrected": np.array([NAN])}, set()),
        (
            {"parallax_corrected": np.array([NAN]), "parallax": np.array([30.0])},
            {"parallax_outside_range"},
        ),
        ({"rvs_spec_sig_to_noise": np.array([24.9])}, {"rvs_low_snr"}),
        ({"rvs_spec_sig_to_noise": np.array([25.0])}, set()),
        ({"rvs_spec_sig_to_noise": np.array([NAN])}, set()),
    ],
)
def test_photometry_parallax_and_noise(features, bits):
    assert words(star(features=features)) == USED | bits


def test_a_column_that_a_release_lacks_is_null():
    assert star().column("phot_g_mean_mag") == 12.0
    lacking = replace(star(), features={}).column("ruwe")
    assert lacking.shape == (1,)
    assert np.isnan(lacking).all()


def test_low_noise_counts_only_where_the_spectrum_was_used():
    used = np.array([[False, True, True, True]])
    noisy = star(features={"rvs_spec_sig_to_noise": np.array([16.0])}, inputs_used=used)
    assert "rvs_low_snr" not in words(noisy)


def test_a_model_that_saw_no_parallax_has_no_range_to_be_outside_of():
    blind = star(parallax_range=None, magnitude_range=None, label_range={})
    assert words(blind) == USED


def test_the_result_is_int64_and_one_per_star():
    (flags,) = compute_flags(star(), SCHEMA).values()
    assert flags.dtype == np.int64
    assert flags.shape == (1,)


def with_fallback():
    """Return the bits of a release whose zero point has a fallback."""
    inputs = CONTRACT.inputs.model_copy(update={"parallax_fallback": True})
    return FlagSchema.of(CONTRACT.model_copy(update={"inputs": inputs}))


def test_every_predicate_is_used_by_a_bit():
    assert {bit.test for bit in with_fallback().active} == set(PREDICATES)


def test_a_fallback_of_the_zero_point_has_a_bit_of_its_own():
    schema = with_fallback()
    assert schema.bits[:-1] == SCHEMA.bits
    assert schema.bits[-1].name == "parallax_zero_point_fallback"
    assert schema.bits[-1].bit == SCHEMA.bits[-1].bit + 1
    for fallen in (False, True):
        context = star(features={"parallax_fallback": np.array([fallen])})
        flags = compute_flags(context, schema)
        assert schema.test(flags, "parallax_zero_point_fallback") == fallen


def changed(name, **update):
    bits = tuple(b.model_copy(update=update) if b.name == name else b for b in SCHEMA.bits)
    return SCHEMA.model_copy(update={"bits": bits})


@pytest.mark.parametrize(
    ("update", "named"),
    [
        ({"test": "moon_phase"}, "moon_phase"),
        ({"parameters": {}}, r"low_sig_to_noise takes \['spectrum', 'threshold'\]"),
        ({"parameters": {"threshold": 1.0, "colour": "red"}}, "colour"),
        ({"parameters": {"threshold": 1.0, "spectrum": "xp"}}, "no column is declared"),
    ],
)
def test_a_wrong_test_is_a_config_error(update, named):
    with pytest.raises(ConfigError, match=named):
        compute_flags(star(), changed("rvs_low_snr", **update))


def test_an_unknown_label_is_a_config_error():
    with pytest.raises(ConfigError, match="teff"):
        compute_flags(star(), changed("teff_outside_range", parameters={"label": "t_eff"}))


def test_the_digits_of_an_ordinary_star():
    flags = compute_flags(star(), SCHEMA)
    assert training_range_string(flags, SCHEMA, CONTRACT).tolist() == [b"0000000"]


def test_the_digits_say_outside_and_nothing_to_test():
    mean = np.array([[9000.0, 2.5, NAN, 0.1, -0.3]])
    used = np.array([[True, True, False, True]])
    context = star(mean=mean, inputs_used=used, features={"parallax_corrected": np.array([99.0])})
    flags = compute_flags(context, SCHEMA)
    assert training_range_string(flags, SCHEMA, CONTRACT).tolist() == [b"1090091"]


@given(st.lists(st.integers(0, SCHEMA.declared_masks["flags"]), max_size=20))
def test_words_give_the_value_back_and_digits_are_digits(values):
    for value in values:
        assert sum(SCHEMA[word].mask for word in flag_words({"flags": value}, SCHEMA)) == value
    flags = np.array(values, dtype=np.int64)
    digits = training_range_string({"flags": flags}, SCHEMA, CONTRACT)
    assert digits.shape == flags.shape
    assert all(len(text) == 7 and set(text) <= set(b"019") for text in digits.tolist())


def test_an_undeclared_bit_has_a_word_of_its_own():
    assert flag_words({"flags": 1 << 40}, SCHEMA) == ["bit_40"]
