"""The pieces of the sky that a run works on, found from how the files of an archive are cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from catalog_builder.archive.files import FileRef

Limits = tuple[int, int]

#: Bytes of driving tables above which a piece is cut where some of its files end.
PIECE_BYTES: Final = 1 << 29
#: Pieces of an archive whose files are not cut.
MOST_EVEN: Final = 24


def cut_into_pieces(files: Iterable[FileRef], most_bytes: int = PIECE_BYTES) -> list[Limits]:
    """Return the pieces of the sky, so that each file lies in one of them, if they are small.

    Files that overlap are of one piece. A piece of more than `most_bytes` is cut where one of its
    files ends or begins; a file that reaches across such a cut is read for both.

    Parameters
    ----------
    files : iterable of FileRef
        Of all driving tables, each with its limits.
    most_bytes : int
        As stated. A file that is larger by itself is not cut.

    Returns
    -------
    list of (int, int)
        First and last pixel, in HEALPix order; none overlap.
    """
    found: list[Limits] = []
    ordered = sorted((file for file in files if file.limits is not None), key=_limits)
    begin = 0
    while begin < len(ordered):
        stop, end = _limits(ordered[begin])[1], begin + 1
        while end < len(ordered) and _limits(ordered[end])[0] <= stop:
            stop = max(stop, _limits(ordered[end])[1])
            end += 1
        found += _cut(ordered[begin:end], most_bytes)
        begin = end
    return found


def _limits(file: FileRef) -> Limits:
    return file.limits or (0, 0)


def _cut(files: Sequence[FileRef], most_bytes: int) -> Iterator[Limits]:
    """Cut one piece where files end, so that no part but a file has more than some bytes."""
    if sum(file.size for file in files) <= most_bytes:
        yield _limits(files[0])[0], max(_limits(file)[1] for file in files)
        return
    edges = np.unique([edge for file in files for edge in (_limits(file)[0], _limits(file)[1] + 1)])
    # Bytes up to each edge, as if rows were spread evenly over each file's range.
    total = np.zeros(edges.size)
    for file in files:
        first, last = _limits(file)
        total += file.size * ((edges - first) / (last + 1 - first)).clip(0.0, 1.0)
    begin = 0
    for end in range(1, edges.size):
        is_last = end == edges.size - 1
        if is_last or total[end + 1] - total[begin] > most_bytes:
            yield int(edges[begin]), int(edges[end]) - 1
            begin = end


def cut_evenly(files: Sequence[FileRef], n_pixels: int) -> list[Limits]:
    """Return equal pieces of the sky for files of which each may have any star.

    Every piece reads all files, so there are no more than needed, and at most `MOST_EVEN`.
    """
    total = sum(file.size for file in files)
    count = min(-(-total // PIECE_BYTES), MOST_EVEN, n_pixels)
    edges = [n_pixels * place // max(1, count) for place in range(max(1, count) + 1)]
    return [(first, end - 1) for first, end in pairwise(edges)]


def reach_into(files: Sequence[FileRef], pieces: Sequence[Limits]) -> list[tuple[FileRef, ...]]:
    """Return for each piece the files that have pixels of it, in their order."""
    first = np.array([_limits(file)[0] for file in files], np.int64)
    last = np.array([_limits(file)[1] for file in files], np.int64)
    return [
        tuple(files[int(place)] for place in np.flatnonzero((first <= stop) & (last >= start)))
        for start, stop in pieces
    ]
