"""Two tables of the same stars with known truth: what is planted must be found."""

import numpy as np
import pytest

from catalog_builder.catalog.zarr_store import create_store, write_rows
from catalog_builder.comparing.sides import CatalogueSide
from catalog_builder.labels.agreed import default_schema
from tests.unit.catalog.conftest import (
    build,
    facts,
    full_schema,
    make_rows,
    pristine,
    publish_rows,
    schema,
    write_store,
)

__all__ = [
    "build",
    "compared_schema",
    "facts",
    "full_schema",
    "make_rows",
    "pristine",
    "publish_rows",
    "schema",
    "side",
    "sky",
    "write_store",
]

CHUNK_ROWS = 700
STARS = 4000
SIGMA = {"teff": 60.0, "logg": 0.1, "m_h": 0.08, "alpha_m": 0.04, "fe_h": 0.08}
WIDTH = {"teff": 700.0, "logg": 0.7, "m_h": 0.3, "alpha_m": 0.1, "fe_h": 0.3}


@pytest.fixture(scope="session")
def compared_schema():
    """Return the published schema with the columns alone that a comparison reads."""
    whole = default_schema()
    read = {"source_id", "phot_g_mean_mag", "rvs_spec_sig_to_noise", "quality_tier", "flags"}
    read |= {*SIGMA} | {f"e_{name}" for name in SIGMA}
    kept = tuple(column for column in whole.all_columns if column.name in read)
    return whole.model_copy(update={"all_columns": kept})


class Sky:
    """Stars with true labels; `observe` gives one release's answers for them."""

    def __init__(self, stars=STARS, seed=1):
        self.rng = np.random.default_rng(seed)
        self.ids = np.cumsum(self.rng.integers(1, 2**40, stars))
        means = {"teff": 5000.0, "logg": 3.0, "m_h": 0.0, "alpha_m": 0.1, "fe_h": 0.0}
        self.truth = {n: self.rng.normal(means[n], WIDTH[n], stars) for n in SIGMA}
        self.shared = {name: self.rng.normal(size=stars) for name in SIGMA}
        self.magnitude = self.rng.uniform(8, 16, stars)
        self.snr = self.rng.uniform(5, 120, stars)

    def observe(self, schema, scale=1.0, rho=0.0, stated=1.0):
        """Return rows: errors are `scale` times the usual ones, `rho` of them that of the sky."""
        stars, rng = len(self.ids), self.rng
        columns = {c.name: np.zeros(stars, c.numpy_dtype) for c in schema.columns}
        columns["source_id"] = self.ids.copy()
        columns["phot_g_mean_mag"] = self.magnitude.astype("f4")
        columns["rvs_spec_sig_to_noise"] = self.snr.astype("f4")
        for name, sigma in SIGMA.items():
            error = sigma * scale * rng.uniform(0.7, 1.3, stars)
            own = rng.normal(size=stars)
            unit = np.sqrt(rho) * self.shared[name] + np.sqrt(1 - rho) * own
            columns[name] = (self.truth[name] + error * unit).astype("f4")
            columns[f"e_{name}"] = (stated * error).astype("f4")
        columns["flags"] = np.full(stars, 15, dtype=np.int64)
        columns["quality_tier"] = (1 + np.arange(stars) % 3).astype("u1")
        return columns


@pytest.fixture
def sky():
    return Sky()


@pytest.fixture
def side(tmp_path, compared_schema):
    """Return a function that stores columns and opens them as a side."""
    made = iter(range(100))

    def write(columns, facts=None, schema=compared_schema):
        path = tmp_path / f"{next(made)}.zarr"
        order = np.argsort(columns["source_id"])
        rows = {name: columns[name][order] for name in schema.names}
        create_store(path, schema, len(order), min(CHUNK_ROWS, len(order)))
        for start in range(0, len(order), CHUNK_ROWS):
            block = {name: v[start : start + CHUNK_ROWS] for name, v in rows.items()}
            write_rows(path, schema, start, block)
        return CatalogueSide(
            path, schema, {"release": "dr3", "version": path.stem, **(facts or {})}
        )

    return write
