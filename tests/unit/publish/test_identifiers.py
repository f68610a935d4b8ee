"""Words for the rows of a chunk, out of the features of its partitions."""

import numpy as np
import pytest

from catalog_builder.archive.identifiers import keys_of
from catalog_builder.archive.release import load_release
from catalog_builder.features.names import packed
from catalog_builder.features.store import FeatureWriter
from catalog_builder.ground.errors import ConfigError, InputError, StoreError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.agreed import default_contract
from catalog_builder.publish.identifiers import identifiers_table, words_for

#: As an archive may have them: beyond ASCII, of another encoding, and without a star.
OBSID = np.array([b"20060326_1302m06_088", "Bär 7".encode(), b"B\xe4r 8", b"x", b"last"], "S32")
RAVEID = np.array([b"J1", b"J2", b"J2", b"", b"J3"], "S32")


@pytest.fixture(scope="module")
def table():
    return identifiers_table(load_release("rave-dr6"))


def stored(path, obsid, raveid, stars):
    ids = keys_of(obsid.tolist())
    order = np.argsort(ids)
    columns = {"source_id": ids, "star_id": stars}
    columns |= packed("source_id", obsid, 32) | packed("star_id", raveid, 32)
    nobody = {"source_id": np.empty(0, np.int64), "reason": np.empty(0, np.uint8)}
    writer = FeatureWriter(path, 8, default_contract().inputs)
    writer.finish({name: values[order] for name, values in columns.items()}, nobody)
    return path


def test_of_each_key_there_is_a_word_and_what_it_is_called(table):
    assert table.names == ("source_id", "obsid", "star_id", "raveid")
    assert [column.dtype for column in table.columns] == ["int64", "str32"] * 2
    assert "BLAKE2b-64 of the word's bytes" in table.columns[2].description
    assert identifiers_table(load_release("dr3")) is None


def test_words_of_several_partitions_come_in_the_order_of_rows(table, tmp_path):
    stars = keys_of(RAVEID.tolist())
    stores = [
        stored(tmp_path / str(n), OBSID[part], RAVEID[part], stars[part])
        for n, part in enumerate((slice(0, 2), slice(2, 5)))
    ]
    ids = np.sort(keys_of(OBSID[[4, 2, 0, 1]].tolist()))
    found = words_for(stores, table, ids)
    place = {int(key): n for n, key in enumerate(keys_of(OBSID.tolist()))}
    order = [place[int(key)] for key in ids]
    seen = np.array([*OBSID[:2], b"B?r 8", *OBSID[3:]], "S32")
    assert list(found) == ["obsid", "star_id", "raveid"]
    np.testing.assert_array_equal(found["obsid"], seen[order])
    np.testing.assert_array_equal(found["raveid"], RAVEID[order])
    np.testing.assert_array_equal(found["star_id"], stars[order])


def test_two_stars_with_one_key_are_refused(table, tmp_path):
    store = stored(tmp_path / "0", OBSID, RAVEID, np.array([1, 1, 1, 0, 3]))
    with pytest.raises(InputError, match=r"\(star_id\) J1 and J2 have the same 64-bit key, 1"):
        words_for([store], table, np.sort(keys_of(OBSID.tolist())))


def test_a_row_without_features_is_no_row_without_a_word(table, tmp_path):
    store = stored(tmp_path / "0", OBSID, RAVEID, keys_of(RAVEID.tolist()))
    with pytest.raises(StoreError, match=r"row 5 of the catalogue is in no store"):
        words_for([store], table, np.array([5]))


def test_an_archive_has_no_other_table_of_that_name(tmp_path):
    text = (schemas_dir() / "releases" / "dr3.yaml").read_text()
    (tmp_path / "own.yaml").write_text(text.replace("  parameters:\n", "  identifiers:\n"))
    with pytest.raises(ConfigError, match=r"beside: a catalogue has a table identifiers"):
        load_release(tmp_path / "own.yaml")
