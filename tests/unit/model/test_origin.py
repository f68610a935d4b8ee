"""What a model says of its origin, and in what its release's description differs from the run's."""

from pathlib import Path

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.errors import ModelError
from catalog_builder.model.origin import (
    description_digest,
    differences,
    facts_of,
    read_origin,
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


def changed(release, part, **values):
    """Return a description that differs in these values of a part."""
    return release.model_copy(update={part: getattr(release, part).model_copy(update=values)})


def test_the_same_description_has_no_differences(dr3):
    assert differences(origin_in(dr3), load_release("dr3")) == {}


def test_a_difference_is_named_with_both_values(dr3):
    rule = dr3.rvs.normalisation.model_copy(update={"threshold": 11.5})
    found = differences(origin_in(dr3), changed(dr3, "rvs", normalisation=rule))
    assert list(found.values()) == ["rvs.normalisation.threshold is 11.5 here, 12.0 for the model"]
    refuse_other_meaning(found, MODEL)


def test_any_part_of_a_description_counts(dr3):
    text = dr3.text.model_copy(update={"null_tokens": ("",)})
    found = differences(origin_in(dr3), dr3.model_copy(update={"text": text}))
    assert list(found) == ["text"]
    without = differences(origin_in(dr3), dr3.model_copy(update={"rvs": None}))
    assert without["rvs.frame"] == "rvs.frame is absent here, rest for the model"


@pytest.mark.parametrize("change", [{"frame": "barycentric"}, {"medium": "air"}])
def test_spectra_of_another_meaning_are_refused(dr3, change):
    found = differences(origin_in(dr3), changed(dr3, "rvs", **change))
    with pytest.raises(
        ModelError, match=rf"rvs\.{next(iter(change))} is .* here, .* for the model"
    ):
        refuse_other_meaning(found, MODEL)


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
        ("release_facts", {str(n): "x" for n in range(201)}),
    ],
)
def test_a_wrong_fact_is_refused_by_name(key, value):
    with pytest.raises(ModelError, match=rf"somewhere/model\.json: provenance\.{key}"):
        read_origin({key: value}, MODEL)
