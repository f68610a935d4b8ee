"""A table of old and new identifiers, for the stars that somebody asks for."""

import gzip
import io

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import CatalogueError, ConfigError, InputError
from catalog_builder.looking.neighbours import Asked, find_neighbours, stars_of
from tests.renumbered import FOLDER, STEM, describe

HEADER = "source_id,dr3_source_id,angular_distance,magnitude_difference,probable_match"
FILES = {
    # 7 was split, beyond a border; 8 and 9 were merged; 11 has another id; 12 has only strangers.
    "000000-000009": ["100,7,3,0.1,true", "101,8,3,0.1,true", "101,9,90,0.4,true"],
    "000010-000019": ["200,7,90,0.4,true", "201,11,5,0,true", "201,12,900,3,false"],
}


@pytest.fixture
def archive(tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    for name, rows in FILES.items():
        text = "\n".join([HEADER, *rows]) + "\n"
        (tmp_path / FOLDER / f"{STEM}{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def table(archive, ids, release):
    spec = load_release(describe(archive))
    found = find_neighbours(str(archive), spec, "dr3", Asked(np.array(ids, np.int64), release))
    stream = io.StringIO()
    found.write(stream)
    head, *rows = stream.getvalue().splitlines()
    assert head.startswith("source_id,dr3_source_id,likely_matches,neighbours,angular_distance")
    return rows, found.counts()


def test_new_stars_learn_their_old_identifiers(archive):
    rows, counts = table(archive, [100, 101, 201, 300], "dr4")
    assert rows == [
        "100,7,1,1,3,0.1,several",  # the other half of 7 was not asked for, and counts
        "101,8,2,2,3,0.1,several",
        "101,9,2,2,90,0.4,several",
        "201,11,1,2,5,0,one",
        "300,,0,0,,,none",
    ]
    assert counts == {"one": 1, "several": 2, "none": 1}


def test_old_stars_learn_their_new_identifiers(archive):
    rows, counts = table(archive, [7, 11, 12], "dr3")
    assert rows == [
        "100,7,2,2,3,0.1,several",
        "200,7,2,2,90,0.4,several",
        "201,11,1,1,5,0,one",
        ",12,0,0,,,none",
    ]
    assert counts == {"one": 1, "several": 1, "none": 1}


def test_identifiers_come_from_text(tmp_path):
    file = tmp_path / "ids"
    for text in ("5\n7\n", "source_id\n5\n7\n", "name,source_id\nx,5\n\ny,7\n"):
        file.write_text(text)
        asked = stars_of(file, "dr3")
        assert (asked.ids.tolist(), asked.release) == ([5, 7], "dr3")


@pytest.mark.parametrize("text", ["5\nseven\n", "5\n-7\n", "5\n99999999999999999999\n", "5\n7.5\n"])
def test_what_is_no_identifier_is_named_by_its_line(tmp_path, text):
    file = tmp_path / "ids"
    file.write_text(text)
    with pytest.raises(InputError, match="line 2, holds no identifier"):
        stars_of(file, "dr3")


def test_a_file_does_not_say_its_release(tmp_path):
    (tmp_path / "ids").write_text("5\n")
    with pytest.raises(ConfigError, match="does not say which release") as refusal:
        stars_of(tmp_path / "ids", None)
    assert "--ids-of" in refusal.value.way_out
    with pytest.raises(CatalogueError, match="is not there"):
        stars_of(tmp_path / "nothing", "dr3")
