import copy
import re
from pathlib import Path

import pytest
import yaml

from catalog_builder.archive.release import load_release
from catalog_builder.contract.labels import Label, Simulation, known_labels
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.agreed import contract_of, default_contract
from catalog_builder.labels.survey import Cut, LabelColumn, LabelSurvey, load_survey

LABEL_NAMES = default_contract().labels.names


@pytest.fixture
def content():
    return yaml.safe_load((schemas_dir() / "labels/apogee-dr17.yaml").read_text())


def test_order_of_labels():
    assert LABEL_NAMES == ("teff", "logg", "m_h", "alpha_m", "fe_h")


@pytest.mark.parametrize("path", sorted((schemas_dir() / "labels").glob("*.yaml")))
def test_every_survey_loads_under_its_name(path):
    survey = load_survey(path.stem)
    assert survey.name == path.stem
    assert set(survey.labels) <= {*known_labels(), *(one.name for one in survey.declares)}
    assert all(cut.because.endswith(".") for cut in survey.cuts)


def test_bits_of_apogee_dr17():
    survey = load_survey("apogee-dr17")
    flags = survey.bits["ASPCAPFLAG"]
    # WARN bits and their BAD forms are 16 apart (https://www.sdss4.org/dr17/irspec/apogee-bitmasks).
    for name, number in flags.items():
        if name.endswith("_WARN"):
            assert flags[name.removesuffix("_WARN") + "_BAD"] == number + 16
    cuts = {cut.name: cut for cut in survey.cuts}
    assert survey.bit_mask(cuts["multiple_suspect"].bits) == 1 << 41
    assert survey.bit_mask(cuts["aspcap_failed"].bits) & (1 << 23)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("labels", "teff", "unit"), "Kelwin", r"labels\.teff\.unit: 'Kelwin' is not a unit"),
        (
            ("labels", "teff", "sigma"),
            1,
            r"labels\.teff\.sigma: unknown key\. Allowed here: c",
        ),
        (("labels", "age"), {}, r"labels\.age"),
        (("labels", "teff", "error_floor"), 0, r"labels\.teff\.error_floor"),
        (("labels",), {}, "`labels` names none of teff"),
        (
            ("cuts", 0, "bits", "any_of"),
            ["STAR_BED"],
            "ASPCAPFLAG has no bit STAR_BED",
        ),
        (("cuts", 0, "bits", "column"), "FLAGS", "`bits` names none for that column"),
        (("cuts", 0, "range"), {"column": "SNR", "minimum": 1}, "exactly one test"),
        (("cuts", 0, "rejects"), "everything", r"cuts\.0\.rejects"),
        (("cuts", 0, "rejects"), [], "must be `star` or name at least one label"),
        (("cuts", 0, "name"), "low_snr", r"cuts with the same name: \['low_snr'\]"),
        (("cuts", 4, "range"), {"column": "SNR"}, "give a minimum, a maximum or both"),
        (("cuts", 4, "range"), {"column": "SNR", "minimum": 2, "maximum": 1}, "minimum is above"),
        (("bits", "STARFLAG", "BAD_PIXELS"), 64, r"bits\.STARFLAG\.BAD_PIXELS"),
        (("duplicates",), "any", "duplicates: Input should be 'best_sig_to_noise'"),
        (("hdu",), 0, "hdu"),
        (("dowload",), {}, "dowload: unknown key"),
    ],
)
def test_a_wrong_key_is_named(content, tmp_path, path, value, message):
    content = copy.deepcopy(content)
    *parents, last = path
    place = content
    for part in parents:
        place = place[part]
    place[last] = value
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=message):
        load_survey(file)


def test_the_page_on_labels_names_every_key_and_its_example_is_one():
    page = (Path(__file__).parents[3] / "docs" / "labels.md").read_text(encoding="utf-8")
    keys = [*LabelSurvey.model_fields, *Label.model_fields, *LabelColumn.model_fields]
    keys += [*Cut.model_fields, *Simulation.model_fields]
    assert [key for key in keys if f"`{key}`" not in page] == []
    added, declared = (
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.S)
    )
    content = yaml.safe_load((schemas_dir() / "labels" / "apogee-dr17.yaml").read_text())
    content["labels"] |= added["labels"]
    content["labels"]["vbroad"] = {**added["labels"]["mg_fe"], "unit": "km s-1"}
    content["cuts"] += added["cuts"]
    survey = LabelSurvey.model_validate({**content, **declared})
    assert survey.declared.names == (*default_contract().labels.names, "mg_fe", "vbroad")
    assert CatalogSchema.of(contract_of(load_release("dr3"), survey))["e_vbroad"].unit == "km.s**-1"


NEW = {
    "name": "zz", "title": "Z", "short": "z", "meaning": "Z.", "ucd": "stat.value", "tex": "z",
    "html": "z", "range": [0.1, 5.0], "resolution": 0.1, "sigma_range": [0.001, 1.0],
}  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ([{**NEW, "name": "teff"}], "`declares` has teff, which is known"),
        ([NEW, NEW], "zz is declared twice"),
        ([{**NEW, "tex": r"$\\frac{$"}], "tex of zz, .* cannot be drawn: .*Expected"),
        (
            [{**NEW, "unit": "gigayear"}],
            r"survey\.yaml: unit of zz: 'gigayear' is no unit of both FITS",
        ),
        ([{**NEW, "ucd": "time.old"}], r"survey\.yaml: ucd of zz: Unknown word 'time\.old'"),
        ([{**NEW, "unit": "Gyr"}], r"labels\.zz\.unit is '', but the label is in 'Gyr'"),
    ],
)
def test_declared_labels_are_new_and_can_be_drawn(content, tmp_path, declared, said):
    content["declares"] = declared
    content["labels"]["zz"] = {**content["labels"]["m_h"], "unit": ""}
    path = tmp_path / "survey.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=said):
        load_survey(path)


@pytest.mark.parametrize(("label", "unit"), [("teff", "kK"), ("teff", "dex"), ("m_h", "K")])
def test_a_column_in_another_unit_than_its_label_is_refused(content, tmp_path, label, unit):
    content["labels"][label]["unit"] = unit
    path = tmp_path / "survey.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=rf"labels\.{label}\.unit is '{unit}', but"):
        load_survey(path)
