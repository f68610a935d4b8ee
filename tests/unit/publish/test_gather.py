"""The sum over the chunks is the catalogue, or it is not sealed; damage names its chunk."""

from dataclasses import replace

import numpy as np
import pytest

from catalog_builder.catalog.digest import store_digests
from catalog_builder.catalog.exports import Written
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.ground.errors import CatalogueError, StoreError
from catalog_builder.publish.facts import facts_file, read_facts, write_facts
from catalog_builder.publish.gather import SAMPLED, ChunkDamageError, sampled
from catalog_builder.publish.seal import seal


def changed(said, place, /, **change):
    """Return what reads the facts, those of one chunk changed."""
    return lambda number: replace(said(number), **change) if number == place else said(number)


@pytest.mark.parametrize(
    ("index", "change", "named"),
    [
        (1, {"rows": 9}, "chunk 2 is not what was planned"),
        (2, {"rows": 2}, "3 chunks hold 22 rows, the store has 23, and 23 are to be published"),
        (1, {"index": 2}, "chunk 1 is not what was planned"),
        (1, {"start": 11}, "chunk 1 is not what was planned"),
        (1, {"first_id": 5}, "source_id 5, the first of chunk 1, is not larger"),
        (0, {"blocks": np.zeros((0, 17, 32), np.uint8)}, "3 chunks have 0 blocks"),
        (1, {"written": {}}, "chunk 1 is not what was planned"),
    ],
)
def test_chunks_that_are_not_the_catalogue_are_not_sealed(build, index, change, named):
    building, target, said = build()
    with pytest.raises(CatalogueError, match=named):
        seal(building, target, changed(said, index, **change))
    assert not target.exists()


def test_a_part_that_is_not_of_the_file_is_not_sealed(build):
    building, target, said = build()
    fits = said(1).written["fits"]
    part = replace(fits.parts[0], size=fits.parts[0].size - 1)
    written = {"fits": Written((part,), fits.facts)}
    # Beyond the sample such a thing would not be read.
    with pytest.raises(StoreError, match="has changed since"):
        seal(building, target, changed(said, 1, written=written))
    (digest,) = {p.digest for p in said(1).written["fits"].parts}
    empty = {"fits": Written((replace(part, size=0, digest=EMPTY),), fits.facts)}
    with pytest.raises(CatalogueError, match="leave out or repeat"):
        seal(building, target, changed(said, 1, written=empty))
    assert digest != EMPTY


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("name", "harm", "chunk", "said_of_it"),
    [
        ("catalog.zarr/teff/c/1", lambda b: b[:-1], 1, "bytes, not"),
        ("catalog.zarr/teff/c/2", lambda b: b[:9] + bytes([b[9] ^ 1]) + b[10:], 2, "has changed"),
        ("catalog.fits", lambda b: b[:-2880] + bytes([b[-2880] ^ 4]) + b[-2879:], 0, "has changed"),
    ],
)
def test_what_changed_since_it_was_written_names_its_chunk(build, name, harm, chunk, said_of_it):
    building, target, said = build()
    file = building.folder / name
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(ChunkDamageError, match=said_of_it) as caught:
        seal(building, target, said)
    assert caught.value.index == chunk
    assert str(file) in str(caught.value)
    assert not target.exists()


def test_a_missing_file_names_its_chunk_and_a_foreign_one_itself(build):
    building, target, said = build()
    (building.store / "teff" / "c" / "1").rename(building.store / "teff" / "c" / "7")
    with pytest.raises(ChunkDamageError, match="c/1 is missing"):
        seal(building, target, said)
    (building.store / "teff" / "c" / "7").rename(building.store / "teff" / "c" / "1")
    (building.store / "teff" / "c" / "3").write_text("mine")
    with pytest.raises(CatalogueError, match="c/3 is not part of the catalogue"):
        seal(building, target, said)


def test_pages_are_sealed_with_the_catalogue(build):
    building, target, said = build()

    def add(at, summary):
        assert summary is None  # built without a report
        (at.folder / "drift.html").write_text("<p>drift</p>")
        return {}

    seal(building, target, said, add)
    assert validate_catalog(target) == []
    (target / "drift.html").write_text("<p>none</p>")
    (finding,) = validate_catalog(target)
    assert finding.file == "drift.html"


def test_digests_of_blocks_are_those_of_the_store(build, schema):
    building, target, said = build()
    record = seal(building, target, said)
    assert record.columns == store_digests(target / "catalog.zarr", schema)


def test_facts_survive_their_file_and_damage_does_not(build, tmp_path):
    _, _, said = build()
    file = facts_file(tmp_path, 1)
    digest = write_facts(file, said(1))
    assert write_facts(file, said(1)) == digest
    found = read_facts(file, digest)
    assert (found.index, found.start, found.rows) == (1, 10, 10)
    assert found.written == said(1).written
    np.testing.assert_array_equal(found.digests, said(1).digests)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreError, match="not what its receipt says"):
        read_facts(file, digest)
    file.write_bytes(content[:50])
    with pytest.raises(StoreError, match="cannot be read"):
        read_facts(file)


@pytest.mark.parametrize("chunks", [1, 2, SAMPLED, 1000])
def test_the_sample_has_both_ends(chunks):
    places = sampled(chunks)
    assert places[0] == 0
    assert places[-1] == chunks - 1
    assert len(places) == min(chunks, SAMPLED)
