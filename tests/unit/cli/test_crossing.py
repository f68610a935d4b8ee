"""`crosswalk` and `recalibrate`: what is refused, before anything is read."""

import gzip

import pytest

from tests.renumbered import FOLDER, STEM, describe


@pytest.fixture
def archive(tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    text = "source_id,dr3_source_id,probable_match\n100,7,true\n101,8,true\n"
    file = tmp_path / FOLDER / f"{STEM}000000-000009.csv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    describe(tmp_path)
    (tmp_path / "ids").write_text("7\n9\n")
    return tmp_path


def ask(command, archive, *more, release=None):
    release = release or archive / "dr4.yaml"
    return command("crosswalk", archive / "ids", "--archive", archive, "--release", release, *more)


def test_a_table_goes_to_the_terminal_or_to_a_file(command, archive):
    said = ask(command, archive, "--ids-of", "dr3")
    assert said.code == 0
    assert said.out.splitlines()[1:] == ["100,7,1,1,,,one", ",9,0,0,,,none"]
    assert "Matches of 2 stars: 1 one, 0 several, 1 none." in said.err
    table = archive / "table.csv"
    assert ask(command, archive, "--ids-of", "dr3", "-o", table).code == 0
    assert table.read_text() == said.out
    again = ask(command, archive, "--ids-of", "dr3", "-o", table)
    assert (again.code, "exists" in again.err) == (3, True)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "does not say which release"),
        (("--ids-of", "dr2"), "The stars are of release dr2: neither dr4 nor dr3"),
        (("--ids-of", "dr3", "--older", "dr2"), "--older dr2: Gaia Data Release 4"),
    ],
)
def test_stars_of_no_release_that_the_table_knows_are_refused(command, archive, more, words):
    said = ask(command, archive, *more)
    assert said.code == 3
    assert words in said.err


def test_a_release_without_crosswalks_says_so(command, archive):
    said = ask(command, archive, "--ids-of", "dr3", release="dr3")
    assert said.code == 3
    assert "has no crosswalk" in said.err


def test_nothing_is_recalibrated_without_a_model(command, tmp_path, archive):
    said = command("run", "--recalibrate", "--archive", archive, "--workdir", tmp_path / "w")
    assert said.code == 3
    assert "which model? Give model_path (--model)" in said.err
    said = command("recalibrate", tmp_path / "none", "--archive", archive, "--workdir", tmp_path)
    assert said.code in (4, 7)
