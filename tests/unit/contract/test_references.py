"""Papers as BibTeX and in a line."""

import pytest
from pydantic import ValidationError

from catalog_builder.archive.release import load_release
from catalog_builder.contract.references import Reference
from catalog_builder.labels.survey import load_survey
from catalog_builder.model.origin import description_digest

PAPER = {"key": "Doe2024", "authors": ("Doe, J.",), "title": "Stars & more", "year": 2024}


def test_bibtex():
    paper = Reference(
        **{**PAPER, "authors": ("The Survey_1", "Doe, J."), "others": True},
        journal="A&A",
        volume="1",
        page="A2",
        doi="10.1/x",
        bibcode="2024A&A...123A...4D",
    )
    assert paper.bibtex == (
        "@article{Doe2024,\n"
        "  author = {{The Survey\\_1} and Doe, J. and others},\n"
        "  title = {{Stars \\& more}},\n"
        "  journal = {A\\&A},\n"
        "  year = {2024},\n"
        "  volume = {1},\n"
        "  eid = {A2},\n"
        "  doi = {10.1/x},\n"
        "  adsurl = {https://ui.adsabs.harvard.edu/abs/2024A%26A...123A...4D},\n"
        "}"
    )
    assert paper.line == "The Survey_1, Doe et al. 2024, A&A 1, A2"


def test_what_is_not_in_a_journal():
    assert Reference(**PAPER).bibtex.startswith("@misc{Doe2024,\n  author = {Doe, J.},")
    assert Reference(**PAPER).line == "Doe 2024"
    two = Reference(**{**PAPER, "authors": ("Doe, J.", "Roe, R.")})
    assert two.line == "Doe & Roe 2024"


@pytest.mark.parametrize(
    "wrong",
    [
        {"authors": ()},
        {"key": "a b"},
        {"bibcode": "2024A&A"},
        {"doi": "https://doi.org/10.1/x"},
        {"year": 24},
        {"isbn": "1"},
    ],
)
def test_what_is_wrong_is_refused(wrong):
    with pytest.raises(ValidationError):
        Reference(**{**PAPER, **wrong})


def test_papers_and_thanks_shape_nothing():
    release = load_release("dr3")
    bare = release.model_copy(update={"references": (), "acknowledgement": ""})
    assert release.references
    assert description_digest(bare) == description_digest(release)
    survey = load_survey("apogee-dr17")
    assert survey.references
    assert "references" not in survey.model_dump()


@pytest.mark.parametrize("name", ["dr3", "dr4"])
@pytest.mark.parametrize("survey", ["apogee-dr17", "apogee-dr19"])
def test_every_shipped_description_says_whom_to_cite(name, survey):
    for one in (load_release(name), load_survey(survey)):
        assert one.acknowledgement
        keys = [paper.key for paper in one.references]
        assert len(set(keys)) == len(keys) > 0
        assert all(paper.doi for paper in one.references)
