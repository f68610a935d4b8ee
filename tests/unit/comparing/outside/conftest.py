"""A catalogue and a table that others made, with planted offsets, trends and outliers."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from catalog_builder.comparing.outside.engine import compare_with
from catalog_builder.comparing.outside.mapping import OtherTable
from catalog_builder.labels.agreed import default_schema
from tests.unit.comparing.conftest import SIGMA, Sky

NAMES = {"teff": "T", "logg": "G", "m_h": "M", "alpha_m": "A"}
UNITS = {"teff": "K", "logg": "dex(cm s-2)", "m_h": "dex", "alpha_m": "dex"}


@pytest.fixture(scope="session")
def outside_schema():
    """Return the published schema with the columns that a comparison reads."""
    whole = default_schema()
    read = {"source_id", "phot_g_mean_mag", "rvs_spec_sig_to_noise", "quality_tier", "flags"}
    read |= {*SIGMA, "in_training_sample"} | {f"e_{name}" for name in SIGMA}
    kept = tuple(column for column in whole.all_columns if column.name in read)
    return whole.model_copy(update={"all_columns": kept})


@pytest.fixture
def sky():
    return Sky(3000)


@pytest.fixture
def observed(sky, outside_schema):
    """Return our rows: every tenth star taught the model."""
    rows = sky.observe(outside_schema)
    rows["in_training_sample"] = np.arange(len(sky.ids)) % 10 == 0
    return rows


class Other:
    """A table of the same stars, with errors three times ours."""

    def __init__(self, sky, scale=3.0, seed=5):
        rng = np.random.default_rng(seed)
        self.columns = {"id": sky.ids.copy()}
        self.sky = sky
        for name, column in NAMES.items():
            error = SIGMA[name] * scale * rng.uniform(0.7, 1.3, len(sky.ids))
            self.columns[column] = sky.truth[name] + error * rng.normal(size=len(sky.ids))
            self.columns[f"e{column}"] = error

    def write(self, path, order=None, columns=None):
        columns = columns or self.columns
        rows = {n: v if order is None else v[order] for n, v in columns.items()}
        parquet.write_table(pa.table(rows), path, row_group_size=700)
        return path


@pytest.fixture
def mapping():
    """Return a function that makes a mapping of `Other`, with whatever is said otherwise."""

    def make(errors=True, **more):
        labels = {
            name: {"column": column, "unit": UNITS[name]}
            | ({"error": f"e{column}"} if errors else {})
            for name, column in NAMES.items()
        }
        for name, extra in more.pop("extra", {}).items():
            labels[name] |= extra
        said = {"name": "other", "title": "another table", "source_id": "id", "labels": labels}
        return OtherTable.model_validate(said | more)

    return make


def beside(side, path, mapping, **options):
    """Compare, with a file or several."""
    files = path if isinstance(path, list) else [path]
    return compare_with(side, files, mapping, **options)
