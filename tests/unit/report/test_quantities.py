"""Axes, roles and planes follow from the contract; numbers and lists become words."""

from __future__ import annotations

import re

import pytest

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.labels import Label, Labels, known_labels
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.words import in_words, listed
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.report.measures import metrics
from catalog_builder.report.quantities import Quantities, difference_unit
from catalog_builder.report.words import a_spectrum, numbers

FIVE = default_contract().labels.names
INPUTS = default_contract().inputs


def shown(labels=FIVE, inputs=INPUTS):
    known = known_labels()
    return Quantities(Contract(labels=Labels(known[name] for name in labels), inputs=inputs))


def test_axes_follow_range_and_resolution():
    teff = shown()["teff"]
    assert (teff.axis.low, teff.axis.high, teff.axis.bins) == (2000.0, 12000.0, 400)
    assert (teff.sigma.low, teff.sigma.high, teff.sigma.bins) == (0.1, 10000.0, 575)
    assert shown()["alpha_m"].axis.bins == 160


def test_bins_divide_by_two_and_five_and_keep_their_width():
    odd = known_labels()["mg_fe"].model_copy(update={"range": (0.0, 1.01), "resolution": 0.02})
    axis = Quantities(Contract(labels=Labels([odd]), inputs=INPUTS))["mg_fe"].axis
    assert (axis.bins, axis.high) == (60, pytest.approx(1.2))


def test_many_labels_are_abundances_of_the_first_metallicity():
    names = (*FIVE, *(name for name in known_labels() if name.endswith("_fe")))
    many = shown(names)
    assert len(names) > 15
    assert many.alpha_planes == (("m_h", "alpha_m"), ("fe_h", "alpha_m"))
    assert many.other_planes == tuple(("m_h", name) for name in names[5:])
    assert many.mapped == (*FIVE[:4], *names[5:])


def test_what_is_not_there_is_not_asked_for():
    few = shown(("logg", "alpha_m"), Inputs(spectra={"xp": INPUTS.spectra["xp"]}, parallax=False))
    assert few.kiel is None
    assert few.alpha_planes == few.other_planes == few.metallicities == ()
    # Without spectra of lines, those of low resolution are what stars are compared by.
    assert few.compared == ("xp",)
    assert few.measured == {}
    assert few.magnitude_title == "magnitude"


def test_views_are_named_by_the_titles_of_inputs(make_record):
    measured = {"all": {"teff": {"stars": 5, "robust_scatter": 50.0}}}
    views = ("as_observed", *(f"without_{name}" for name in INPUTS.names), "without_luck")
    record = make_record(20, metrics=dict.fromkeys(views, measured))
    words = metrics(record, default_schema(), shown())
    for title in ("with their RVS spectra withheld", "with their XP spectra withheld",
                  "with their photometry withheld", "with their parallaxes withheld",
                  "with all inputs they have", "without_luck"):  # fmt: skip
        assert f"Test stars, {title}<" in words


def test_many_labels_make_several_tables_of_regimes(make_record):
    names = (*FIVE, *(name for name in known_labels() if name.endswith("_fe")))
    regimes = {"bright": {name: {"stars": 5, "robust_scatter": 0.1} for name in names}}
    record = make_record(20, metrics={"as_observed": {"by_regime": regimes}})
    words = metrics(record, CatalogSchema.of(shown(names).contract), shown(names))
    heads = [row for row in re.findall("<thead>(.*?)</thead>", words) if "Regime" in row]
    assert len(heads) == -(-len(names) // 8)
    assert sum(row.count("/Fe] [dex]") for row in heads) == len(names) - 5


def test_a_plain_number_is_not_in_dex():
    ratio = {"name": "ratio", "ucd": "stat.value", "in_dex": False}
    label = Label.model_validate({**known_labels()["mg_fe"].model_dump(), **ratio})
    schema = CatalogSchema.of(Contract(labels=Labels([label]), inputs=INPUTS))
    assert difference_unit(schema, "ratio") == "1"
    assert difference_unit(default_schema(), "logg") == "dex"


@pytest.mark.parametrize("spelt", ["km s-1", "km.s**-1"])
def test_powers_are_raised_however_they_are_spelt(spelt):
    speed = {"name": "vsini", "ucd": "phys.veloc", "in_dex": False, "unit": spelt}
    label = Label.model_validate({**known_labels()["mg_fe"].model_dump(), **speed})
    schema = CatalogSchema.of(Contract(labels=Labels([label]), inputs=INPUTS))
    assert difference_unit(schema, "vsini") == "km s\u207b\u00b9"


def test_numbers_and_lists_in_words():
    assert numbers([23, 18, 19, 20, 21, 22]) == "18 to 23"
    assert numbers([1, 2, 5, 7, 8, 9]) == "1, 2, 5 and 7 to 9"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert (in_words(5), in_words(40)) == ("five", "40")
    assert [a_spectrum(t).split()[0] for t in ("RVS", "XP", "UVES", "GIRAFFE", "optical")] == [
        "an", "an", "a", "a", "an",
    ]  # fmt: skip
