"""How many rows files have, as they say themselves: Parquet in its footer, FITS in its header."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers.content import look_at
from catalog_builder.archive.storage import open_bytes
from catalog_builder.ground.errors import InputError
from catalog_builder.run.budgets import label_rows

#: Files of a table that are asked at most, and how many at the same time.
_MOST, _AT_ONCE = 400, 16
#: Bytes at the end of a file of Parquet that are read at once.
_FOOTER: Final = 1 << 16


def stated_rows(files: Sequence[FileRef]) -> tuple[int, bool] | None:
    """Return the rows of files, and whether all of them were asked.

    Of very many files some are asked, and the others have as many rows for their bytes.

    Returns
    -------
    tuple of (int, bool), optional
        None where a file does not say: text, or what cannot be read.
    """
    asked = files if len(files) <= _MOST else files[:: -(-len(files) // _MOST)]
    if _rows_of(asked[0]) is None:
        return None
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        counts = list(pool.map(_rows_of, asked))
    told = [count for count in counts if count is not None]
    if len(told) < len(counts):
        return None
    if len(asked) == len(files):
        return sum(told), True
    share = sum(file.size for file in asked) / max(1, sum(file.size for file in files))
    return max(1, round(sum(told) / max(share, 1e-9))), False


def _rows_of(file: FileRef) -> int | None:
    try:
        content = look_at(file.url)
        if content.format == "parquet":
            with open_bytes(file.url, at_once=_FOOTER) as stream:
                return int(pq.read_metadata(stream).num_rows)
        if content.format == "fits":
            return label_rows(file)  # from its head: no sum is checked, nothing is read to the end
    except (InputError, OSError, pa.ArrowException, ValueError, LookupError):
        return None  # the ingest will say what is wrong with the file
    return None
