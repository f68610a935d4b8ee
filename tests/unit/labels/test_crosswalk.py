"""Old stars get the new id that is theirs, or none: what is doubtful is counted."""

import gzip

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.archive.crosswalks import CrosswalkRule
from catalog_builder.archive.files import FileRef
from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.crosswalk import (
    NONE,
    ONE,
    SEVERAL,
    Crosswalk,
    Pairs,
    find_crosswalk,
    read_pairs,
    rule_of,
)
from catalog_builder.model.origin import description_digest, facts_of
from tests.renumbered import FOLDER, STEM, describe

RULE = CrosswalkRule(
    table="neighbours",
    old="old",
    new="new",
    distance="distance",
    magnitude_difference="magnitude_difference",
    probable="probable",
)


def pairs_of(*rows):
    """Return pairs of (old, new, distance, magnitude difference, probable)."""
    columns = zip(*rows, strict=True) if rows else ((),) * 5
    dtypes = (np.int64, np.int64, np.float32, np.float32, np.bool_)
    made = Pairs(*(np.array(one, dtype) for one, dtype in zip(columns, dtypes, strict=True)))
    return Pairs.together([made])


def read_crosswalk(archive, release, older, old):
    """Return what became of some stars of an older release."""
    rule, folder = rule_of(release, older), find_crosswalk(archive, release, older)
    parts = [
        read_pairs(files, release, rule, lambda pairs: np.isin(pairs.old, old))[0]
        for _, files in folder.by_range(release.partition).values()
    ]
    return Crosswalk.of(Pairs.together(parts), rule, np.unique(old))


def decide(rule, *rows, wanted=None):
    pairs = pairs_of(*rows)
    old = np.unique(pairs.old) if wanted is None else np.array(wanted, np.int64)
    new, status = Crosswalk.of(pairs, rule, old).translate(old)
    return dict(zip(old.tolist(), zip(new.tolist(), status.tolist(), strict=True), strict=True))


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([(1, 10, 5, 0.0, True)], {1: (10, ONE)}),
        # Without a word of the table, place and magnitude tell.
        ([(1, 10, 5, 0.0, False)], {1: (10, ONE)}),
        ([(1, 10, 500, 0.0, False)], {1: (0, NONE)}),
        ([(1, 10, 5, 2.0, False)], {1: (0, NONE)}),
        ([(1, 10, np.nan, 0.0, False)], {1: (0, NONE)}),
        ([(1, 10, np.nan, np.nan, True)], {1: (10, ONE)}),
        # Of several, the probable one; of two such, neither.
        ([(1, 10, 50, 0.1, False), (1, 11, 90, 0.1, True)], {1: (11, ONE)}),
        ([(1, 10, 5, 0.0, True), (1, 11, 90, 0.1, True)], {1: (0, SEVERAL)}),
        ([(1, 10, 5, 0.0, False), (1, 11, 9, 0.1, False)], {1: (0, SEVERAL)}),
        ([(1, 10, 5, 0.0, False), (1, 11, 900, 0.1, False)], {1: (10, ONE)}),
        # Two old stars in one new: neither, unless the table says which of them it is.
        ([(1, 10, 5, 0.0, True), (2, 10, 90, 0.4, True)], {1: (0, SEVERAL), 2: (0, SEVERAL)}),
        ([(1, 10, 5, 0.0, False), (2, 10, 9, 0.4, False)], {1: (0, SEVERAL), 2: (0, SEVERAL)}),
        ([(1, 10, 5, 0.0, True), (2, 10, 9, 0.4, False)], {1: (10, ONE), 2: (0, SEVERAL)}),
        # The same pair twice is one pair.
        ([(1, 10, 5, 0.0, True), (1, 10, 5, 0.0, True)], {1: (10, ONE)}),
        ([(1, 10, 900, 0.0, False), (1, 10, 5, 0.0, True)], {1: (10, ONE)}),
    ],
)
def test_one_likely_neighbour_is_the_star(rows, found):
    assert decide(RULE, *rows) == found


def test_a_table_without_words_of_its_own_is_believed_by_row():
    rule = CrosswalkRule(table="neighbours", old="old", new="new")
    rows = [(1, 10, 9e9, 9, False), (2, 11, 0, 0, False), (2, 12, 0, 0, False)]
    assert decide(rule, *rows) == {1: (10, ONE), 2: (0, SEVERAL)}


def test_a_rival_without_a_label_still_makes_a_star_doubtful():
    rows = [(1, 10, 5, 0.0, True), (2, 10, 90, 0.4, True)]
    assert decide(RULE, *rows, wanted=[1, 3]) == {1: (0, SEVERAL), 3: (0, NONE)}


ROWS = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.integers(10, 15),
        st.sampled_from([1.0, 100.0, 300.0, np.nan]),
        st.sampled_from([0.0, 0.4, 2.0]),
        st.booleans(),
    ),
    max_size=14,
)


