"""A simulated archive written anew in another layout, with the same rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from astropy import units as u
from astropy_healpix import lonlat_to_healpix

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.ground.resources import schemas_dir

#: (table, level-1 pixel) -> order of the folder in which its rows lie.
Orders = Callable[[str, int], int]
FLAT = 1


def varied(table: str, pixel: int) -> int:
    """Return orders that vary from place to place, and between tables."""
    return (pixel // 4 + len(table)) % 3


def put_in_folders(
    sky: Path, out: Path, layout: str, orders: Orders = varied, *, each: int = 2
) -> Path:
    """Write a DR3 sky as Parquet in folders by region or as HATS; return the root.

    Of order 2 the folders of a base pixel are its sixteenths; `each` is how many files one has.
    HATS gets positions of level 29 beside the ids.
    """
    release = load_release("dr3")
    shutil.copytree(sky, out, ignore=shutil.ignore_patterns("gdr3"))
    for table in tables_of(release):
        columns = read_table(sky, release, table)
        for (order, pixel), rows in _regions(columns["source_id"], table, orders).items():
            part = {name: values[rows] for name, values in columns.items()}
            for number, places in enumerate(np.array_split(np.arange(rows.size), each)):
                some = {name: values[places] for name, values in part.items()}
                write(_path(out, table, layout, order, pixel, number), some)
    return out


def tables_of(release: ReleaseSpec) -> list[str]:
    """Return the tables that a run reads."""
    return [*release.looked_up, *release.driving_tables]


def read_table(sky: Path, release: ReleaseSpec, table: str) -> dict[str, np.ndarray]:
    """Return the described columns of all files of a table."""
    blocks = [
        block.columns
        for part in list_partitions(str(sky), release)
        for file in part.files.get(table, ())
        for block in read_blocks(file, table, release)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _regions(ids: np.ndarray, table: str, orders: Orders) -> dict[tuple[int, int], np.ndarray]:
    found: dict[tuple[int, int], list[int]] = {}
    for row, source_id in enumerate(ids.tolist()):
        order = orders(table, source_id >> 57)
        found.setdefault((order, source_id >> (59 - 2 * order)), []).append(row)
    return {key: np.array(rows) for key, rows in sorted(found.items())}


def _path(out: Path, table: str, layout: str, order: int, pixel: int, number: int) -> Path:
    if layout == "hats":
        folder = out / f"hats/{table}/dataset/Norder={order}/Dir=0/Npix={pixel}"
    else:
        digits = "".join(str(pixel >> (2 * level) & 3) for level in reversed(range(order)))
        folder = out / f"gdr4/{table}/region={pixel >> (2 * order):x}{digits}"
    return folder / f"part-{number}.parquet"


def write(path: Path, columns: Mapping[str, np.ndarray], **options: Any) -> None:
    """Write columns as Parquet; HATS has the index of level 29 too."""
    made = {
        name: pa.array(list(values) if values.ndim > 1 else values, from_pandas=True)
        for name, values in columns.items()
    }
    if "hats" in path.parts and "source_id" in columns:
        made["_healpix_29"] = pa.array(columns["source_id"] >> 35 << 34)
        if "ra" in columns:
            ra, dec = columns["ra"] * u.deg, columns["dec"] * u.deg
            made["_healpix_29"] = pa.array(lonlat_to_healpix(ra, dec, 1 << 29, order="nested"))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(made), path, **{"row_group_size": 200} | options)


def description(layout: str, **partition: Any) -> dict[str, Any]:
    """Return DR3's description for such an archive."""
    content: dict[str, Any] = yaml.safe_load((schemas_dir() / "releases/dr3.yaml").read_text())
    content["partition"] |= {"layout": layout} | partition
    content["partition"].pop("range_pattern")
    for name, table in content["tables"].items():
        table["folders"] = [f"hats/{name}" if layout == "hats" else f"gdr4/{name}"]
        table.pop("stem")
    return content


def describe(folder: Path, content: Mapping[str, Any], name: str = "layout.yaml") -> Path:
    """Write a description to a file."""
    file = folder / name
    file.write_text(yaml.safe_dump(dict(content), sort_keys=False))
    return file
