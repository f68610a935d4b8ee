"""What was wrong with the input, summed up for RELEASE.json."""

import pytest
from pydantic import ValidationError

from catalog_builder.catalog.incidents import collect_incidents
from catalog_builder.catalog.release_json import Incidents, ReleaseRecord
from catalog_builder.features.counts import Count
from catalog_builder.runtime.receipts import Receipt

RECORD = {
    "catalogue": "a catalogue",
    "release": "dr3",
    "version": "1.0",
    "schema_version": "1",
    "schema_digest": "s",
    "software": {},
    "model_digest": "m",
    "config_digest": "c",
    "inputs": {},
    "columns": {},
    "manifest": "f",
    "metrics": {},
    "accounting": {"requested": 0, "published": 0},
}


def receipt(**notes):
    return Receipt(
        stage="ingest",
        task="a",
        stage_version=1,
        key="k",
        rows_in=0,
        rows_out=0,
        output="o",
        pattern="*",
        output_digest="d",
        inventory="i",
        notes=notes,
        seconds=0,
    )


def test_partitions_are_summed_up():
    cut = {"table": "rvs", "reason": "truncated_file", "detail": "it is cut off"}
    receipts = [
        receipt(row_rejects={"rvs": {"bad_number": 2}}, cell_nulls={"gaia.ra": 1}),
        receipt(row_rejects={"rvs": {"bad_number": 1, "all_nan_spectrum": 4}}, cell_nulls={}),
        receipt(file_rejects={"file.csv.gz": cut}, cell_nulls={"gaia.ra": 5}),
    ]
    found = collect_incidents(receipts, {"b": "/data/dr3/b.csv.gz changed"}, "/data/dr3/")
    assert found == {
        "partitions": {"b": "b.csv.gz changed"},
        "files": {"file.csv.gz": cut},
        "rows": {"rvs": {"all_nan_spectrum": 4, "bad_number": 3}},
        "cells": {"gaia.ra": 6},
        "absent": {},
        "parallax_fallback": None,
        "labels": None,
        "counts": None,
        "accepted_lost": None,
    }
    receipts = [receipt(parallax_fallback=2), receipt(parallax_fallback=3)]
    assert collect_incidents(receipts, {}, "/a")["parallax_fallback"] == 5
    assert Incidents.model_validate(found).files["file.csv.gz"].reason == "truncated_file"


def test_what_is_absent_and_what_became_of_the_labels_is_told():
    labels = receipt(label_nulls={"teff_bad": 2}).model_copy(
        update={"task": "survey", "rows_in": 9, "rows_out": 6, "rejected": {"low_snr": 3}}
    )
    matches = [receipt().model_copy(update={"rows_in": 3, "rows_out": n}) for n in (1, 3)]
    features = [receipt(absent={"xp": 4, "rvs": 1}), receipt(absent={"xp": 2}), receipt()]
    found = collect_incidents(features, {}, "/a", [labels], matches)
    assert found["absent"] == {"rvs": 1, "xp": 6}
    assert found["labels"] == {
        "survey": "survey",
        "rows": 9,
        "rejected": {"low_snr": 3},
        "nulls": {"teff_bad": 2},
        "without_spectrum": 2,
    }
    assert Incidents.model_validate(found).labels is not None


def test_how_sources_were_counted_is_told_and_what_was_accepted():
    part = Count(requested=3, tables={"rvs": "unknown", "xp": "rows"})
    found = collect_incidents([], {"a": "it died"}, "/a", counts={"a": part})
    assert found["counts"] == {"a": {"requested": 3, "tables": {"rvs": "unknown", "xp": "rows"}}}
    assert found["accepted_lost"] is None
    nothing = Count(requested=0, tables={"rvs": "unknown"})
    found = collect_incidents([], {"b": "it died"}, "/a", counts={"a": part, "b": nothing})
    assert found["accepted_lost"] is True
    assert Incidents.model_validate(found).counts == {"a": part, "b": nothing}


def test_incidents_are_sealed_and_their_absence_leaves_old_seals_as_they_were():
    old = ReleaseRecord.model_validate(RECORD)
    clean = ReleaseRecord.model_validate({**RECORD, "incidents": collect_incidents([], {}, "/a")})
    bad = ReleaseRecord.model_validate({**RECORD, "incidents": {"cells": {"gaia.ra": 1}}})
    assert len({record.expected_seal() for record in (old, clean, bad)}) == 3
    # Made before the fields existed; a sealed catalogue stays valid.
    assert old.expected_seal() == (
        "1bbfd41430b4a9cfc7dd06a96c98561a2920957a95ff56d5f8cf5b96d7ba2432"
    )
    assert bad.expected_seal() == (
        "651e222ee67bd1b398ecb860f6f220431692634a535d2af41902229e17f24188"
    )


def test_an_unknown_kind_of_incident_is_refused():
    with pytest.raises(ValidationError):
        ReleaseRecord.model_validate({**RECORD, "incidents": {"weather": {}}})
