"""Small real catalogues: written, exported and sealed as the program does it."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from catalog_builder.catalog.digest import SerialDigest, store_digests
from catalog_builder.catalog.exports import ID_STEP, formats_of
from catalog_builder.catalog.exports.fits import FITS_NAME, export_fits
from catalog_builder.catalog.layout import (
    MANIFEST_FILE,
    RELEASE_FILE,
    SCHEMA_FILE,
    STORE_NAME,
    building_dir,
)
from catalog_builder.catalog.release_json import make_record
from catalog_builder.catalog.zarr_store import create_store, write_rows
from catalog_builder.contract.schema import label_columns
from catalog_builder.labels.agreed import default_schema
from catalog_builder.publish.building import prepare
from catalog_builder.publish.chunk import Building, make_chunk
from catalog_builder.publish.seal import seal
from catalog_builder.runtime.receipts import Receipt

ROWS = 23
CHUNK_ROWS = 10
MODEL = {"trained_elsewhere": False, "simulated": False}


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
        "release_digest": "d" * 64,
        "simulated": False,
        "model": {**dict.fromkeys(("release", "survey", "archive")), **MODEL},
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


def written_by_chunks(folder, schema, record, columns, *, formats=("fits",), report=False):
    """Write a catalogue as the tasks of its chunks do; return it, and what they say of them."""
    rows = len(columns["source_id"])
    found = formats_of(formats, schema)
    ids = tuple(columns["source_id"][::ID_STEP].tolist())
    building = Building(folder, schema, record, rows, CHUNK_ROWS, found, report, ids)
    prepare(building, folder.with_name("facts"), {"title": "A small catalogue"})
    facts = []
    for index, start in enumerate(range(0, rows, CHUNK_ROWS)):
        stop = min(start + CHUNK_ROWS, rows)
        chunk = {name: values[start:stop] for name, values in columns.items()}
        # All is one block, which begins in the first chunk.
        beyond = {name: values[stop:] for name, values in columns.items()} if start == 0 else {}
        facts.append(make_chunk(building, index, chunk, beyond))
    return building, facts


def receipt_of(store, rows):
    """Return the receipt of a partition that was predicted."""
    return Receipt(
        stage="predict",
        task=store,
        stage_version=1,
        key="k",
        rows_in=rows,
        rows_out=rows,
        output=store,
        pattern="**/*",
        output_digest="d",
        inventory="",
        seconds=0.0,
    )


@pytest.fixture
def build(tmp_path, schema, make_rows, facts):
    """Return a function that builds, but does not seal, the catalogue ``v1``."""

    def make(formats=("fits",), record=facts, **changed):
        target = tmp_path / "dr3" / "v1"
        columns = {**make_rows(ROWS, schema), **changed}
        folder = building_dir(target)
        building, said = written_by_chunks(folder, schema, record, columns, formats=formats)
        return building, target, said.__getitem__

    return make


@pytest.fixture(scope="session")
def publish_rows(make_rows, facts):
    """Return a function that seals a catalogue of a schema with n rows, some columns changed."""

    def make(target, schema, rows=ROWS, formats=("fits",), **changed):
        accounting = {"requested": rows, "published": rows, "rejected": {}}
        record = facts if rows == ROWS else {**facts, "accounting": accounting}
        columns = {**make_rows(rows, schema), **changed}
        folder = building_dir(target)
        building, said = written_by_chunks(folder, schema, record, columns, formats=formats)
        seal(building, target, said.__getitem__)
        return target

    return make


@pytest.fixture(scope="session")
def pristine(tmp_path_factory, schema, publish_rows):
    """Return a sealed catalogue that no test may change."""
    return publish_rows(tmp_path_factory.mktemp("catalogs") / "dr3" / "v1", schema)


@pytest.fixture(scope="session")
def publish_as_0_1(write_store, facts):
    """Return a function that seals a catalogue as version 0.1.0 did it."""

    def make(target, schema, **changed):
        target.mkdir(parents=True)
        write_store(target / STORE_NAME, ROWS, schema=schema, **changed)
        export_fits(target / STORE_NAME, target / FITS_NAME, schema, [("VERSION", "v1", "")])
        text = json.dumps(schema.model_dump(mode="json", by_alias=True), indent=2)
        (target / SCHEMA_FILE).write_text(text + "\n")
        files = sorted(path for path in target.rglob("*") if path.is_file())
        digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        lines = [f"{digests[path]}  {path.relative_to(target).as_posix()}\n" for path in files]
        (target / MANIFEST_FILE).write_text("".join(lines))
        sealed = {
            "schema_version": schema.version,
            "schema_digest": schema.digest,
            "columns": store_digests(target / STORE_NAME, schema, SerialDigest),
            "manifest": hashlib.sha256((target / MANIFEST_FILE).read_bytes()).hexdigest(),
        }
        later = ("release_digest", "simulated", "model")
        record = make_record({n: fact for n, fact in facts.items() if n not in later}, sealed)
        (target / RELEASE_FILE).write_text(record.to_json())
        return target

    return make


@pytest.fixture
def sealed(pristine, tmp_path):
    """Return a copy of the sealed catalogue that a test may damage."""
    return shutil.copytree(pristine, tmp_path / "dr3" / "v1")
