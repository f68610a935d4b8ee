"""Names that inputs cannot have, and colours that say nothing."""

import pytest

from catalog_builder.contract.inputs import Band, BandsInput, Inputs
from catalog_builder.contract.labels import Label, known_labels
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
