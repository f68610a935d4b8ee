"""Small real catalogues: written, exported and sealed as the program does it."""

import shutil

import numpy as np
import pytest

from catalog_builder.catalog.exports.fits import FITS_NAME, export_fits
from catalog_builder.catalog.layout import STORE_NAME, building_dir
from catalog_builder.catalog.zarr_store import create_store, write_rows
from catalog_builder.contract.schema import label_columns
from catalog_builder.labels.agreed import default_schema
from catalog_builder.publish.seal import seal

ROWS = 23
CHUNK_ROWS = 10


@pytest.fixture(scope="session")
def full_schema():
    return default_schema()


@pytest.fixture(scope="session")
def schema(full_schema):
    """Return the published schema less the columns that no rule is about: a third of the files."""
    others = ("e_m_h_epistemic", "corr_teff_logg", "has_rvs", "quality_tier", "training_range")
    kept = (*full_schema.all_columns[:13], *(full_schema[name] for name in (*others, "flags")))
    return full_schema.model_copy(update={"all_columns": kept})


@pytest.fixture(scope="session")
def make_rows(schema):
    """Return a function that makes n plausible rows: every fifth star has no [M/H]."""

    def make(rows, schema=schema):
        rng = np.random.default_rng(rows)
        columns = {c.name: rng.random(rows).astype(c.numpy_dtype) for c in schema.columns}
        columns["source_id"] = np.cumsum(rng.integers(1, 2**40, rows))
        columns["has_rvs"] = rng.random(rows) < 0.5
        columns["flags"] = np.full(rows, 15, dtype=np.int64)
        if "quality_tier" in columns:
            columns["quality_tier"] = (1 + np.arange(rows) % 3).astype(np.uint8)
        missing = np.arange(rows) % 5 == 0
        for name in columns.keys() & {*label_columns("m_h")}:
            columns[name][missing] = np.nan
        columns["flags"][missing] |= schema.flags["m_h_not_available"].mask
        return columns

    return make


@pytest.fixture(scope="session")
def facts():
    """What RELEASE.json is told about the small catalogue."""
    return {
        "catalogue": "A small catalogue",
        "release": "dr3",
        "version": "v1",
        "software": {"catalog-builder": "0.1.0"},
        "model_digest": "m" * 64,
        "config_digest": "c" * 64,
        "inputs": {"GaiaSource_000000-000001.csv.gz": "i" * 32},
        "metrics": {"teff": {"robust_scatter": 80.0}, "m_h": None},
        "accounting": {"requested": ROWS + 2, "published": ROWS, "rejected": {"no spectrum": 2}},
    }


@pytest.fixture(scope="session")
def write_store(schema, make_rows):
    """Return a function that writes a complete store of n rows."""

    def write(path, rows, chunk_rows=CHUNK_ROWS, schema=schema, **changed):
        columns = {**make_rows(rows, schema), **changed}
        create_store(path, schema, rows, chunk_rows, {"title": "A small catalogue"})
        for start in range(0, rows, chunk_rows):
            block = {name: v[start : start + chunk_rows] for name, v in columns.items()}
            write_rows(path, schema, start, block)
        return columns

    return write


@pytest.fixture
def build(tmp_path, schema, write_store):
    """Return a function that builds, but does not seal, the catalogue ``v1``."""

    def make(**changed):
        target = tmp_path / "dr3" / "v1"
        folder = building_dir(target)
        folder.mkdir(parents=True)
        write_store(folder / STORE_NAME, ROWS, **changed)
        export_fits(folder / STORE_NAME, folder / FITS_NAME, schema, [("VERSION", "v1", "")])
        return folder, target

    return make


@pytest.fixture(scope="session")
def pristine(tmp_path_factory, schema, write_store, facts):
    """Return a sealed catalogue that no test may change."""
    target = tmp_path_factory.mktemp("catalogs") / "dr3" / "v1"
    folder = building_dir(target)
    folder.mkdir(parents=True)
    write_store(folder / STORE_NAME, ROWS)
    export_fits(folder / STORE_NAME, folder / FITS_NAME, schema, [("VERSION", "v1", "")])
    seal(folder, target, facts, schema)
    return target


@pytest.fixture
def sealed(pristine, tmp_path):
    """Return a copy of the sealed catalogue that a test may damage."""
    return shutil.copytree(pristine, tmp_path / "dr3" / "v1")
