"""RELEASE.json: its rules, its seal, its errors."""

import json

import pytest

from catalog_builder.catalog.layout import RELEASE_FILE
from catalog_builder.catalog.release_json import Accounting, make_record, read_release
from catalog_builder.ground.errors import CatalogueError

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


def test_the_sun_is_told_and_older_records_keep_their_seals(facts):
    without = make_record(facts, SEALED)
    record = make_record({**facts, "sun": {"sun_radius": 8.122}}, SEALED)
    assert json.loads(record.to_json())["sun"] == {"sun_radius": 8.122}
    assert record.seal != without.seal
    assert without.model_copy(update={"sun": None}).expected_seal() == without.seal


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


def test_a_record_of_version_0_1_0_keeps_its_seal(tmp_path):
    old = {
        "catalogue": "catalog-builder Gaia Data Release 3",
        "release": "dr3",
        "version": "1.0-00c0ffee",
        "software": {"catalog-builder": "0.1.0"},
        "model_digest": "m",
        "config_digest": "c",
        "inputs": {"GaiaSource_000000-003111.csv.gz": "md5:1"},
        "metrics": {},
        "accounting": {"requested": 3, "published": 2, "rejected": {"x": 1}},
        "incidents": {"cells": {"a.b": 1}},
        "acknowledgements": ["ESA/Gaia/DPAC"],
        "seal": "f7d90f37a16b169c77b139330a535f176b31029fe1482667abd0c451d6c7707a",
    }
    (tmp_path / RELEASE_FILE).write_text(json.dumps(old | SEALED))
    record = read_release(tmp_path)
    assert record.expected_seal() == record.seal
    assert (record.simulated, record.model, record.release_digest) == (None, None, None)


def test_the_seal_follows_the_origin(facts):
    marked = {"simulated": True, "partitions": 2, "simulated_partitions": 1}
    model = {"trained_elsewhere": True, "release": "dr3", "simulated": False}
    seals = {
        make_record(facts | more, SEALED).seal
        for more in (
            {},
            marked,
            {"model": model},
            {"release_digest": "d"},
            marked | {"model": model},
        )
    }
    assert len(seals) == 5


MEASURED = {"release": "dr4", "survey": "x", "stars": 9, "taught": 1, "metrics": {}}


def test_what_only_other_releases_models_have_is_not_said_of_others(facts):
    text = make_record(facts, SEALED).to_json()
    for name in ("measured_here", "unverified", "parent", "crosswalk"):
        assert name not in text


@pytest.mark.parametrize("more", [{"measured_here": MEASURED}, {"unverified": True}])
def test_how_a_model_of_another_release_is_known_is_sealed(tmp_path, facts, more):
    record = make_record({**facts, **more}, SEALED)
    assert record.seal != make_record(facts, SEALED).seal
    (tmp_path / RELEASE_FILE).write_text(record.to_json())
    again = read_release(tmp_path)
    assert again == record
    assert again.seal == again.expected_seal()


def test_nobody_says_that_a_catalogue_is_verified(facts):
    with pytest.raises(CatalogueError, match="unverified"):
        make_record({**facts, "unverified": False}, SEALED)
