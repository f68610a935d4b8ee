"""Catalogues to be sealed are those of the catalogue's own tests."""

from tests.unit.catalog.conftest import (
    build,
    facts,
    full_schema,
    make_rows,
    pristine,
    publish_rows,
    schema,
    sealed,
    write_store,
)

__all__ = [
    "build",
    "facts",
    "full_schema",
    "make_rows",
    "pristine",
    "publish_rows",
    "schema",
    "sealed",
    "write_store",
]
