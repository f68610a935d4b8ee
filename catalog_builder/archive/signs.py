"""Signs by which a file is known, whatever its name: what formats and compressions begin with."""

from __future__ import annotations

import re

FITS = b"SIMPLE  ="
GZIP = b"\x1f\x8b"

_UNPACK = (
    "Decompress it, or compress it with gzip: how a file is read is told by its content, not by"
    " its name."
)
_FETCH = "It may be what a server said instead of the file: fetch the file again."
CONVERT = "Known are CSV and ECSV, FITS (these also gzipped) and Parquet."

#: Beginnings that are sure signs, what they are signs of, and the way out.
_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x28\xb5\x2f\xfd", "data compressed with zstd", _UNPACK),
    (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "data compressed with bzip2", _UNPACK),
    (rb"\xfd7zXZ\x00", "data compressed with xz", _UNPACK),
    (rb"\x5d\x00\x00[\x00-\xff]{2}", "data compressed with lzma", _UNPACK),
    (rb"\x04\x22\x4d\x18", "data compressed with lz4", _UNPACK),
    (rb"\x1f[\x9d\xa0]", "data compressed with compress (.Z)", _UNPACK),
    (rb"\xff\x06\x00\x00sNaPpY", "data compressed with snappy", _UNPACK),
    (rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a zip archive", _UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (rb"(?s:.{257})ustar", "a tar archive", _UNPACK),
    (rb"PARE[\x00-\x1f]", "an encrypted Parquet file", CONVERT),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file", CONVERT),
    (rb"ARROW1\x00\x00", "an Arrow (Feather) file", CONVERT),
    (rb"FEA1[\x00-\x1f]", "a Feather file", CONVERT),
    (rb"Obj\x01", "an Avro file", CONVERT),
    (rb"ORC[\x00-\x1f]", "an ORC file", CONVERT),
    (rb"\x93NUMPY", "a NumPy file", CONVERT),
    (rb"SQLite format 3\x00", "an SQLite database", CONVERT),
    (rb"XTENSION=", "a FITS extension without the header before it", _FETCH),
    (rb"%PDF-", "a PDF document", _FETCH),
    (rb"\xff\xfe|\xfe\xff", "text in UTF-16", "Write it in UTF-8."),
    (rb"version https://git-lfs", "a pointer of Git LFS", "Bring the file itself: `git lfs pull`."),
    (rb"\s*\{", "a JSON document", _FETCH),
)
_TITLE = re.compile(rb"<(title|code|message)\b[^>]*>\s*([^<]{1,80})", re.IGNORECASE)
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<[A-Za-z!?]")


def name_foreign(head: bytes) -> tuple[str, str] | None:
    """Return what a file is that is read nowhere here, and the way out; None where it may be."""
    if head.startswith(GZIP):
        return "gzip", "Decompress it once."
    for pattern, what, way_out in _FOREIGN:
        if re.match(pattern, head):
            return what, way_out
    if not _MARKUP.match(head):
        return None
    lowered = head.lower()
    if b"<votable" in lowered:
        return "a VOTable", CONVERT
    kind = "an HTML page" if re.search(rb"<(!doctype\s+html|html|head|body)\b", lowered) else "XML"
    title = _TITLE.search(head)
    text = title[2].decode("utf-8", "replace").strip() if title else ""
    # Only what can be shown: the text is a stranger's.
    shown = "".join(letter for letter in text if letter.isprintable())
    return (f'{kind} ("{shown}")' if shown else kind), _FETCH