@given(rows=ROWS)
def test_no_new_star_is_given_twice_and_every_old_one_is_counted_once(rows):
    pairs = pairs_of(*rows)
    old = np.arange(1, 8)
    walk = Crosswalk.of(pairs, RULE, old)
    assert len(np.unique(walk.new)) == len(walk.new)
    counted = np.concatenate([walk.old, walk.ambiguous_old, walk.unlikely_old])
    assert sorted(counted.tolist()) == sorted(set(pairs.old.tolist()))
    assert set(walk.merged_old.tolist()) <= set(walk.ambiguous_old.tolist())
    among = set(zip(pairs.old.tolist(), pairs.new.tolist(), strict=True))
    assert set(zip(walk.old.tolist(), walk.new.tolist(), strict=True)) <= among


@given(rows=ROWS, cut=st.integers(10, 16))
def test_it_does_not_matter_where_the_table_is_cut(rows, cut):
    whole = pairs_of(*rows)
    parts = [whole.take(whole.new < cut), whole.take(whole.new >= cut)]
    one, other = Crosswalk.of(whole, RULE, whole.old), None
    other = Crosswalk.of(Pairs.together(parts[::-1]), RULE, whole.old)
    np.testing.assert_array_equal(one.old, other.old)
    np.testing.assert_array_equal(one.new, other.new)


# --- files -------------------------------------------------------------------------------------

HEADER = "source_id,dr3_source_id,angular_distance,magnitude_difference,probable_match"


@pytest.fixture
def release(tmp_path):
    return load_release(describe(tmp_path))


def write(archive, name, *rows):
    folder = archive / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join([HEADER, *rows]) + "\n"
    file = folder / f"{STEM}{name}.csv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    return file


def test_neighbours_in_two_files_are_one_doubt(tmp_path, release):
    write(tmp_path, "000000-000009", "100,7,3,0.1,true", "101,8,3,0.1,true", "102,9,3,0.1,true")
    write(tmp_path, "000010-000019", "200,7,90,0.4,true", "201,9,90,0.4,false")
    walk = read_crosswalk(str(tmp_path), release, "dr3", [7, 8, 9, 11])
    new, status = walk.translate(np.array([7, 8, 9, 11]))
    assert new.tolist() == [0, 101, 102, 0]
    assert status.tolist() == [SEVERAL, ONE, ONE, NONE]


def test_only_wanted_stars_and_their_rivals_are_kept(tmp_path, release):
    rows = ["100,7,3,0.1,true", "100,8,90,0.4,true", "101,8,3,0.1,false", "102,9,3,,true", "103,0,"]
    file = write(tmp_path, "000000-000009", *rows)
    ref = FileRef(str(file), file.stat().st_size)
    pairs, bad = read_pairs([ref], release, rule_of(release, "dr3"), lambda p: p.old == 7)
    assert pairs.old.tolist() == [7, 8]
    assert bad == 1


def test_a_damaged_file_is_refused_by_name(tmp_path, release):
    file = write(tmp_path, "000000-000009", *(f"{n},{n},3,0.1,true" for n in range(1, 999)))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match="000000-000009"):
        read_crosswalk(str(tmp_path), release, "dr3", [7])


def test_an_archive_without_the_table_is_refused_with_the_way_out(tmp_path, release):
    with pytest.raises(InputError, match="holds no dr3_neighbourhood") as refusal:
        find_crosswalk(str(tmp_path), release, "dr3")
    assert "--table dr3_neighbourhood" in refusal.value.way_out


def test_a_release_without_a_crosswalk_says_where_it_is_described():
    with pytest.raises(ConfigError, match="Identifiers of release dr2 are no keys in dr3") as error:
        rule_of(load_release("dr3"), "dr2")
    assert "crosswalks: dr2:" in error.value.way_out


# --- descriptions --------------------------------------------------------------------------------


def test_a_release_without_crosswalks_keeps_its_digest():
    release = load_release("dr3")
    assert "crosswalks" not in release.model_dump(mode="json")
    assert "crosswalks" not in facts_of(release)
    text = (schemas_dir() / "releases" / "dr3.yaml").read_text()
    assert "crosswalks" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": "nothing"}, "crosswalks.dr3.table names nothing"),
        ({"old": "nothing"}, "crosswalks.dr3.old names nothing, which is no column"),
        ({"old": "angular_distance"}, "is no int64 for each row"),
        ({"probable": "angular_distance"}, "is no bool for each row"),
        ({"largest_distance": 0}, "largest_distance"),
        ({"nearest": 1}, "nearest: unknown key"),
    ],
)
def test_a_crosswalk_that_cannot_be_read_is_refused_by_its_key(tmp_path, change, message):
    file = describe(tmp_path)
    content = yaml.safe_load(file.read_text())
    content["crosswalks"]["dr3"] |= change
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=message):
        load_release(file)


def test_a_crosswalk_of_a_release_to_itself_is_refused(tmp_path):
    file = describe(tmp_path)
    content = yaml.safe_load(file.read_text())
    content["crosswalks"]["dr4"] = content["crosswalks"]["dr3"]
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="is of this release itself"):
        load_release(file)


def test_a_crosswalk_is_part_of_what_a_release_is(tmp_path):
    file = describe(tmp_path)
    content = yaml.safe_load(file.read_text())
    before = description_digest(load_release(file))
    content["crosswalks"]["dr3"]["largest_distance"] = 50.0
    file.write_text(yaml.safe_dump(content))
    assert description_digest(load_release(file)) != before
