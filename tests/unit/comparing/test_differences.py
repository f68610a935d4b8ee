"""What is not the same in two catalogues."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from catalog_builder.catalog.layout import building_dir
from catalog_builder.cli.program import app
from catalog_builder.comparing.differences import diff, in_words
from catalog_builder.publish.seal import seal
from tests.unit.catalog.conftest import ROWS, written_by_chunks


@pytest.fixture
def another(tmp_path, schema, make_rows, facts):
    """Return a function that seals one more catalogue, with some columns changed."""

    def make(name="v2", schema=schema, more=None, **changed):
        target = tmp_path / "dr3" / name
        record = {**facts, "version": name, **(more or {})}
        columns = {**make_rows(ROWS, schema), **changed}
        building, said = written_by_chunks(building_dir(target), schema, record, columns)
        seal(building, target, said.__getitem__)
        return target

    return make


def test_the_same_rows_under_another_name_are_the_same(pristine, another):
    found = diff(pristine, another())
    assert found.same
    assert found.comparison is None
    assert "hold the same" in in_words(found, "a", "b")
    assert "version: v1 -> v2" in in_words(found, "a", "b")


def test_values_flags_and_facts_that_differ_are_told(pristine, another, make_rows, schema):
    rows = make_rows(23)
    teff, flags = rows["teff"].copy(), rows["flags"].copy()
    teff[:4] += 1
    flags[7] |= schema.flags["teff_outside_range"].mask
    other = another(teff=teff, flags=flags, more={"model_digest": "n" * 64, "inputs": {"x": "1"}})
    found = diff(pristine, other)
    assert not found.same
    assert found.columns == {"teff": 4, "flags": 1}
    text = in_words(found, "a", "b")
    for words in (
        "rows: 23 in both, 0 lost, 0 gained",
        "teff_outside_range           set for 1, no longer for 0",
        "model_digest: mmmmmmmmmmmm... -> nnnnnnnnnnnn...",
        "input files: 1 only in the old, 1 only in the new",
    ):
        assert words in text
    assert json.loads(found.to_json())["columns"] == {"teff": 4, "flags": 1}


def test_rows_that_one_has_alone_are_counted(pristine, another, make_rows):
    rows = make_rows(23)
    ids = rows["source_id"].copy()
    ids[-1] += 5
    found = diff(pristine, another(source_id=ids))
    assert not found.same
    assert found.columns == {}
    assert (found.comparison.changes.lost.stars, found.comparison.changes.gained.stars) == (1, 1)


def test_another_schema_is_told(pristine, another, schema):
    kept = tuple(c for c in schema.all_columns if c.name != "corr_teff_logg")
    found = diff(pristine, another(schema=schema.model_copy(update={"all_columns": kept})))
    assert not found.same
    assert found.schema.breaking == ("column corr_teff_logg is gone",)
    assert "NOT compatible" in in_words(found, "a", "b")


def test_the_command_ends_like_diff(pristine, another, make_rows):
    run = CliRunner().invoke
    same = run(app, ["diff", str(pristine), str(another())])
    assert (same.exit_code, "hold the same" in same.stdout) == (0, True)
    changed = another("v3", teff=make_rows(23)["teff"] + np.float32(1))
    differ = run(app, ["diff", str(pristine), str(changed), "--json"])
    assert differ.exit_code == 1
    assert json.loads(differ.stdout)["columns"] == {"teff": 23}


@pytest.mark.parametrize(("option", "folder"), [([], "drift"), (["-o", "out"], "out")])
def test_the_command_drift_writes_its_page(pristine, tmp_path, monkeypatch, option, folder):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["drift", str(pristine), str(pristine), *option])
    assert done.exit_code == 0
    out = tmp_path / folder
    assert done.stdout.splitlines()[0].startswith("No")
    assert sorted(path.name for path in out.iterdir()) == ["drift.html", "drift.json"]
