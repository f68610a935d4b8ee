"""Columns, bits and tiers of other labels and inputs than the default ones."""

import json

import numpy as np
import pytest

from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.flags import FlagSchema
from catalog_builder.contract.labels import Label, Labels, known_labels
from catalog_builder.contract.places import digits_of
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.words import in_words, listed, with_article
from catalog_builder.ground.errors import ConfigError
from catalog_builder.labels.agreed import default_contract, default_schema
from tests.contracts import FIVE, FOUR, SIX, THIRTY, THREE_SPECTRA, with_labels

TODAY = default_schema()
#: The first number that no released bit has.
FREE = TODAY.flags.bits[-1].bit + 1


def test_a_sixth_label_adds_columns_and_leaves_the_others_as_they_are():
    schema = CatalogSchema.of(SIX)
    assert set(schema.names) - set(TODAY.names) == {
        *("mg_fe", "e_mg_fe", "e95_mg_fe", "e_mg_fe_aleatoric", "e_mg_fe_epistemic"),
        *(f"corr_{label}_mg_fe" for label in FIVE),
    }
    assert [name for name in schema.names if name in TODAY.names] == list(TODAY.names)
    for column in TODAY.columns:
        assert schema[column.name] == column
    assert schema["mg_fe"].title == "Magnesium abundance [Mg/Fe]"
    assert schema["e_mg_fe"].description.endswith("parts together. In dex.")
    assert schema["corr_fe_h_mg_fe"].null_meaning == "fe_h or mg_fe is null"
    assert schema["training_range"].dtype == "str8"
    assert "m_h, alpha_m, fe_h, mg_fe, G and parallax:" in schema["training_range"].description


def test_a_sixth_label_takes_the_next_free_bits():
    flags = CatalogSchema.of(SIX).flags
    added = {bit.name: bit.bit for bit in flags.bits if bit.name not in _names(TODAY)}
    assert added == {"mg_fe_outside_range": FREE, "mg_fe_not_available": FREE + 1}
    for bit in TODAY.flags.bits:
        assert flags[bit.name].bit == bit.bit
    assert flags["mg_fe_outside_range"].doubts == ("mg_fe",)
    assert flags["rvs_xp_conflict"].doubts == SIX.labels.names
    assert flags["not_predicted"].sentence == "All six labels are null."
    gold, silver, care = flags.tiers
    assert gold.largest_sigma["mg_fe"] == 0.10
    assert silver.largest_sigma["mg_fe"] == 0.20
    assert care.largest_sigma == {}
    assert "mg_fe_outside_range" in gold.without


def _names(schema):
    return {bit.name for bit in schema.flags.bits}


def test_without_a_label_its_bits_stay_free():
    schema = CatalogSchema.of(FOUR)
    assert not any("fe_h" in name for name in schema.names)
    assert _names(TODAY) - _names(schema) == {"fe_h_outside_range", "fe_h_not_available"}
    assert {8, 16}.isdisjoint(bit.bit for bit in schema.flags.bits)
    assert schema["training_range"].dtype == "str6"
    assert "fe_h" not in json.dumps(schema.model_dump(mode="json"))
    # Another label does not take them either.
    other = CatalogSchema.of(with_labels([*FIVE[:4], "mg_fe"]))
    assert other.flags["mg_fe_outside_range"].bit == FREE
    assert other.flags["mg_fe_not_available"].bit == FREE + 1


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (FIVE[:1], "The label is null."),
        (FIVE[:2], "Both labels are null."),
        (FIVE, "All five labels are null."),
    ],
)
def test_sentences_follow_the_number_of_labels(names, sentence):
    flags = FlagSchema.of(with_labels(names))
    assert flags["not_predicted"].sentence == sentence


