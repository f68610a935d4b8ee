"""Catalogues to be exported are those of the catalogue's own tests, with values of all kinds."""

import numpy as np
import pytest

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.open import open_catalog, schema_of
from tests.unit.catalog.conftest import (
    facts,
    full_schema,
    make_rows,
    publish_as_0_1,
    publish_rows,
    schema,
    write_store,
)

__all__ = [
    "facts",
    "full_schema",
    "make_rows",
    "publish_as_0_1",
    "publish_rows",
    "schema",
    "write_store",
]

#: Of float32: the smallest and largest there are, and some that are not told apart by six digits.
TEFF = (1e-45, 3.4028235e38, -0.0, 1.1754944e-38, 16777216.0, 0.1, 5777.0, 4321.0005, 1 / 3, 1e-5)


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory, schema, publish_rows, make_rows):
    """Return a sealed catalogue of 23 rows in three chunks that no test may change."""
    changed = {"teff": make_rows(23)["teff"]}
    changed["teff"][: len(TEFF)] = TEFF
    # 17 digits, large and small, but nothing that asks for an exponent.
    changed["ra"] = np.nextafter(np.linspace(0, 360, 23), 400)
    changed["dec"] = np.linspace(-90, 90, 23)
    return publish_rows(tmp_path_factory.mktemp("exported") / "dr3" / "v1", schema, **changed)


@pytest.fixture(scope="session")
def truth(catalogue):
    """Return what the catalogue has, by column."""
    schema, stars = schema_of(catalogue), open_catalog(catalogue)
    return with_derived({name: stars[name].values for name in schema.names}, schema)
