"""A new format is one file: found by its name, written, checked, sealed."""

import sys

import pytest
import yaml

from catalog_builder.catalog import exports
from catalog_builder.catalog.exports import _hats_parts, format_of, formats_of, known_formats
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogueError, ConfigError
from catalog_builder.inference.rows import RowWriter
from catalog_builder.publish.edition import Edition
from catalog_builder.publish.seal import seal
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.publish.stage import (
    CHUNKS,
    SEAL,
    PublishContext,
    plan_chunk_tasks,
    plan_seal,
    prepare_store,
)
from catalog_builder.run.config import load_config
from catalog_builder.runtime.tasks import run_task
from catalog_builder.runtime.workdir import Workdir
from tests.contracts import FIVE, THIRTY, with_labels
from tests.unit.catalog.conftest import receipt_of

#: Those in the folder, to which anybody may add one.
OURS = known_formats()
#: A whole format: text with commas.
WORDS = '''
"""The catalogue as text with commas."""

import numpy as np

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.exports import Format
from catalog_builder.catalog.zarr_store import read_rows


def write(store, target, schema, record):
    partial = target.with_name(f".{target.name}.partial")
    with partial.open("w", encoding="ascii") as file:
        file.write(f"# {record['catalogue']} {record['version']}\\n")
        print(*(column.name for column in schema.all_columns), sep=",", file=file)
        for _, block in read_rows(store, schema.names):
            rows = with_derived(block, schema)
            for row in zip(*rows.values(), strict=True):
                cells = (v.decode() if isinstance(v, bytes) else repr(v.item()) for v in row)
                print(*cells, sep=",", file=file)
    partial.replace(target)


def check(path, schema, log):
    names = path.read_text().splitlines()[1].split(",")
    for column in schema.all_columns:
        if column.name not in names:
            log.add(path.name, "missing", column.name)


class Rows:
    def __init__(self, path, schema):
        lines = path.read_text().splitlines()[2:]
        self.rows, self._cells = len(lines), [line.split(",") for line in lines]
        self._columns = schema.all_columns

    def block(self, start, rows):
        cells = self._cells[start : start + rows]
        return {
            column.name: np.array(
                [row[n] == "True" if column.dtype == "bool" else row[n] for row in cells]
            ).astype(column.numpy_dtype)
            for n, column in enumerate(self._columns)
        }


FORMAT = Format("catalog.csv", "text/csv", write, check, Rows)
'''


@pytest.fixture
def words(tmp_path, monkeypatch):
    """Drop the file of a format where the program looks for them."""
    folder = tmp_path / "dropped"
    folder.mkdir()
    (folder / "words.py").write_text(WORDS, encoding="utf-8")
    monkeypatch.setattr(exports, "__path__", [*exports.__path__, str(folder)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    sys.modules.pop(f"{exports.__name__}.words", None)


@pytest.fixture
def publish(tmp_path, schema, make_rows, facts):
    """Return a function that publishes a small catalogue in some formats, as a run does it."""

    def make(*formats):
        rows = make_rows(23)
        writer = RowWriter(tmp_path / "predictions.zarr", schema, 23)
        writer.write(0, rows)
        writer.finish()
        settings = PublishSettings(formats=formats, report=False, chunk_rows=10)
        edition = Edition("dr3", "v1", "0123456789abcdef")
        record = {**facts, "version": edition.name}
        context = PublishContext(Workdir(tmp_path), schema, settings, edition, record)
        predictions = [receipt_of("predictions.zarr", 23)]
        context = prepare_store(context, predictions)
        chunks = plan_chunk_tasks(edition, predictions, settings)
        for task in chunks:
            run_task(CHUNKS, context, context.workdir, task)
        (task,) = plan_seal(edition, chunks)
        return tmp_path / run_task(SEAL, context, context.workdir, task).output, rows

    return make


def test_a_format_is_one_file(words, publish):
    assert {"fits", "hats"} <= {*OURS}
    assert known_formats() == tuple(sorted([*OURS, "words"]))
    folder, rows = publish("fits", "words")
    assert validate_catalog(folder) == []
    said = read_release(folder).exports
    assert {name: one.model_dump() for name, one in said.items()} == {
        "fits": {"file": "catalog.fits", "media_type": "application/fits"},
        "words": {"file": "catalog.csv", "media_type": "text/csv"},
    }
    lines = (folder / "catalog.csv").read_text().splitlines()
    assert lines[0] == "# A small catalogue v1-01234567"
    assert lines[1].endswith("training_range,flags")
    assert [int(line.split(",")[0]) for line in lines[2:]] == rows["source_id"].tolist()
    assert "catalog.csv" in (folder / "SHA256SUMS").read_text()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 / 0", "words failed: ZeroDivisionError: division by zero"),
        ("return", "is no catalog.csv"),
    ],
)
def test_a_format_that_fails_is_named(words, publish, line, said):
    begin = "def write(store, target, schema, record):\n"
    (words / "words.py").write_text(WORDS.replace(begin, f"{begin}    {line}\n"), encoding="utf-8")
    with pytest.raises(CatalogueError, match=said) as caught:
        publish("fits", "words")
    assert "take words out of publish.formats" in caught.value.way_out


