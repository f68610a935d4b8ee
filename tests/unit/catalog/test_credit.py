"""Whom to cite and thank follows from what a catalogue was made of."""

import json
import re

import pytest
from astropy.io import fits

from catalog_builder import credit_of
from catalog_builder.archive.release import load_release
from catalog_builder.catalog.credit import bibliography, credit_owed, with_entry
from catalog_builder.catalog.credit_record import credit_attributes
from catalog_builder.catalog.fits_table import credit_cards
from catalog_builder.labels.survey import load_survey
from catalog_builder.publish.settings import PublishSettings

ESA, SDSS = load_release("dr3").credit, load_survey("apogee-dr17").credit
MODEL = {"release": "dr3", "survey": "apogee-dr17"}
COLUMNS = ("has_rvs", "parallax_corrected", "distance")
METHODS = {"Guiglion2024", "BailerJones2015"}
GAIA = {"GaiaMission2016", "GaiaDR3", "Cropper2018", "Katz2023", "Lindegren2021"}
APOGEE = {"Abdurrouf2022", "Majewski2017", "GarciaPerez2016", "Blanton2017"}


def owed(acknowledged, columns=COLUMNS, **more):
    record = {"release": "dr3", "model": MODEL, "acknowledgements": acknowledged}
    return credit_owed({**record, **more}, columns)


def keys(credit):
    return {paper.key for paper in credit.references}


def test_surveys_are_cited_that_were_observed():
    assert keys(owed((ESA, SDSS))) == GAIA | APOGEE | METHODS
    assert keys(owed((ESA,))) == GAIA | METHODS
    assert keys(owed((SDSS,))) == APOGEE | METHODS
    assert keys(owed(())) == METHODS
    assert [words.split(",")[0][:40] for words in owed((ESA, SDSS)).thanks] == [
        "This work has made use of data from the ",
        "Funding for the Sloan Digital Sky Survey",
    ]
    assert owed(()).thanks == ()


def test_papers_of_columns_go_with_them():
    assert keys(owed((ESA,), ("source_id",))) == {"GaiaMission2016", "GaiaDR3", "Guiglion2024"}
    assert "DeAngeli2023" in keys(owed((ESA,), ("has_xp",)))


def test_descriptions_of_ones_own_have_their_papers_where_they_are_known():
    record = {"release": "mine", "model": {"release": "other", "survey": "none"}}
    record["acknowledgements"] = (ESA,)
    assert keys(credit_owed(record, COLUMNS)) == METHODS
    mine = load_release("dr3").model_copy(update={"name": "mine"})
    assert keys(credit_owed(record, COLUMNS, [mine])) == GAIA | METHODS


def made(**settings):
    facts = {"catalogue": "Stars & labels", "release": "dr3", "version": "1.0_a"}
    facts |= {"software": {"catalog-builder": "0.1.0"}, "model_digest": "m"}
    return with_entry(credit_owed({**facts, "model": MODEL}, COLUMNS, **settings), facts)


def test_the_entry_of_the_catalogue_itself():
    credit = made(creators=("Doe, Jane", "A Team"), year=2026, license="CC0-1.0")
    assert credit.bibtex == (
        "@misc{catalog-dr3-1.0_a,\n"
        "  author = {Doe, Jane and {A Team}},\n"
        "  title = {{Stars \\& labels}},\n"
        "  year = {2026},\n"
        "  version = {1.0\\_a},\n"
        "  howpublished = {Data set, made with catalog-builder 0.1.0},\n"
        "  note = {Licence: CC0-1.0},\n"
        "}"
    )
    assert "author" not in made().bibtex
    assert "note" not in made().bibtex


def test_a_bibliography_has_entries_and_thanks_as_comments():
    text = bibliography(made(year=2026), ("Thanks to somebody@somewhere, " + "really " * 30,))
    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert max(map(len, comments)) < 100
    assert not any("@" in line for line in comments)  # BibTeX would begin an entry
    entries = re.findall(r"^@\w+\{([\w.-]+),$", text, re.MULTILINE)
    assert entries == ["catalog-dr3-1.0_a", "Guiglion2024", "BailerJones2015"]
    assert text.count("{") == text.count("}")


def test_cards_and_attributes():
    credit = made(creators=("Poličar, P.",), year=2026, license="CC-BY-4.0")
    record = {"credit": credit.model_dump(mode="json")}
    cards = credit_cards(record)
    header = fits.Header(cards)
    assert header["AUTHOR"] == "Policar, P."
    assert header["LICENSE"] == "CC-BY-4.0"
    assert header["CITE1"] == "10.1051/0004-6361/202347122"
    said = credit_attributes(record)
    assert said["creator_name"] == "Poličar, P."
    assert said["references"].startswith("Guiglion et al. 2024")
    assert credit_cards({}) == []
    many = made(creators=tuple(f"Author Number {n}, A." for n in range(9)))
    long = fits.Header(credit_cards({"credit": many.model_dump(mode="json")}))
    assert long["AUTHOR"] == "Author Number 0, A. et al."


def test_a_sealed_catalogue_says_it(tmp_path, schema, publish_rows, facts, pristine):
    plain = credit_of(pristine)  # from before there was credit: as it follows from the rest
    assert keys(plain) == {"Guiglion2024"}
    assert plain.license is None
    assert f"year = {{{plain.year}}}" in plain.bibtex


def test_the_record_has_it_and_its_seal_covers_it(build, facts):
    from catalog_builder.catalog.release_json import read_release
    from catalog_builder.publish.seal import seal

    credit = made(creators=("Doe, Jane",), year=2026, license="CC-BY-4.0")
    building, target, said = build(record={**facts, "credit": credit.model_dump(mode="json")})
    seal(building, target, said)
    assert credit_of(target) == credit
    record = read_release(target)
    assert record.seal == record.expected_seal()
    content = json.loads((target / "RELEASE.json").read_text())
    assert content["credit"]["license"] == "CC-BY-4.0"
    assert fits.getheader(target / "catalog.fits")["AUTHOR"] == "Doe, Jane"
    changed = record.model_copy(update={"credit": credit.model_copy(update={"license": None})})
    assert changed.expected_seal() != record.seal


@pytest.mark.parametrize(
    "wrong",
    [
        {"license": "all mine"},
        {"license": ""},
        {"creators": ("",)},
        {"creators": ("a}b",)},
        {"creators": ("a\nb",)},
        {"year": 26},
    ],
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PublishSettings(**wrong)
    assert PublishSettings(license=None).license is None
