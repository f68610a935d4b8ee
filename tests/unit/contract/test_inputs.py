"""Names that inputs cannot have, colours that say nothing, magnitudes free of reddening."""

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.contract.inputs import Band, BandsInput, Inputs, ReddeningFree
from catalog_builder.contract.labels import Label, known_labels
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.galaxy.label_distance import SPECTROPHOTOMETRIC
from catalog_builder.labels.agreed import contract_of_model, default_contract
from tests.contracts import HR, TMASS


@pytest.mark.parametrize("name", ["parallax", "luminosity", "labels", "any", "source", "rejected"])
def test_names_of_the_program_are_no_inputs(name):
    for given in ({"spectra": {name: HR}}, {"photometry": {name: TMASS}}):
        with pytest.raises(ValueError, match=f"can be called {name}: the program has something"):
            Inputs(**given)


def test_a_name_is_a_spectrum_or_a_group_of_magnitudes():
    with pytest.raises(ValueError, match="hr is a spectrum and a group of magnitudes"):
        Inputs(spectra={"hr": HR}, photometry={"hr": TMASS})


@pytest.mark.parametrize("second", [("j", "j"), ("j", "h"), ("h", "j")])
def test_a_colour_says_something_and_once(second):
    bands = {name: Band(column=f"{name}_m", title=name) for name in "jh"}
    with pytest.raises(ValueError, match=r"the colour .-.* says nothing, or is there twice"):
        BandsInput(title="x", bands=bands, colours=(("j", "h"), second))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"html": "<script>x"}, "no markup but"),
        ({"html": "T<sub>eff"}, "<sub> is not closed"),
        ({"html": "T</i>"}, "</i> closes nothing"),
        ({"in_dex": False}, "in_dex is false"),
        ({"unit": "K"}, "in_dex is true"),
        ({"unit": "log(yr)", "ucd": "time.age", "in_dex": False}, "in_dex is false"),
    ],
)
def test_a_label_is_shown_and_read_as_it_is_declared(change, said):
    with pytest.raises(ValueError, match=said):
        Label.model_validate({**known_labels()["mg_fe"].model_dump(), **change})


def test_symbols_have_letters_of_every_form():
    html = "<i>T</i><sub>e<sup>2</sup></sub>"
    label = Label.model_validate({**known_labels()["mg_fe"].model_dump(), "html": html})
    assert label.html == html


def test_a_magnitude_free_of_reddening_is_a_sum_of_its_own_bands():
    index = ReddeningFree(magnitude="ks", colour=("j", "ks"), factor=0.5)
    assert index.weights == {"ks": 1.5, "j": -0.5}
    group = TMASS.model_copy(update={"reddening_free": index})
    columns = {name: band.column for name, band in TMASS.bands.items()}
    inputs = Inputs(photometry={"tmass": group})
    assert inputs.reddening_free == {columns["ks"]: 1.5, columns["j"]: -0.5}
    other = {"magnitude": "w1", "colour": ("j", "ks"), "factor": 0.5}
    with pytest.raises(ValueError, match="reddening_free of w1, which `bands` does not have"):
        BandsInput.model_validate({**TMASS.model_dump(), "reddening_free": other})


def test_without_one_there_are_no_such_distances_and_digests_are_as_before():
    contract = default_contract()
    group = contract.inputs.photometry["photometry"]
    older = group.model_copy(update={"reddening_free": None})
    assert "reddening_free" not in older.model_dump(mode="json")
    inputs = contract.inputs.model_copy(update={"photometry": {"photometry": older}})
    before = contract.model_copy(update={"inputs": inputs})
    assert set(SPECTROPHOTOMETRIC) <= set(CatalogSchema.of(contract).names)
    assert not set(SPECTROPHOTOMETRIC) & set(CatalogSchema.of(before).names)
    # A model that was made before it knows of none; the release tells.
    assert contract_of_model(before, load_release("dr3")) == contract
