"""Small real catalogue stores for the report, and the facts that go with them."""

import numpy as np
import pytest

from catalog_builder.catalog.zarr_store import create_store, write_rows
from catalog_builder.labels.agreed import default_contract, default_schema

CHUNK_ROWS = 100


@pytest.fixture(scope="session")
def schema():
    return default_schema()


@pytest.fixture(scope="session")
def take_label(schema):
    """Return a function that takes a label from some stars, as the catalogue does it."""

    def take(columns, label, where):
        for name in (label, f"e_{label}", f"e_{label}_aleatoric", f"e_{label}_epistemic"):
            columns[name][where] = np.nan
        columns["flags"][where] |= schema.flags[f"{label}_not_available"].mask

    return take


@pytest.fixture(scope="session")
def make_rows(schema, take_label):
    """Return a function that makes n stars: every fifth with RVS, every tenth without labels."""

    def make(rows):
        rng = np.random.default_rng(rows)
        star = np.arange(rows)
        flags = schema.flags
        columns = {c.name: rng.random(rows).astype(c.numpy_dtype) for c in schema.columns}
        columns["source_id"] = star + 1
        columns["ra"], columns["dec"] = rng.uniform(0, 360, rows), rng.uniform(-90, 90, rows)
        columns["phot_g_mean_mag"] = rng.uniform(12, 15, rows).astype("f4")
        columns["has_rvs"] = star % 5 == 0
        columns["has_xp"] = np.ones(rows, dtype=bool)
        signal_to_noise = np.where(columns["has_rvs"], rng.uniform(15, 100, rows), np.nan)
        columns["rvs_spec_sig_to_noise"] = signal_to_noise.astype("f4")
        columns["teff"] = rng.normal(5000, 400, rows).astype("f4")
        columns["logg"] = rng.normal(3, 0.6, rows).astype("f4")
        for name in ("m_h", "alpha_m", "fe_h"):
            # Clipped: no star of chance beyond the grid of a figure.
            columns[name] = np.clip(rng.normal(0, 0.2, rows), -0.3, 0.5).astype("f4")
        for name in default_contract().labels.names:
            columns[f"e_{name}"] = rng.uniform(0.05, 0.1, rows).astype("f4")
        columns |= {name: np.zeros(rows, dtype=np.int64) for name in flags.columns}
        columns["flags"] = np.full(rows, flags["xp_used"].mask | flags["photometry_used"].mask)
        columns["flags"][columns["has_rvs"]] |= flags["rvs_used"].mask
        columns["quality_tier"] = (1 + star % 3).astype("u1")
        for name in default_contract().labels.names:
            take_label(columns, name, star % 10 == 9)
        return columns

    return make


@pytest.fixture(scope="session")
def write_store(schema):
    """Return a function that writes these columns as a store and returns its path."""

    def write(path, columns, chunk_rows=CHUNK_ROWS):
        rows = len(columns["source_id"])
        create_store(path, schema, rows, chunk_rows)
        for start in range(0, rows, chunk_rows):
            block = {name: v[start : start + chunk_rows] for name, v in columns.items()}
            write_rows(path, schema, start, block)
        return path

    return write


@pytest.fixture(scope="session")
def make_record():
    """Return a function that gives the facts of a catalogue of n rows."""

    def make(rows, **changed):
        measured = {
            "stars": 447,
            "robust_scatter": 61.4,
            "bias": -4.6,
            "rmse": 98.0,
            "coverage_68": 0.671,
            "coverage_95": 0.947,
        }
        facts = {
            "catalogue": "A small catalogue",
            "release": "dr3",
            "version": "v1-0a1b2c",
            "software": {"catalog-builder": "0.1.0", "numpy": "2.4.6"},
            "model_digest": "m" * 64,
            "config_digest": "c" * 64,
            "inputs": {"GaiaSource_000000-000001.csv.gz": "md5:1", "labels.fits": "size:7"},
            "metrics": {
                "as_observed": {
                    "all": {"teff": measured},
                    "by_regime": {"with RVS, rvs_spec_sig_to_noise < 15": {"teff": measured}},
                }
            },
            "accounting": {
                "requested": rows + 12,
                "published": rows,
                "rejected": {"no spectrum": 10, "damaged": 2},
            },
            "acknowledgements": ("ESA/Gaia/DPAC",),
        }
        return {**facts, **changed}

    return make
