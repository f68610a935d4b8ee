"""The file of a label survey is known by its columns, and what takes it is said."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from catalog_builder.archive.release import load_release
from catalog_builder.ground.resources import shipped_files
from catalog_builder.inspecting.groups import find_groups
from catalog_builder.inspecting.inspect import inspect_archive
from catalog_builder.inspecting.label_files import find_label_files
from catalog_builder.inspecting.match import look_at_group
from catalog_builder.labels.survey import load_survey
from catalog_builder.simulate.sky import simulate
from tests.unit.inspecting.made import make_archive

SURVEYS = [file.stem for file in shipped_files("labels")]


def write_labels(path, name, *, without=(), beside=()):
    """Write a file with the columns that a survey needs, in the extension where it looks."""
    survey = load_survey(name)
    columns = {
        column: np.ones(70, np.int64 if column.endswith(("FLAG", "TARG", "flags")) else np.float32)
        for column in (*sorted(survey.needed_columns), *beside)
        if column not in without
    }
    if survey.source_id in columns:
        ids = np.arange(1, 71) << 45
        columns[survey.source_id] = ids.astype("S20") if survey.text_ids else ids
    path.parent.mkdir(parents=True, exist_ok=True)
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(Table(columns))]
    hdus[1:1] = [fits.BinTableHDU(Table({"x": [1]})) for _ in range(survey.hdu - 1)]
    fits.HDUList(hdus).writeto(path)
    return survey


def found_in(folder, *releases):
    looked = [look_at_group(group) for group in find_groups(str(folder))]
    return find_label_files(looked, set(releases))


@pytest.mark.parametrize("name", SURVEYS)
def test_the_file_of_each_survey_is_known_whatever_it_is_called(name, tmp_path):
    survey = write_labels(tmp_path / "odd/stars.fits", name)
    (file,) = found_in(tmp_path, survey.source_id_release)
    assert file.lacking == ()
    assert file.surveys[name] == survey
    words = f"`--labels {tmp_path}/odd/stars.fits --set training.survey={name}`"
    assert any(words in line for line in file.in_words())


def test_of_several_descriptions_those_for_the_archive_are_named(tmp_path):
    write_labels(tmp_path / "x.fits", "apogee-dr17-rave", beside=("GAIAEDR3_SOURCE_ID",))
    path = tmp_path / "x.fits"
    with fits.open(path) as hdus:
        table = Table(hdus[1].data)
    table["GAIAEDR3_SOURCE_ID"] = np.arange(1, 71) << 45
    table.write(path, overwrite=True)
    for release, names in {
        "dr3": ["apogee-dr17"],
        "dr4": ["apogee-dr17"],
        "rave-dr6": ["apogee-dr17-rave", "apogee-dr17"],
    }.items():
        (file,) = found_in(tmp_path, release)
        assert list(file.surveys) == names


def test_a_file_that_is_nearly_one_says_what_it_lacks(tmp_path):
    write_labels(tmp_path / "labels.fits", "galah-dr4", without=("mg_fe", "e_mg_fe"))
    (file,) = found_in(tmp_path)
    assert list(file.surveys) == ["galah-dr4"]
    assert file.lacking == ("e_mg_fe", "mg_fe")
    assert list(file.in_words()) == []  # as it is, nothing takes it


@pytest.mark.parametrize("without", ["gaiadr3_source_id", "none of them"])
def test_what_has_no_identifiers_or_is_no_fits_is_none(tmp_path, without):
    path = tmp_path / "labels.fits"
    write_labels(path, "galah-dr4", without=(without,))
    if without == "none of them":
        Table.read(path).write(tmp_path / "labels.csv")
        path.unlink()
    assert found_in(tmp_path) == []


def test_the_page_and_the_draft_say_how_labels_are_taken(tmp_path):
    archive = make_archive(tmp_path / "archive", {"parallax": None})
    # What else it has is no column of the archive's: not even one that is missing there.
    write_labels(archive / "apogee/x.fits", "apogee-dr17", beside=("parallax", "APOGEE_ID"))
    found = inspect_archive(str(archive), load_release("dr4"))
    given = f"--labels {archive}/apogee/x.fits --set training.survey=apogee-dr17"
    assert "LABELS apogee/x*.fits\n  apogee-dr17 (APOGEE-2 DR17 allStar" in found.text
    assert f"stars with ids of dr3\n    -> `{given}` (the default survey)" in found.text
    assert "FILES apogee" not in found.text
    head = [line for line in found.draft.splitlines() if line.startswith("# LABELS")]
    assert len(head) == 1
    assert given in head[0]
    assert "joined_tables: []" in found.draft


def test_a_simulated_archive_has_its_labels(tmp_path):
    simulate("dr3", 100, 1, tmp_path / "sky")
    found = inspect_archive(str(tmp_path / "sky"), load_release("dr3"))
    assert "LABELS apogee/allStar-dr17-synspec_rev*.fits\n  apogee-dr17 " in found.text
    assert "--set training.survey=apogee-dr17` (the default survey)" in found.text
    assert "4most" not in found.text.partition("LABELS")[2]
