"""`fetch` of a label survey's file: its SHA-1 from the description or from a list."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.labels.survey import LabelSurvey, load_survey

KEY = "sas/allStar.fits"
LIST = "sas/dr17_synspec.sha1sum"
ROWS = b"SIMPLE  =                    T" * 1000
SHA1 = hashlib.sha1(ROWS).hexdigest()
PLACE = "apogee/allStar-dr17-synspec_rev1.fits"


@pytest.fixture
def survey_at(empty_site: Any) -> Any:
    """Make the description of a survey whose file lies on the server."""
    empty_site.files[KEY] = ROWS

    def describe(**download: Any) -> LabelSurvey:
        content = load_survey("apogee-dr17").model_dump(mode="json")
        content["download"] = {"url": f"{empty_site.base}/{KEY}"} | download
        return LabelSurvey.model_validate(content)

    return describe


def test_the_file_of_a_survey_comes_alone(
    empty_site: Any, fetch: Any, survey_at: Any, tmp_path: Path
) -> None:
    empty_site.faults[KEY] = [
        lambda handler, data: handler.serve(data, cut_after=9000),
        lambda handler, data: handler.serve(b"?" * len(data)),
    ]

    report = fetch(empty_site, tmp_path, survey=survey_at(sha1=SHA1), tables=())

    assert (tmp_path / PLACE).read_bytes() == ROWS
    assert (report.n_files, report.n_bytes, report.unverified) == (1, len(ROWS), ())
    assert fetch(empty_site, tmp_path, survey=survey_at(sha1=SHA1), tables=()).n_fetched == 0


def test_a_sha1sum_list_is_used_where_the_description_has_no_digest(
    empty_site: Any, fetch: Any, survey_at: Any, tmp_path: Path
) -> None:
    survey = survey_at(sha1_list=f"{empty_site.base}/{LIST}")
    empty_site.files[LIST] = f"{'0' * 40}  other.fits\n{SHA1}  synspec/allStar.fits\n".encode()

    assert fetch(empty_site, tmp_path, survey=survey, tables=()).unverified == ()

    empty_site.files[LIST] = f"{'0' * 40}  allStar.fits\n".encode()
    with pytest.raises(InputError, match=r"its sha1 is [0-9a-f]{40}, where 0{40} is due"):
        fetch(empty_site, tmp_path, survey=survey, tables=())
    assert (tmp_path / PLACE).read_bytes() == ROWS  # the old file stays until a better one is there


def test_without_any_digest_the_file_is_reported(
    empty_site: Any, fetch: Any, survey_at: Any, tmp_path: Path
) -> None:
    report = fetch(empty_site, tmp_path, survey=survey_at(), tables=())

    assert report.unverified == (tmp_path / PLACE,)
    assert fetch(empty_site, tmp_path, survey=survey_at(), tables=()).n_fetched == 0


def test_a_survey_that_is_gone_does_not_keep_the_tables(
    site: Any, fetch: Any, survey_at: Any, tmp_path: Path
) -> None:
    del site.files[KEY]

    with pytest.raises(InputError, match="1 of 8 files could not be fetched") as caught:
        fetch(site, tmp_path, survey=survey_at(sha1=SHA1))

    assert "404" in str(caught.value)
    assert site.is_whole(tmp_path)


def test_a_survey_that_says_no_address_is_told(site: Any, fetch: Any, tmp_path: Path) -> None:
    survey = load_survey("apogee-dr17").model_copy(update={"download": None})

    with pytest.raises(ConfigError, match="does not say where it is published"):
        fetch(site, tmp_path, survey=survey)
