"""A gzip member with a wrong CRC gives nothing; a stream that ends early gives what it has."""

import gzip
import io

import numpy as np
import pytest

from catalog_builder.archive.readers import DamagedFileError
from catalog_builder.archive.readers.inflate import Inflater, SoundFile, sound_pieces
from catalog_builder.archive.rejects import RejectReason

TEXT = b"".join(b"%d,%.6f,%d\n" % (n, np.sin(n), n * n % 977) for n in range(30_000))
SMALL = TEXT[:600]


def packed(text):
    return gzip.compress(text, mtime=0)


def given(content):
    """Return the good bytes of a stream, and what is wrong with it."""
    taken = b""
    try:
        for piece in sound_pieces("x.gz", io.BytesIO(content)):
            taken += piece
    except DamagedFileError as damage:
        return taken, damage
    return taken, None


def flip(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("text", [b"", SMALL, TEXT])
def test_whole_streams(text):
    assert given(packed(text)) == (text, None)
    assert given(packed(text) + packed(text) + bytes(100)) == (text + text, None)


def test_every_flipped_bit_gives_all_or_nothing():
    content = packed(SMALL)
    outcomes = [given(flip(content, bit)) for bit in range(8 * len(content))]
    for bit, (taken, damage) in enumerate(outcomes):
        # Ten bytes of header, most of which (the time, say) mean nothing.
        assert taken == (SMALL if damage is None else b""), bit
        assert damage is not None or bit < 80
    reasons = {damage.reason for _, damage in outcomes if damage is not None}
    assert RejectReason.UNREADABLE_FILE in reasons
    assert any("run on" in str(damage) for _, damage in outcomes)


def test_flipped_bits_of_a_long_stream():
    content = packed(TEXT)
    for bit in np.random.default_rng(0).integers(80, 8 * len(content), 200).tolist():
        taken, damage = given(flip(content, bit))
        assert (taken, damage.reason) == (b"", RejectReason.UNREADABLE_FILE)


def test_members_before_a_bad_one_are_good():
    one, other = packed(TEXT), packed(SMALL)
    taken, damage = given(one + flip(other, 8 * len(other) - 50) + one)
    assert taken == TEXT
    assert "not valid gzip" in str(damage)
    taken, damage = given(one + b"this is no member")
    assert (taken, damage.reason) == (TEXT, RejectReason.UNREADABLE_FILE)


@pytest.mark.parametrize("size", [*range(18, 250, 13), -1, -5, -8, -9])
def test_a_stream_that_ends_early_gives_what_it_has(size):
    content = packed(SMALL)
    taken, damage = given(content[:size])
    assert damage.reason is RejectReason.TRUNCATED_FILE
    assert SMALL.startswith(taken)
    assert size not in {-1, -5, -8} or taken == SMALL
    longer, damage = given(packed(TEXT) + content[:size])
    assert longer == TEXT + taken
    assert damage.reason is RejectReason.TRUNCATED_FILE


def test_without_the_check_bytes_come_before_the_error():
    inflater, taken = Inflater("x.gz", io.BytesIO(flip(packed(TEXT), -40))), 0
    with pytest.raises(DamagedFileError):
        taken = sum(len(piece) for piece in inflater.pieces())
    assert (taken, inflater.passed) == (0, 0)
    assert inflater.total > 0


def test_a_sound_file_reads_like_the_text():
    file = io.BufferedReader(SoundFile("x.gz", io.BytesIO(packed(TEXT[:5]) + packed(TEXT[5:]))))
    plain = io.BytesIO(TEXT)
    rng = np.random.default_rng(0)
    for place, count in rng.integers(0, len(TEXT) + 9, (40, 2)).tolist():
        assert file.seek(place) == plain.seek(place)
        assert file.read(count) == plain.read(count)
        assert file.tell() == plain.tell()
    assert file.seek(-10, io.SEEK_END) == plain.seek(-10, io.SEEK_END)
    assert file.read() == plain.read()


def test_a_sound_file_ends_where_the_damage_begins():
    file = SoundFile("x.gz", io.BytesIO(packed(SMALL) + flip(packed(TEXT), 8000)))
    assert file.size == len(SMALL)
    assert file.damage is not None
    assert io.BufferedReader(file).read() == SMALL