def test_a_third_spectrum_has_its_columns_and_conflicts():
    schema = CatalogSchema.of(THREE_SPECTRA)
    added = [name for name in schema.names if name not in TODAY.names]
    assert added == [
        *("hr_distance", "hr_misfit", "rvs_hr_conflict", "xp_hr_conflict"),
        *("hr_map_distance", "hr_map_x", "hr_map_y"),
        *("j_m", "j_m_error", "h_m", "h_m_error", "ks_m", "ks_m_error"),
        *("j_ks", "hr_snr", "has_hr"),
    ]
    assert set(distances_of(THREE_SPECTRA.inputs)) <= set(schema.names)
    assert schema["has_hr"].title == "Whether an HR mean spectrum was read"
    assert schema["j_ks"].description == "Colour J - Ks. Difference of j_m and ks_m."
    assert schema["j_ks"].ucd == "phot.color;em.IR.J;em.IR.K"
    assert schema["ks_m"].null_meaning == "no Ks photometry in the archive"
    assert "(input_conflict, rvs_hr_conflict or xp_hr_conflict above 1)" in (
        schema["e_teff_epistemic"].description
    )
    assert schema["member_disagreement"].null_meaning.startswith("none of the spectra")
    for column in TODAY.columns:
        if not column.name.endswith("_epistemic") and column.name != "member_disagreement":
            assert schema[column.name] == column


def test_a_third_spectrum_has_its_bits():
    flags = CatalogSchema.of(THREE_SPECTRA).flags
    added = {bit.name: bit.bit for bit in flags.bits if bit.name not in _names(TODAY)}
    names = (
        *("hr_used", "tmass_used", "hr_low_snr", "hr_out_of_distribution", "hr_unlike_any_star"),
        *("rvs_hr_conflict", "xp_hr_conflict", "outside_hr_map"),
    )
    assert added == {name: FREE + place for place, name in enumerate(names)}
    assert flags["tmass_used"].sentence == "J, H and Ks were used."
    assert flags["hr_low_snr"].sentence == "The HR spectrum was used and its hr_snr is below 40."
    assert flags["hr_low_snr"].parameters == {"spectrum": "hr", "threshold": 40.0}
    gold = flags.tiers[0]
    assert gold.requires == ("rvs_used", "xp_used", "hr_used")
    assert gold.sentence.startswith(
        "RVS, XP and HR spectra were used and agree, nothing is unusual about any, all labels"
    )
    assert set(gold.without) == {bit.name for bit in flags.bits if bit.doubts}


def test_without_spectra_and_parallax_there_are_no_columns_of_them():
    before = default_contract()
    inputs = before.inputs.model_copy(update={"spectra": {}, "parallax": False})
    contract = before.model_copy(update={"inputs": inputs})
    schema = CatalogSchema.of(contract)
    assert not any(
        word in name for name in schema.names for word in ("rvs", "xp", "parallax", "conflict")
    )
    assert schema["e_teff_epistemic"].description.endswith("members of the ensemble.")
    assert [digit.title for digit in digits_of(contract)] == [*FIVE, "G"]
    assert schema.flags.tiers[0].requires == ()
    assert schema.flags.tiers[0].sentence.startswith("Nothing is unusual, all labels lie inside")


def test_thirty_labels_need_a_second_mask():
    schema = CatalogSchema.of(THIRTY)
    assert schema.flags.columns == ("flags", "flags_2")
    assert schema.names[-2:] == ("flags", "flags_2")
    assert schema["flags_2"].dtype == "int64"
    assert "from number 64 on" in schema["flags_2"].description
    numbers = [bit.bit for bit in schema.flags.bits]
    assert 63 not in numbers
    assert len(numbers) == len(set(numbers)) == FREE + 2 * 25
    assert max(numbers) == FREE + 2 * 25  # all from 0 on but the sign
    bit = next(bit for bit in schema.flags.bits if bit.bit == 64)
    assert (bit.column, bit.mask) == ("flags_2", 1)
    assert schema.flags["not_predicted"].sentence == "All 30 labels are null."
    assert len([name for name in schema.names if name.startswith("corr_")]) == 30 * 29 // 2
    assert f"Bits of flags and flags_2, version {schema.flags.version}" in schema.describe()


