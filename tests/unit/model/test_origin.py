"""What a model says of its origin, and in what its release's description differs from the run's."""

from pathlib import Path

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.contract.grids import GridSpec
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.origin import (
    description_digest,
    differences,
    facts_of,
    read_origin,
    refuse_other_inputs,
    refuse_other_meaning,
)

MODEL = Path("somewhere")


@pytest.fixture(scope="module")
def dr3():
    return load_release("dr3")


def origin_in(release):
    """Return the origin of a model that was trained with this description."""
    return read_origin(
        {
            "release": release.name,
            "release_digest": description_digest(release),
            "release_facts": facts_of(release),
        },
        MODEL,
    )


def changed(release, name, **values):
    """Return a description that differs in these values of a spectrum."""
    spectra = {**release.spectra, name: release.spectra[name].model_copy(update=values)}
    return release.model_copy(update={"spectra": spectra})


def test_the_same_description_has_no_differences(dr3):
    assert differences(origin_in(dr3), load_release("dr3")) == {}


def test_a_difference_is_named_with_both_values(dr3):
    rule = dr3.spectra["rvs"].normalisation.model_copy(update={"threshold": 11.5})
    found = differences(origin_in(dr3), changed(dr3, "rvs", normalisation=rule))
    assert list(found.values()) == [
        "spectra.rvs.normalisation.threshold is 11.5 here, 12.0 for the model"
    ]
    refuse_other_meaning(found, MODEL, ("rvs", "xp"))


def test_any_part_of_a_description_counts(dr3):
    text = dr3.text.model_copy(update={"null_tokens": ("",)})
    found = differences(origin_in(dr3), dr3.model_copy(update={"text": text}))
    assert found == {"text": "text differs"}  # a digest says nothing to a person
    bare = dr3.model_copy(update={"spectra": {"xp": dr3.spectra["xp"]}})
    without = differences(origin_in(dr3), bare)["spectra.rvs.frame"]
    assert without == "spectra.rvs.frame is absent here, rest for the model"


@pytest.mark.parametrize("change", [{"frame": "barycentric"}, {"medium": "air"}])
def test_spectra_of_another_meaning_are_refused(dr3, change):
    found = differences(origin_in(dr3), changed(dr3, "rvs", **change))
    with pytest.raises(
        ModelError, match=rf"rvs\.{next(iter(change))} is .* here, .* for the model"
    ):
        refuse_other_meaning(found, MODEL, ("rvs", "xp"))


def recorded_by_0_1(release):
    """Return the facts of a description as version 0.1 recorded them, under its keys."""
    facts = facts_of(release)
    found = {key: value for key, value in facts.items() if not key.startswith("spectra.")}
    del found["joined_tables"], found["photometry"], found["parallax"]
    for key, value in facts.items():
        if key.startswith("spectra.rvs.") and not key.startswith("spectra.rvs.model_grid"):
            found[key.removeprefix("spectra.")] = value
    found |= {
        key.replace("spectra.xp.grid", "xp.sampled_grid"): value
        for key, value in facts.items()
        if key.startswith("spectra.xp.grid")
    }
    return {**found, "xp.continuous.basis": "xp_dr3"}


def test_facts_that_0_1_recorded_are_compared_with_todays(dr3):
    origin = read_origin(
        {"release_digest": "another", "release_facts": recorded_by_0_1(dr3)}, MODEL
    )
    assert differences(origin, dr3) == {}
    grid = dr3.spectra["xp"].grid.model_copy(update={"step": 3.0})
    found = differences(origin, changed(dr3, "xp", grid=grid))
    assert list(found.values()) == ["spectra.xp.grid.step is 3.0 here, 2.0 for the model"]
    refuse_other_meaning(found, MODEL, ("rvs", "xp"))
    in_air = differences(origin, changed(dr3, "rvs", medium="air"))
    with pytest.raises(ModelError, match=r"spectra\.rvs\.medium is air here, vacuum for the model"):
        refuse_other_meaning(in_air, MODEL, ("rvs", "xp"))
    # It was trained without this spectrum, or the archive has none.
    refuse_other_meaning(in_air, MODEL, ("xp",))


COARSE = GridSpec(start=846.01, step=0.05, count=480)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("rvs", {"model_grid": COARSE}, "grid of rvs is 480 samples from 846.01 in steps of 0.05"),
        ("rvs", {"sig_to_noise": "grvs_mag"}, "sig_to_noise of rvs is grvs_mag here"),
    ],
)
def test_a_spectrum_of_another_grid_or_s_n_is_refused_unless_it_is_not_used(
    name, change, words, dr3
):
    inputs, other = dr3.inputs, changed(dr3, name, **change)
    refuse_other_inputs(inputs, inputs.names, dr3, MODEL)
    refuse_other_inputs(inputs, ("xp", "photometry"), other, MODEL)
    with pytest.raises(ModelError, match=words):
        refuse_other_inputs(inputs, inputs.names, other, MODEL)


def test_inputs_of_another_kind_and_magnitudes_of_other_columns_are_refused(dr3):
    inputs = dr3.inputs
    swapped = dr3.model_copy(update={"spectra": {"rvs": dr3.spectra["xp"]}})
    with pytest.raises(ModelError, match="kind of rvs is low_resolution here, lines for the model"):
        refuse_other_inputs(inputs, ("rvs",), swapped, MODEL)
    group = dr3.photometry["photometry"]
    bands = {**group.bands, "g": group.bands["g"].model_copy(update={"column": "g_mag"})}
    other = group.model_copy(update={"bands": bands})
    moved = dr3.model_copy(update={"photometry": {"photometry": other}})
    with pytest.raises(ModelError, match="g of photometry is g_mag here, phot_g_mean_mag for"):
        refuse_other_inputs(inputs, ("photometry",), moved, MODEL)
    as_photometry = dr3.model_copy(update={"spectra": {}, "photometry": {"rvs": group}})
    with pytest.raises(ModelError, match="whether it is a spectrum of rvs is False here"):
        refuse_other_inputs(inputs, ("rvs",), as_photometry, MODEL)


def test_a_model_of_0_1_0_says_what_it_does_not_record(dr3):
    origin = read_origin({"release": "dr3", "survey": "s", "credit": "SDSS", "seed": 1}, MODEL)
    assert differences(origin, dr3) == {}
    assert (origin.simulated, origin.archive, origin.credit) == (None, None, "SDSS")
    assert "archive not recorded" in origin.in_words
    assert "not recorded whether simulated" in origin.in_words
    assert "a release not recorded" in read_origin({}, MODEL).in_words


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("release", "dr3\x1b[31m"),
        ("survey", "s" * 201),
        ("release_title", ["a"]),
        ("credit", "c" * 4001),
        ("stars", -1),
        ("stars", 1.5),
        ("simulated", "perhaps"),
        ("release_facts", {"a": {"b": 1}}),
        ("release_facts", {str(n): "x" for n in range(2001)}),
    ],
)
def test_a_wrong_fact_is_refused_by_name(key, value):
    with pytest.raises(ModelError, match=rf"somewhere/model\.json: provenance\.{key}"):
        read_origin({key: value}, MODEL)


def test_a_model_with_nothing_in_common_with_a_release_is_refused(dr3):
    inputs = dr3.inputs
    with pytest.raises(ModelError, match="release dr3 has none of them, but rvs, xp, photometry"):
        refuse_other_inputs(inputs, (), dr3, MODEL)
