"""Words as keys: a rule that never changes, and no two words with one key."""

import hashlib

import numpy as np
import pytest

from catalog_builder.archive.identifiers import MOST, NamesOfKeys, as_texts, key_of, keys_of
from catalog_builder.features.names import packed, unpacked
from catalog_builder.ground.errors import InputError


def test_the_rule_is_the_one_that_is_published():
    digest = hashlib.blake2b(b"20060326_1302m06_088", digest_size=8).digest()
    expected = 1 + int.from_bytes(digest, "little") % (12 * 2**59 - 1)
    assert key_of(b"20060326_1302m06_088") == expected == 4366846041114980257
    assert key_of(b" 20060326_1302m06_088 \0\0") == expected
    assert key_of(b"20060326_1302M06_088") != expected
    assert key_of(b"  \0") == 0


def test_keys_are_positive_and_as_many_as_words():
    keys = keys_of(f"J{number:06d}" for number in range(20_000))
    assert keys.dtype == np.int64
    assert keys.min() > 0
    assert keys.max() <= MOST
    assert np.unique(keys).size == keys.size
    # Spread over the ranges by which runs are cut.
    assert np.unique((keys >> 43) // 65_536).size == 12


def test_words_come_back_from_their_letters():
    words = ["", "a", "12345678", "123456789", "Müller", "x" * 20]
    texts, long = as_texts(np.array(words), 16)
    np.testing.assert_array_equal(long, [False] * 5 + [True])
    back = unpacked("star_id", packed("star_id", texts, 16))
    assert [word.decode() for word in back[:5].tolist()] == words[:5]


def test_one_key_of_two_words_is_refused():
    known = NamesOfKeys("The identifiers")
    keys, words = np.array([3, 5, 3]), np.array([b"c", b"e", b"c"])
    known.add(keys, words)
    np.testing.assert_array_equal(known.texts_of(np.array([5, 4, 3])), [b"e", b"", b"c"])
    known.add(np.array([5]), np.array([b"five"]))
    with pytest.raises(InputError, match=r"identifiers e and five have the same 64-bit key, 5"):
        known.refuse_one_key_for_two()


def test_words_that_come_again_and_again_are_sorted_a_few_times(monkeypatch):
    known, sorted_rows = NamesOfKeys("The stars"), []
    join = NamesOfKeys._join

    def counted(self):
        sorted_rows.append(sum(map(len, self._keys)))
        return join(self)

    monkeypatch.setattr(NamesOfKeys, "_join", counted)
    stars = np.arange(1, 200_001)
    words = np.char.add(b"J", stars.astype("S8"))
    for start in range(0, stars.size, 500):
        some = np.repeat(np.arange(start, start + 500), 2)  # each star has two rows
        known.add(stars[some], words[some])
    np.testing.assert_array_equal(known.texts_of(stars[::1000]), words[::1000])
    # With every block in turn it would be forty million.
    assert sum(sorted_rows) < 10 * stars.size
