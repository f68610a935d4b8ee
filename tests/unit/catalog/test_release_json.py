"""RELEASE.json: its rules, its seal, its errors."""

import json

import pytest

from catalog_builder.catalog.layout import RELEASE_FILE
from catalog_builder.catalog.release_json import Accounting, make_record, read_release
from catalog_builder.errors import CatalogueError

SEALED = {"schema_version": "1.0", "schema_digest": "s", "columns": {"ra": "r"}, "manifest": "m"}


def test_a_record_survives_the_file(tmp_path, facts):
    record = make_record(facts, SEALED)
    (tmp_path / RELEASE_FILE).write_text(record.to_json())
    assert read_release(tmp_path) == record
    assert record.seal == record.expected_seal() != ""


def test_the_seal_follows_every_field(facts):
    record = make_record(facts, SEALED)
    other = make_record({**facts, "metrics": {"teff": {"robust_scatter": 8.0}}}, SEALED)
    assert record.seal != other.seal
    assert record.seal == make_record(dict(reversed(facts.items())), SEALED).seal


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"accounting": {"requested": 9, "published": 5, "rejected": {"x": 3}}}, "9 requested"),
        ({"colour": "red"}, "colour"),
        ({"inputs": None}, "inputs"),
        ({"metrics": {"teff": float("nan")}}, "null for a metric"),
    ],
)
def test_a_wrong_fact_is_refused_and_named(facts, change, named):
    with pytest.raises(CatalogueError, match=named):
        make_record({**facts, **change}, SEALED)


def test_accounting_adds_up():
    assert Accounting(requested=5, published=3, rejected={"a": 1, "b": 1}).published == 3


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', "\udcff"])
def test_a_damaged_file_is_a_catalogue_error(tmp_path, text):
    (tmp_path / RELEASE_FILE).write_bytes(text.encode("utf-8", errors="surrogateescape"))
    with pytest.raises(CatalogueError, match=RELEASE_FILE):
        read_release(tmp_path)


def test_the_file_reads_well(facts):
    text = make_record(facts, SEALED).to_json()
    assert list(json.loads(text))[:4] == ["format", "catalogue", "release", "version"]
    assert text.endswith("}\n")
