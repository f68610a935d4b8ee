"""The label survey's file is found by its names, and known by its content."""

import gzip
import os

import numpy as np
import pytest
from astropy.io import fits

from catalog_builder.archive.files import refuse_if_changed
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.locate import find_survey
from catalog_builder.labels.read import read_labels
from catalog_builder.labels.survey import load_survey

SURVEY = load_survey("apogee-dr17")
FULL, LITE, *_ = SURVEY.files


@pytest.fixture
def content(tmp_path):
    names = {SURVEY.source_id, SURVEY.sig_to_noise}
    names |= {name for label in SURVEY.labels.values() for name in (label.column, label.error)}
    names |= {cut.column for cut in SURVEY.cuts}
    kinds = {name: "J" if name in SURVEY.bits else "E" for name in names}
    kinds[SURVEY.source_id] = "K"
    columns = [fits.Column(n, kind, array=np.ones(3)) for n, kind in sorted(kinds.items())]
    path = tmp_path / "made.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    return path.read_bytes()


def rows_of(file):
    return sum(block.n_read for block in read_labels(file, SURVEY))


@pytest.mark.parametrize("name", ["labels.fits", "labels.fits.gz", "labels.csv", "labels"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_labels_are_known_by_their_content(tmp_path, content, name, pack):
    (tmp_path / name).write_bytes(pack(content))
    file = find_survey(SURVEY, str(tmp_path / name), "")
    assert rows_of(file) == 3
    refuse_if_changed(file)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (b"APOGEE_ID,TEFF\n1,5000\n", "by its content it is a table of text"),
        (b"<html><title>404 Not Found</title></html>", r'it is an HTML page \("404 Not Found"\)'),
        (b"PAR1\x15\x04" + bytes(100), "by its content it is Parquet"),
        (b"BZh91AY&SY" + bytes(100), "bzip2"),
        (b"", "it is empty"),
    ],
)
def test_labels_that_are_something_else(tmp_path, found, said):
    (tmp_path / "labels.fits").write_bytes(found)
    file = find_survey(SURVEY, str(tmp_path / "labels.fits"), "")
    with pytest.raises(InputError, match=f"labels.fits cannot be read as FITS: .*{said}"):
        rows_of(file)


def _broken(path):
    path.symlink_to("nowhere")


def _loop(path):
    path.symlink_to(path.name)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "it is a named pipe"),
        (os.mkdir, "it is a folder"),
        (_broken, "it is a symbolic link whose target is not there"),
        (_loop, "it is a symbolic link that leads back to itself"),
    ],
)
@pytest.mark.parametrize("is_given", [True, False])
def test_labels_that_are_no_file(tmp_path, content, make, said, is_given):
    """Neither waited for, nor passed over in silence for the next candidate."""
    place = tmp_path / FULL
    place.parent.mkdir()
    (tmp_path / LITE).write_bytes(content)
    make(place)
    with pytest.raises(InputError, match=f"{place.name} cannot be read: {said}"):
        find_survey(SURVEY, str(place) if is_given else None, str(tmp_path))


def test_of_several_candidates_the_others_are_named(tmp_path, content):
    (tmp_path / FULL).parent.mkdir()
    for name in (FULL, LITE):
        (tmp_path / name).write_bytes(content)
    file = find_survey(SURVEY, None, str(tmp_path))
    assert file.url == f"{tmp_path}/{FULL}"
    assert file.passed_over == (f"{tmp_path}/{LITE}",)
    assert find_survey(SURVEY, file.url, str(tmp_path)).passed_over == ()


def test_labels_behind_a_link(tmp_path, content):
    target = tmp_path / "target"
    target.write_bytes(content)
    os.utime(target, (1e9, 1e9))
    (tmp_path / "labels.fits").symlink_to("target")
    file = find_survey(SURVEY, str(tmp_path / "labels.fits"), "")
    assert (file.size, file.mtime, rows_of(file)) == (len(content), 1e9, 3)
    refuse_if_changed(file)
    os.utime(target)
    with pytest.raises(InputError, match="changed while it was read"):
        refuse_if_changed(file)


def test_labels_that_are_nowhere(tmp_path):
    with pytest.raises(InputError, match=r"is not in the archive; looked for .*allStar"):
        find_survey(SURVEY, None, str(tmp_path))
