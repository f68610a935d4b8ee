"""Chunk plans lose and double nothing."""

from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.runtime.chunks import plan_chunks


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 17))
def test_every_row_is_in_exactly_one_chunk(counts, chunk_rows):
    chunks = list(plan_chunks(counts, chunk_rows))
    rows = [
        (piece.partition, row)
        for chunk in chunks
        for piece in chunk.pieces
        for row in range(piece.start, piece.stop)
    ]
    assert rows == [(p, row) for p, count in enumerate(counts) for row in range(count)]
    assert [chunk.start for chunk in chunks] == [i * chunk_rows for i in range(len(chunks))]
    assert all(chunk.rows == chunk_rows for chunk in chunks[:-1])
    assert all(piece.start < piece.stop for chunk in chunks for piece in chunk.pieces)


def test_coprime_sizes():
    assert [chunk.rows for chunk in plan_chunks([7, 7, 7], 5)] == [5, 5, 5, 5, 1]
