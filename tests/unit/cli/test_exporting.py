"""`export` and `cite` on the command line."""

import json

import pytest
from typer.testing import CliRunner

from catalog_builder.cli.program import app
from catalog_builder.ground.errors import CatalogBuilderError
from tests.unit.catalog.conftest import (
    facts,
    full_schema,
    make_rows,
    pristine,
    publish_rows,
    schema,
)

__all__ = ["facts", "full_schema", "make_rows", "pristine", "publish_rows", "schema"]


def call(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_export(pristine, tmp_path):
    out = tmp_path / "gold.csv"
    where = "gold and m_h is not null"
    done = call(
        "export", pristine, "-f", "csv", "--where", where, "--columns", "teff, logg", "-o", out
    )
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}: 6 rows\n"
    assert out.read_text().splitlines()[0] == "teff,logg"
    again = call("export", pristine, "-f", "csv", "-o", out)
    assert isinstance(again.exception, CatalogBuilderError)
    assert "is not written over" in str(again.exception)


def test_cite(pristine):
    done = call("cite", pristine)
    assert done.exit_code == 0, done.output
    assert "@misc{catalog-dr3-v1," in done.stdout
    assert "@article{Guiglion2024," in done.stdout
    assert "does not say who made it" in done.stdout
    found = json.loads(call("cite", pristine, "--json").stdout)
    assert found["references"][0]["doi"] == "10.1051/0004-6361/202347122"


@pytest.mark.parametrize("command", ["export", "cite"])
def test_what_is_no_catalogue(command, tmp_path):
    extra = ["-f", "csv"] if command == "export" else []
    done = call(command, tmp_path, *extra)
    assert "is not a sealed catalogue" in str(done.exception)
