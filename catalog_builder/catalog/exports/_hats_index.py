"""What a HATS collection says of itself: made of what chunks' tasks said, no row is read."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from catalog_builder.archive.marks import SENTENCE
from catalog_builder.catalog.credit_record import Credit
from catalog_builder.catalog.exports import Part, Target, Written
from catalog_builder.catalog.exports._hats_leaves import (
    FINEST,
    INDEX,
    LEAF_ROWS,
    MARGIN,
    plan_leaves,
)
from catalog_builder.catalog.exports._hats_parts import (
    MARGINS,
    PRIMARY,
    arrow_schema,
    from_words,
    leaf_folder,
    map_order,
    part_name,
)
from catalog_builder.catalog.exports._place import write_at
from catalog_builder.catalog.voparquet import in_bytes
from catalog_builder.contract.columns import Declared
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.disk import sync
from catalog_builder.ground.errors import StoreError

COLLECTION: Final = "collection.properties"
PARTITIONS: Final = "partition_info.csv"
COMMON: Final = Path("dataset") / "_common_metadata"
_METADATA: Final = Path("dataset") / "_metadata"
#: Columns that a reader gets who asks for none, if the catalogue has them.
_DEFAULT: Final = ("source_id", "ra", "dec", "quality_tier", "flags")


@dataclass
class _Collected:
    """What the chunks said: rows of each leaf and pixel, and which files there are."""

    rows: dict[str, Counter[int]] = field(default_factory=dict)
    files: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    pixels: Counter[int] = field(default_factory=Counter)

    def add(self, written: Written) -> None:
        start = int(written.facts["start"])
        for name in (PRIMARY, MARGINS):
            for leaf, count in from_words(str(written.facts[name])):
                self.rows.setdefault(name, Counter())[leaf] += count
                self.files.setdefault(name, {}).setdefault(leaf, []).append(part_name(start))
        self.pixels.update(dict(from_words(str(written.facts["pixels"]))))


def end(target: Target, written: Iterable[Written]) -> tuple[Part, ...]:
    """Write all but the rows."""
    found = _Collected()
    for one in written:
        found.add(one)
    files = {COLLECTION: _properties("HATS Collection", _of_collection(target, found))}
    for name in found.rows:
        files |= {f"{name}/{file}": data for file, data in _of_catalogue(target, found, name)}
    _refuse_others(target, found, files)
    parts = []
    for file, data in files.items():
        path = target.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_at(path, 0, data, whole=True)
        place = f"{target.path.name}/{file}"
        parts.append(Part(place, 0, len(data), hashlib.sha256(data).hexdigest()))
    for folder in (target.path, *(path for path in target.path.rglob("*") if path.is_dir())):
        sync(folder)
    return tuple(parts)


def _of_catalogue(target: Target, found: _Collected, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the catalogue of all rows, or of that of the margins."""
    facts = _of_table(target, sum(found.rows[name].values()))
    facts |= _of_margins(target) if name == MARGINS else _of_primary(target)
    text = _properties("HATS catalog", facts)
    yield "hats.properties", text
    yield "properties", text  # as it was called before
    leaves = plan_leaves(target.ids)
    named = [(leaves.name(leaf), leaf) for leaf in sorted(found.rows[name])]
    lines = [f"{order},{pixel},{found.rows[name][leaf]}\n" for (order, pixel), leaf in named]
    yield PARTITIONS, ("Norder,Npix,num_rows\n" + "".join(lines)).encode()
    schema = arrow_schema(target.schema, target.record)
    yield COMMON.as_posix(), _metadata(schema)
    root = target.path / name
    files = [
        leaf_folder(root, *place) / file
        for place, leaf in named
        for file in found.files[name][leaf]
    ]
    # It names every column of every file, and `hats` takes it only where a leaf is one file.
    if len(files) == len(named):
        yield _METADATA.as_posix(), _metadata(schema, files, root / "dataset")
    if name == PRIMARY:
        counts = _map(found.pixels, map_order(target.rows))
        yield "skymap.fits", counts
        yield "point_map.fits", counts  # as it was called before


def _metadata(schema: pa.Schema, files: Iterable[Path] = (), root: Path | None = None) -> bytes:
    """Return a file that has the columns, and where the rows of files lie, but no rows."""
    empty = in_bytes(schema.empty_table())
    if root is None:
        return empty
    found = pq.read_metadata(io.BytesIO(empty))
    for file in files:
        one = pq.read_metadata(file)
        one.set_file_path(file.relative_to(root).as_posix())
        found.append_row_groups(one)
    sink = io.BytesIO()
    found.write_metadata_file(sink)
    return sink.getvalue()


def _of_collection(target: Target, found: _Collected) -> dict[str, str]:
    facts = {"obs_collection": _name(target), "hats_primary_table_url": PRIMARY}
    if MARGINS in found.rows:
        facts |= {"all_margins": MARGINS, "default_margin": MARGINS}
    return facts | _provenance(target)


