"""A small release with short arrays, and helpers that write its files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import yaml
from hypothesis import settings

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import Block, read_blocks
from catalog_builder.archive.release import ReleaseSpec, load_release

# The first call of the parser compiles it, which no deadline of an example should include.
settings.register_profile("archive", deadline=None)
settings.load_profile("archive")

TINY = """
name: tiny
title: A release made for tests
credit: nobody
reference_epoch: 2020.0
source_table: gaia_source
driving_tables: [rvs_mean_spectrum]
partition:
  range_pattern: '(?P<start>\\d{2})-(?P<stop>\\d{2})'
  healpix_level: 1
  source_id_shift: 57
  position_level: 2
  position_shift: 55
checksums: {file_name: SUMS, algorithm: sha1}
text:
  null_tokens: ['', 'null', 'nan']
  true_tokens: ['true', 't', '1']
  false_tokens: ['false', 'f', '0']
spectra:
  rvs:
    kind: lines
    title: RVS
    products:
      - {table: rvs_mean_spectrum, announced_by: {column: has_rvs}}
    grid: {start: 846.0, step: 8.0, count: 4}
    medium: vacuum
    frame: rest
    normalisation: {column: grvs_mag, threshold: 12, below: pseudo_continuum, otherwise: constant}
    sig_to_noise: snr
    model_grid: {start: 846.0, step: 1.0, count: 24}
parallax: false
parallax_zero_point: {rule: none}
tables:
  gaia_source:
    folders: [gaia_source]
    stem: Source_
    formats: [csv.gz, csv, parquet, fits]
    columns:
      source_id: {dtype: int64, required: true}
      ra: {dtype: float64, unit: deg, required: true}
      grvs_mag: {dtype: float32, unit: mag}
      snr: {dtype: float32, names: [rvs_snr, snr]}
      params: {dtype: int16}
      has_rvs: {dtype: bool}
  rvs_mean_spectrum:
    folders: [deep/rvs, rvs]
    stem: Rvs_
    formats: [csv.gz, csv, parquet, fits]
    columns:
      source_id: {dtype: int64, required: true}
      flux: {dtype: float32, length: 4, required: true}
      flux_error: {dtype: float32, length: 4, required: true}
      weight: {dtype: float64, length: 2}
      n: {dtype: int16}
"""


@pytest.fixture(scope="session")
def tiny_yaml() -> dict[str, object]:
    return yaml.safe_load(TINY)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ReleaseSpec:
    path = tmp_path_factory.mktemp("release") / "tiny.yaml"
    path.write_text(TINY)
    return load_release(path)


@pytest.fixture(scope="session")
def dr3() -> ReleaseSpec:
    return load_release("dr3")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    data = Path(__file__).parents[4] / "shared" / "data"
    if not data.is_dir():
        pytest.skip("the real files are not beside this checkout")
    return data


@pytest.fixture
def read(tiny: ReleaseSpec, tmp_path: Path):
    """Write text to a file of the tiny release, or another, and read it back as blocks."""

    def write_and_read(
        text: str | bytes,
        table: str = "rvs_mean_spectrum",
        name: str = "x.csv",
        *,
        release: ReleaseSpec = tiny,
        **options: object,
    ) -> list[Block]:
        content = text.encode() if isinstance(text, str) else text
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return list(read_blocks(FileRef(str(path), path.stat().st_size), table, release, **options))

    return write_and_read