def test_no_mask_without_need():
    assert TODAY.flags.columns == ("flags",)
    assert CatalogSchema.of(THREE_SPECTRA).flags.columns == ("flags",)


@pytest.mark.parametrize("contract", [SIX, FOUR, THIRTY, THREE_SPECTRA])
def test_a_schema_holds_its_contract(contract):
    schema = CatalogSchema.of(contract)
    text = json.dumps(schema.model_dump(mode="json", by_alias=True), allow_nan=False)
    again = CatalogSchema.model_validate_json(text)
    assert again == schema
    assert again.digest == schema.digest != TODAY.digest
    assert (again.labels, again.inputs) == (contract.labels, contract.inputs)


def test_masks_are_read_in_one_place():
    flags = CatalogSchema.of(THIRTY).flags
    last = flags.bits[-1]
    columns = {"flags": np.array([1, 0, 0, 0]), "flags_2": np.array([0, last.mask, 0, 0])}
    columns["flags"][3] = flags["xp_used"].mask
    assert flags.test(columns, "rvs_used").tolist() == [True, False, False, False]
    assert flags.test(columns, last.name).tolist() == [False, True, False, False]
    both = flags.test(columns, last.name, "xp_used")
    assert both.tolist() == [False, True, False, True]
    assert flags.declared_masks["flags_2"] & last.mask


@pytest.mark.parametrize(
    ("title", "said"), [("RVS", "an RVS"), ("XP", "an XP"), ("RAVE", "a RAVE"), ("blue", "a blue")]
)
def test_articles(title, said):
    assert with_article(title) == said


def test_lists_and_numbers():
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "or")] == [
        *("a", "a and b", "a, b or c"),
    ]
    assert (in_words(5), in_words(13)) == ("five", "13")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ra", "column ra is declared twice: of every catalogue and of the label ra"),
        ("rvs_distance", "of the label rvs_distance and of the spectrum rvs"),
        ("teff_aleatoric", "column e_teff_aleatoric .* of the label teff_aleatoric and"),
        ("parallax", "bit parallax_outside_range .* of the label parallax and of the parallax"),
        ("flags", "of the label flags and of every catalogue"),
        ("bp_rp", "of the label bp_rp and of the colour bp_rp"),
    ],
)
def test_a_label_with_the_name_of_something_else_is_refused_by_name(name, said):
    with pytest.raises(ConfigError, match=said):
        CatalogSchema.of(with_one_more({"name": name}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ucd": "phys.abund.Xy"}, r"columns\.odd\.ucd: Unknown word .* \(the label odd\)"),
        ({"meaning": "In m\u00b2."}, r"columns\.odd\.description: .* ASCII.* \(the label odd\)"),
        (
            {"largest_sigma": {"golden": 1.0}},
            "largest_sigma of the label odd names golden; tiers with limits are gold, silver",
        ),
        ({"largest_sigma": {"use_with_care": 1.0}}, "names use_with_care"),
    ],
)
def test_what_a_label_declares_wrongly_names_the_label(change, said):
    with pytest.raises(ConfigError, match=said):
        CatalogSchema.of(with_one_more({"name": "odd", **change}))


def test_the_released_conflict_keeps_its_name_in_whatever_order_the_spectra_are():
    before = default_contract()
    spectra = dict(reversed(before.inputs.spectra.items()))
    inputs = before.inputs.model_copy(update={"spectra": spectra})
    schema = CatalogSchema.of(before.model_copy(update={"inputs": inputs}))
    assert list(schema.inputs.pairs) == [("rvs", "xp")]
    assert schema["input_conflict"] == default_schema()["input_conflict"]
    assert schema.flags["rvs_xp_conflict"] == default_schema().flags["rvs_xp_conflict"]


def with_one_more(change):
    before = default_contract()
    label = Label.model_validate({**known_labels()["mg_fe"].model_dump(), **change})
    return before.model_copy(update={"labels": Labels([*before.labels, label])})
