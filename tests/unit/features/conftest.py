"""A release that differs from DR3 in its description alone, and small real files of it.

Beside RVS and XP it has the spectra of RAVE (of lines, in air, in Angstrom, R 7500) in a table with
a name of its own and with codes for their normalisation; J, H and Ks of a joined table are a
second group of magnitudes; and a code in another joined table says who has a RAVE spectrum.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from catalog_builder.archive.layout import Partition, list_partitions
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.features.ingest import IngestResult, ingest_partition
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.resources import schemas_dir

RANGE = "000000-000009"
PAGE = Path(__file__).parents[3] / "docs" / "releases.md"


def with_rave() -> dict[str, Any]:
    """Return DR3's description with the example of the documentation put into it."""
    content: dict[str, Any] = yaml.safe_load((schemas_dir() / "releases/dr3.yaml").read_text())
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for key, value in yaml.safe_load(example).items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    return content


@dataclass
class Archive:
    """Files of one partition, written from rows; a table without rows has no file."""

    root: Path
    description: dict[str, Any] = field(default_factory=with_rave)

    @property
    def release(self) -> ReleaseSpec:
        file = self.root / "release.yaml"
        file.write_text(yaml.safe_dump(self.description, sort_keys=False))
        return load_release(file)

    @property
    def partition(self) -> Partition:
        (found,) = list_partitions(str(self.root), self.release)
        return found

    def path(self, name: str) -> Path:
        spec = self.description["tables"][name]
        return self.root / spec["folders"][0] / f"{spec['stem']}{RANGE}.csv"

    def write(self, name: str, rows: list[dict[str, Any]]) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        names = list(dict.fromkeys(key for row in rows for key in row))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, restval="null")
            writer.writeheader()
            writer.writerows(rows)

    def ingest(self, out: str = "features") -> tuple[IngestResult, FeatureStore]:
        settings = IngestSettings(block_rows=2)
        result = ingest_partition(self.partition, self.release, settings, self.root / out)
        return result, FeatureStore(self.root / out)


def listed(values: np.ndarray) -> str:
    return "[" + ",".join(f"{value:.7g}" for value in values) + "]"


def lists(count: int, value: float = 1.0, error: float = 0.02) -> tuple[str, str]:
    """Return the cells of a flat spectrum and its errors."""
    return listed(np.full(count, value)), listed(np.full(count, error))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Return an archive of six stars, by ids: which has what is said in the rows."""
    made = Archive(tmp_path)
    source = {"ra": 10.0, "dec": 20.0, "parallax": 1.5, "parallax_error": 0.1, "grvs_mag": 11.0}
    source |= {f"phot_{band}_mean_mag": 12.0 for band in ("g", "bp", "rp")}
    source |= {"rvs_spec_sig_to_noise": 60.0}
    made.write(
        "gaia_source",
        [
            {"source_id": n, **source, "has_rvs": n == 1, "has_xp_sampled": n == 3}
            for n in range(1, 7)
        ],
    )
    rvs, error = lists(2401)
    made.write("rvs_mean_spectrum", [{"source_id": 1, "flux": rvs, "flux_error": error}])
    xp, error = lists(343, 1e-16, 1e-18)
    made.write("xp_sampled_mean_spectrum", [{"source_id": 3, "flux": xp, "flux_error": error}])
    rave, error = lists(912, 0.9, 0.03)
    empty = listed(np.full(912, np.nan))
    made.write(
        "rave_spectra",
        [
            {"source_id": n, "norm_flux": flux, "norm_error": error, "cont_code": code}
            for n, flux, code in ((1, rave, 2), (2, rave, 1), (4, empty, 1), (5, rave, 9))
        ],
    )
    made.write(
        "twomass",
        [
            {"source_id": n, "j_mag": 9 + n, "h_mag": 8 + n, "ks_mag": ks}
            for n, ks in ((1, 8.1), (2, "null"), (2, 9.9), (3, 8.3), (77, 8.0))
        ],
    )
    made.write(
        "crossmatch",
        [{"source_id": n, "rave_kind": kind} for n, kind in enumerate((2, 5, 1, 2, 5, 2), 1)],
    )
    return made