def _of_table(target: Target, rows: int) -> dict[str, str]:
    return {
        "obs_collection": _name(target),
        "hats_nrows": str(rows),
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_col_healpix": INDEX,
        "hats_col_healpix_order": str(FINEST),
        "hats_cols_default": " ".join(default_columns(target.schema)),
        "hats_npix_suffix": "/",
        "hats_max_rows": str(LEAF_ROWS),
    }


def _of_primary(target: Target) -> dict[str, str]:
    order = str(map_order(target.rows))
    return {"dataproduct_type": "object", "hats_skymap_order": order, **_provenance(target)}


def _of_margins(target: Target) -> dict[str, str]:
    return {
        "obs_collection": f"{_name(target)}_{MARGINS}",
        "dataproduct_type": "margin",
        "hats_primary_table_url": f"../{PRIMARY}",
        "hats_margin_threshold": f"{MARGIN}",
        **_provenance(target),
    }


def _provenance(target: Target) -> dict[str, str]:
    record = target.record
    builder = f"catalog-builder {record['software']['catalog-builder']}"
    said = {
        "obs_title": f"{record['catalogue']} {record['version']}",
        "obs_description": f"Stars of {record['release']}, model {record['model_digest'][:32]}"
        + (f"; {SENTENCE}" if record["simulated"] else ""),
        "obs_ack": " ".join(record.get("acknowledgements", ())),
        "prov_progenitor": str(record["release"]),
        "hats_creator": builder,
        "hats_builder": builder,
        "hats_version": "v1.0",
        **_credit(record),
    }
    return {key: value for key, value in said.items() if value}


def _credit(record: Mapping[str, Any]) -> dict[str, str]:
    """Return licence, creators and papers, under the names that HiPS and HATS have for them."""
    if record.get("credit") is None:
        return {}
    credit = Credit.model_validate(record["credit"])
    return {
        "obs_copyright": "; ".join(credit.creators),
        "hats_copyright": credit.license or "",
        "bib_reference": " ".join(one.bibcode for one in credit.references if one.bibcode),
        "bib_reference_url": " ".join(
            f"https://doi.org/{one.doi}" for one in credit.references if one.doi
        ),
    }


def default_columns(schema: Declared) -> list[str]:
    """Return the columns that a reader gets who asks for none: labels, with errors, and flags."""
    labels = schema.labels.names if isinstance(schema, CatalogSchema) else ()
    wanted = {*_DEFAULT, *labels, *(f"e_{label}" for label in labels)}
    return [column.name for column in schema.all_columns if column.name in wanted]


def _name(target: Target) -> str:
    record = target.record
    return re.sub(r"[^\w.-]+", "_", f"{record['catalogue']}_{record['version']}")


def _properties(title: str, facts: Mapping[str, str]) -> bytes:
    """Return a Java properties file; what is not ASCII is escaped, and a line is one line."""
    lines = [f"#{title}"]
    for key, value in facts.items():
        one = " ".join(value.split()).replace("\\", "\\\\")
        units = one.encode("utf-16-be")
        codes = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
        lines.append(f"{key}=" + "".join(chr(c) if c < 127 else f"\\u{c:04x}" for c in codes))
    return ("\n".join(lines) + "\n").encode("ascii")


def read_properties(file: Path) -> dict[str, str]:
    """Return what a properties file says; escapes are left as they are."""
    lines = file.read_text(encoding="ascii").splitlines()
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def _map(pixels: Mapping[int, int], order: int) -> bytes:
    """Return a map of counts, as HEALPix maps lie in FITS files: the pixels that have any."""
    there = sorted(pixels)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("PIXEL", "K", array=np.array(there, dtype=np.int64)),
            fits.Column("VALUE", "K", array=np.array([pixels[p] for p in there], dtype=np.int64)),
        ]
    )
    table.header.update(
        {
            "PIXTYPE": "HEALPIX",
            "ORDERING": "NESTED",
            "COORDSYS": "C",
            "NSIDE": 1 << order,
            "INDXSCHM": "EXPLICIT",
            "OBJECT": "PARTIAL",
            "FIRSTPIX": there[0],
            "LASTPIX": there[-1],
        }
    )
    sink = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(sink)
    return sink.getvalue()


def _refuse_others(target: Target, found: _Collected, files: Iterable[str]) -> None:
    """Refuse files that no chunk of this catalogue wrote.

    Raises
    ------
    StoreError
        If there is one.
    """
    ours = {target.path / file for file in files}
    leaves = plan_leaves(target.ids)
    for name, by_leaf in found.files.items():
        for leaf, names in by_leaf.items():
            folder = leaf_folder(target.path / name, *leaves.name(leaf))
            ours |= {folder / one for one in names}
    for path in sorted(target.path.rglob("*")):
        if not path.is_dir() and path not in ours:
            raise StoreError(
                f"{path} is not part of the catalogue that is being built.",
                "Remove it, and give the same command again.",
            )
