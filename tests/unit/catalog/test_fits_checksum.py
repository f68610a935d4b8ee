"""Checksums of a stream, compared with those that astropy computes in memory."""

import io
from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.catalog.fits_checksum import (
    SummingWriter,
    add_words,
    broken_hdus,
    encode_checksum,
    sum_at,
)


@given(st.binary(max_size=4000), st.lists(st.integers(0, 4000), max_size=6))
def test_the_sum_does_not_depend_on_the_pieces(data, cuts):
    file = io.BytesIO()
    writer = SummingWriter(file)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, stop in pairwise(edges):
        writer.write(data[start:stop])
    writer.pad()
    padded = data + bytes(-len(data) % 2880)
    assert file.getvalue() == padded
    assert writer.total == add_words(0, padded)


@given(st.binary(min_size=1, max_size=9000))
def test_the_sum_is_astropys(data):
    padded = data + bytes(-len(data) % 2880)
    hdu = fits.ImageHDU(np.frombuffer(padded, dtype=np.uint8))
    hdu.add_datasum()
    assert add_words(0, padded) == int(hdu.header["DATASUM"])


@given(st.integers(0, 2**32 - 1))
def test_an_encoded_sum_is_alphanumeric_and_sums_to_itself(value):
    text = encode_checksum(value)
    assert len(text) == 16
    assert text.isascii()
    assert text.isalnum()
    unrotated = (text[1:] + text[0]).encode()
    zeros = add_words(0, b"0" * 16)
    # Ones'-complement: the letters add the value to the sum of sixteen zeros, modulo 2**32 - 1.
    assert add_words(0, unrotated) % 0xFFFFFFFF == (zeros + value) % 0xFFFFFFFF


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_changed_byte_breaks_its_own_unit_only(tmp_path, damaged):
    path = tmp_path / "t.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("x", "D", array=np.arange(2000.0))])
    fits.HDUList([fits.PrimaryHDU(np.arange(100)), table]).writeto(path, checksum=True)
    assert broken_hdus(path) == []
    with fits.open(path) as hdus:
        place = hdus[damaged].fileinfo()["datLoc"] + 77
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    assert broken_hdus(path) == [damaged]


@pytest.mark.parametrize("place", [0, 1, 3, 8])
@pytest.mark.parametrize("size", [0, 2, 15, 16, 17, 61])
def test_pieces_sum_to_the_whole_wherever_they_begin(place, size, monkeypatch):
    monkeypatch.setattr("catalog_builder.catalog.fits_checksum._PIECE", 16)
    data = np.random.default_rng(size).bytes(size)
    before = place % 4
    whole = add_words(0, bytes(before) + data + bytes(-(before + size) % 4))
    assert sum_at(place, memoryview(data)) == whole
