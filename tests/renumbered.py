"""The same sky in a later release: some stars have other ids, some are split, some merged."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from catalog_builder.ground.resources import schemas_dir

FOLDER, STEM = "gdr4/dr3_neighbourhood", "Dr3Neighbourhood_"
_HEADER = (
    "source_id,dr3_source_id,angular_distance,magnitude_difference,proper_motion_propagation,"
    "probable_match"
)


@dataclass(frozen=True)
class Twin:
    """An archive with other ids, its release's description, and who is who.

    ``new_of`` is what an old star is now, where there is no doubt; ``doubtful`` are the old stars
    of which the table of neighbours does not tell.
    """

    archive: Path
    release: Path
    new_of: dict[int, int]
    doubtful: frozenset[int]
    gone: frozenset[int]


def describe(folder: Path, name: str = "dr4") -> Path:
    """Write the description of a release that differs from DR3 in its name and its ids."""
    content = yaml.safe_load((schemas_dir() / "releases" / "dr3.yaml").read_text())
    content |= {"name": name, "title": "Gaia Data Release 4 (made for tests)"}
    content["crosswalks"] = {
        "dr3": {
            "table": "dr3_neighbourhood",
            "old": "dr3_source_id",
            "new": "source_id",
            "distance": "angular_distance",
            "magnitude_difference": "magnitude_difference",
            "probable": "probable_match",
        }
    }
    content["tables"]["dr3_neighbourhood"] = {
        "folders": [FOLDER],
        "stem": STEM,
        "formats": ["csv.gz", "csv", "parquet"],
        "columns": {
            "source_id": {"dtype": "int64", "required": True},
            "dr3_source_id": {"dtype": "int64", "required": True},
            "angular_distance": {"dtype": "float32", "unit": "mas"},
            "magnitude_difference": {"dtype": "float32", "unit": "mag"},
            "proper_motion_propagation": {"dtype": "bool"},
            "probable_match": {"dtype": "bool"},
        },
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def renumber(old: Path, out: Path, *, seed: int = 0, shift: int = 35) -> Twin:
    """Copy an archive of DR3 with 5 % of its ids changed, 1 % split and 1 % merged."""
    rng = np.random.default_rng(seed)
    out.mkdir(parents=True)
    for name in ("SIMULATED.json", "apogee"):
        source = old / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, out / name)
    sources = sorted((old / "gdr3" / "gaia_source").glob("*.csv.gz"))
    new_of: dict[int, int] = {}
    doubtful: set[int] = set()
    gone: set[int] = set()
    rows: dict[str, list[str]] = {}
    for file in sources:
        ids = np.array([int(line.split(",")[2]) for line in _lines(file)[1:]])
        draw = rng.random(len(ids))
        rows[file.name] = _neighbours(ids, draw, rng, shift, new_of, doubtful, gone)
    # The second star of half of the split ones lies beyond a border.
    names = list(rows)
    for here, there in zip(names, names[1:] + names[:1], strict=True):
        over = [row for row in rows[here] if row.startswith("B")][::2]
        rows[here] = [row for row in rows[here] if row not in over]
        rows[there] += over
    (out / FOLDER).mkdir(parents=True)
    for name, some in rows.items():
        text = "\n".join([_HEADER, *(row.lstrip("B") for row in some)]) + "\n"
        target = out / FOLDER / name.replace("GaiaSource_", STEM)
        target.write_bytes(gzip.compress(text.encode(), 1))
    for file in sorted((old / "gdr3").rglob("*.csv.gz")):
        _copy(file, out / file.relative_to(old), new_of, doubtful, gone)
    return Twin(out, describe(out), new_of, frozenset(doubtful), frozenset(gone))


def _neighbours(ids, draw, rng, shift, new_of, doubtful, gone):
    """Fill in who is who of one partition; return the rows of its table of neighbours."""
    rows = []
    taken = set(ids.tolist())

    def fresh(old: int) -> int:
        number = (int(old) >> shift << shift) + 7
        while number in taken:
            number += 64
        taken.add(number)
        return number

    def row(old, new, distance, magnitude, probable, mark=""):
        rows.append(f"{mark}{new},{old},{distance},{magnitude},true,{str(probable).lower()}")

    changed = ids[draw < 0.05]
    # Half of them have an id that was another star's.
    half = changed[: len(changed) // 2]
    now = dict(zip(half.tolist(), np.roll(half, 1).tolist(), strict=True))
    now |= {int(one): fresh(one) for one in changed[len(half) :]}
    merged = ids[(draw >= 0.06) & (draw < 0.07)]
    plain = ids[draw >= 0.07]
    lost = dict(zip(merged.tolist(), rng.choice(plain, len(merged), replace=False), strict=True))
    gone |= set(lost)
    for number, old in enumerate(ids.tolist()):
        if old in lost:
            continue
        split = 0.05 <= draw[number] < 0.06
        new = fresh(old) if split else now.get(old, old)
        new_of[old] = new
        row(old, new, 3.5, 0.02, probable=True)
        if split:
            row(old, fresh(old), 90.0, 0.4, number % 2 == 0, mark="B")
            doubtful |= {old} if number % 2 == 0 else set()
        if number % 10 == 0:  # somebody beside it, whom nobody takes for it
            other = ids[number - 1]
            row(old, new_of.get(int(other), int(other)), 900.0, 3.0, probable=False)
    for number, (old, other) in enumerate(lost.items()):
        row(old, new_of[int(other)], 110.0, 0.8, number % 2 == 0)
        doubtful |= {int(other), old} if number % 2 == 0 else set()
    return rows


def _lines(file: Path) -> list[str]:
    text = gzip.decompress(file.read_bytes()).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def _copy(file, target, new_of, doubtful, gone):
    """Copy a table with the new ids; stars that are gone have no row."""
    text = gzip.decompress(file.read_bytes()).decode()
    lines, place = [], None
    for line in text.splitlines():
        if line.startswith("#") or place is None:
            lines.append(line)
            if not line.startswith("#"):
                place = line.split(",").index("source_id")
            continue
        cells = line.split(",", place + 1)
        old = int(cells[place]) if cells[place].isdigit() else 0
        if old not in gone:
            cells[place] = str(new_of.get(old, old))
            lines.append(",".join(cells))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 1))
