"""What a catalogue holds, read from front to back or in samples, by one process or by many."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import PurePosixPath
from typing import Any, Final

from catalog_builder.catalog.digest import BLOCK_ROWS
from catalog_builder.catalog.exports import Part, format_of
from catalog_builder.catalog.finding import Finding, FindingLog
from catalog_builder.catalog.layout import RELEASE_FILE, STORE_NAME
from catalog_builder.catalog.manifests import check_part
from catalog_builder.catalog.release_json import ReleaseRecord
from catalog_builder.catalog.validate_rows import (
    OpenCatalogue,
    Span,
    SpanResults,
    compare_digests,
    spans,
)

#: Files, and parts of files, that a process is given at a time.
_BATCH: Final = 32

#: Runs a function on each item, wherever, with the catalogue in front; results in order.
Read = Callable[[Callable[..., Any], Iterable[Any]], Iterator[Any]]


@dataclass(frozen=True)
class Listed:
    """What the lists of a catalogue say of the files that are there.

    Attributes
    ----------
    files : mapping of str to str
        Digests of whole files.
    parts : mapping of str to list of Part
        Parts of the others.
    """

    files: Mapping[str, str]
    parts: Mapping[str, list[Part]]


@contextmanager
def readers(catalogue: OpenCatalogue, workers: int) -> Iterator[Read]:
    """Yield what reads a catalogue: this process, or others side by side."""
    if workers == 1:
        yield lambda function, items: (function(catalogue, item) for item in items)
        return
    given = (catalogue.folder, catalogue.schema, tuple(catalogue.arrays), catalogue.exports)
    # Not forked: the libraries have threads, whose locks a fork would hold for ever.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _open, given)
    try:
        yield lambda function, items: pool.map(_on_opened, ((function, item) for item in items))
    finally:
        pool.shutdown(cancel_futures=True)


_OPENED: list[OpenCatalogue] = []


def _open(*given: Any) -> None:
    _OPENED.append(OpenCatalogue(*given))


def _on_opened(work: tuple[Callable[..., Any], Any]) -> Any:
    function, item = work
    return function(_OPENED[0], item)


def check_content(
    catalogue: OpenCatalogue,
    listed: Listed,
    record: ReleaseRecord | None,
    log: FindingLog,
    read: Read,
    sample: int | None,
) -> None:
    """Compare files, exports and rows with what is said of them.

    Parameters
    ----------
    catalogue : OpenCatalogue
        What is checked.
    listed : Listed
        What its lists say.
    record : ReleaseRecord, optional
        The content of ``RELEASE.json``, if it could be read.
    log : FindingLog
        Takes the findings.
    read : callable
        Of `readers`.
    sample : int, optional
        How many spans of rows to read; all by default.
    """
    own = FindingLog()
    rows = catalogue.rows(own)
    wanted = spans(rows or 0)
    parts = [Part(name, 0, -1, digest) for name, digest in listed.files.items()]
    large = list(chain.from_iterable(listed.parts.values()))
    if sample is not None:
        wanted = _some(wanted, sample)
        parts, large = _of_spans(catalogue, parts, wanted), _some(large, sample)
    for findings in read(_check_parts, _batches([*parts, *large])):
        log.extend(findings)
    for findings in read(_check_export, ((name, sample) for name in catalogue.exports)):
        log.extend(findings)
    log.extend(own.as_list())
    if rows is None:
        return
    if record and record.accounting.published != rows:
        log.add(RELEASE_FILE, f"{record.accounting.published} published sources are {rows} rows")
    catalogue.check_lengths(rows, log)
    digests = record is not None and sample is None
    blocks = digests and record is not None and record.block_rows == BLOCK_ROWS
    results = SpanResults(catalogue.schema, log)
    work = ((*span, blocks) for span in wanted)
    for (_, stop), span in zip(wanted, read(_check_span, work), strict=True):
        results.add(span, stop)
    if record is None or not digests:
        return
    if blocks:
        compare_digests(results.digests(), record, log)
    elif record.block_rows is None:
        compare_digests(read(_serial_digest, catalogue.arrays), record, log)
    else:
        log.add(RELEASE_FILE, f"digests of blocks of {record.block_rows} rows are not known here")


def _batches(parts: list[Part]) -> Iterator[list[Part]]:
    rest = iter(parts)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _some(items: list[Any], count: int) -> list[Any]:
    """Return the first, the last, and others at random of a list, in order."""
    if len(items) <= count:
        return items
    between = random.sample(range(1, len(items) - 1), max(count - 2, 0))
    return [items[place] for place in sorted({0, len(items) - 1, *between})]


def _of_spans(
    catalogue: OpenCatalogue, parts: Iterable[Part], wanted: Iterable[tuple[int, int]]
) -> list[Part]:
    """Return the files of the chunks that spans lie in, and those that are of no chunk."""
    chunks = {
        str(index)
        for start, stop in wanted
        for index in range(start // catalogue.chunk_rows, -(-stop // catalogue.chunk_rows))
    }
    found = []
    for part in parts:
        path = PurePosixPath(part.file)
        of_chunk = path.parts[0] == STORE_NAME and path.parent.name == "c"
        whole_export = path.parts[0] in catalogue.exports
        if path.name in chunks if of_chunk else not whole_export:
            found.append(part)
    return found


def _check_parts(catalogue: OpenCatalogue, parts: Iterable[Part]) -> list[Finding]:
    found = (check_part(catalogue.folder, part) for part in parts)
    return [one for one in found if one is not None]


def _check_export(catalogue: OpenCatalogue, asked: tuple[str, int | None]) -> list[Finding]:
    name, sample = asked
    one, log = format_of(catalogue.exports[name]), FindingLog()
    check = one.check if sample is None else one.check_quickly
    if check is not None:
        check(catalogue.folder / name, catalogue.schema, log)
    return log.as_list()


def _check_span(catalogue: OpenCatalogue, asked: tuple[int, int, bool]) -> Span:
    start, stop, digests = asked
    return catalogue.check_span(start, stop, digests=digests)


def _serial_digest(catalogue: OpenCatalogue, name: str) -> tuple[str, str]:
    return catalogue.serial_digest(name)