def test_leaves_are_planned_of_ids_of_all_partitions(publish, monkeypatch):
    monkeypatch.setattr("catalog_builder.publish.leaves.ID_STEP", 5)
    seen = []
    plan = _hats_parts.plan_leaves
    monkeypatch.setattr(_hats_parts, "plan_leaves", lambda ids: seen.append(ids) or plan(ids))
    folder, rows = publish("hats")
    assert seen[0] == tuple(rows["source_id"][::5].tolist())
    assert read_release(folder).exports["hats"].file == "hats"
    assert validate_catalog(folder) == []


def test_a_format_may_come_with_another_package(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    facts = folder / "other_formats-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: other-formats\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[catalog_builder.exports]\nwords = other_words\nfits = other_words\n"
    )
    (folder / "other_words.py").write_text(WORDS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert known_formats() == tuple(sorted([*OURS, "words"]))
    assert format_of("words").media_type == "text/csv"
    assert format_of("fits").media_type == "application/fits"  # our own come first
    monkeypatch.delitem(sys.modules, "other_words")


def test_what_differs_in_such_a_file_is_found(words, publish):
    folder, _ = publish("words")
    assert not (folder / "catalog.fits").exists()
    file = folder / "catalog.csv"
    lines = file.read_text().splitlines()
    cells = lines[5].split(",")
    cells[3] = "1.5"
    file.write_text("\n".join([*lines[:5], ",".join(cells), *lines[6:]]))
    found = {(one.file, one.column, one.row, one.problem) for one in validate_catalog(folder)}
    assert found == {
        ("catalog.csv", "", None, "its bytes have changed since sealing"),
        ("catalog.csv", "teff", 3, "differs from catalog.zarr"),
    }
    file.write_text("\n".join(lines[:-1]))
    problems = [one.problem for one in validate_catalog(folder)]
    assert "has 22 rows, catalog.zarr has 23" in problems


def test_a_format_that_is_not_here_any_more_is_said(words, publish):
    folder, _ = publish("fits", "words")
    (words / "words.py").unlink()
    (finding,) = validate_catalog(folder)
    assert str(finding) == (
        "catalog.csv: it is not compared with catalog.zarr: There is no export format 'words'."
    )


def test_a_link_in_place_of_an_export_is_not_followed(words, publish, tmp_path):
    folder, _ = publish("words")
    file = folder / "catalog.csv"
    file.rename(tmp_path / "elsewhere.csv")
    file.symlink_to(tmp_path / "elsewhere.csv")
    (finding,) = validate_catalog(folder)
    assert finding.file == "catalog.csv"
    assert "symbolic link" in finding.problem


def test_unknown_formats_are_refused_in_the_settings(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({"publish": {"formats": ["xls"]}}))
    with pytest.raises(ConfigError, match="'xls' is no export format; known are fits"):
        load_config(file, (), {})
    file.write_text(yaml.safe_dump({"publish": {"formats": ["fits", "fits"]}}))
    with pytest.raises(ConfigError, match="a format is named twice"):
        load_config(file, (), {})
    file.write_text(yaml.safe_dump({"publish": {"formats": []}}))
    assert load_config(file, (), {}).publish.formats == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("import no_such_module", "cannot be used: No module named 'no_such_module'"),
        ("", "has no attribute 'FORMAT'"),
        ("FORMAT = 3", "is not described as one"),
        (WORDS.replace("catalog.csv", "RELEASE.json"), "is not described as one"),
        (WORDS.replace("catalog.csv", "../catalog.csv"), "is not described as one"),
    ],
)
def test_a_module_that_is_no_format(words, content, said):
    (words / "words.py").write_text(content)
    with pytest.raises(ConfigError, match=said):
        format_of("words")


def test_two_formats_of_one_file(words, schema):
    (words / "words.py").write_text(WORDS.replace("catalog.csv", "catalog.fits"))
    with pytest.raises(ConfigError, match=r"fits and words both write catalog\.fits"):
        formats_of(("fits", "words"), schema)


def test_more_columns_than_a_format_can_hold_are_refused_before_the_run():
    """45 labels have 225 columns of their own and 990 correlations; FITS ends at 999."""
    many = CatalogSchema.of(with_labels(FIVE, more=40))
    with pytest.raises(ConfigError, match=r"has 12\d\d columns, and the export format fits can"):
        formats_of(("fits",), many)
    assert formats_of((), many) == {}
    assert set(formats_of(("fits",), CatalogSchema.of(THIRTY))) == {"fits"}


def test_a_catalogue_without_exports_is_whole(build):
    building, target, said = build(formats=())
    record = seal(building, target, said)
    assert record.exports == {}
    assert not (target / "SHA256PARTS").exists()
    assert validate_catalog(target) == []
