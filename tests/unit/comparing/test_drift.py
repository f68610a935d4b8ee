"""The page, the JSON and the closing lines of a comparison; and what is refused."""

import json
import re

import numpy as np
import pytest

from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.catalog.zarr_store import write_rows
from catalog_builder.comparing import verdict
from catalog_builder.comparing.drift import (
    Options,
    check_drift,
    closing_lines,
    drift,
    drift_of,
    make_drift,
    write,
)
from catalog_builder.ground.errors import CatalogueError, ConfigError, InputError
from catalog_builder.publish.seal import seal
from tests.unit.labels.test_read import write as write_survey


@pytest.fixture
def compared(sky, side, compared_schema):
    old, new = sky.observe(compared_schema), sky.observe(compared_schema, scale=0.7)
    new["teff"] += np.float32(30)
    books = {"requested": 4001, "published": 4000, "rejected": {"no_spectrum": 1}}
    simulated = {"simulated": True, "partitions": 2, "simulated_partitions": 2}
    facts = {"accounting": books, **simulated}
    half = {name: values[::2] for name, values in new.items()}
    return drift_of(side(old, facts), side(half, facts), Options(correlation=0.2))


def test_the_page_loads_nothing_and_says_all(compared, tmp_path):
    page, document = write(compared, tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', text))
    assert text.count("<img ") == 3
    for words in ("Drift in 1 of 5 labels", "Simulated", "no_spectrum", "a setting, 0.2."):
        assert words in text
    assert "nan" not in re.sub(r'src="[^"]*"', "", text).lower().replace("nanometre", "")
    again = write(compared, tmp_path / "again")
    assert [page.read_bytes(), document.read_bytes()] == [path.read_bytes() for path in again]


def test_json_has_the_numbers(compared, tmp_path):
    _, document = write(compared, tmp_path)
    found = json.loads(document.read_text(encoding="utf-8"))
    assert found["pairs"] == found["lost"]["stars"] == 2000
    teff = found["labels"]["teff"]
    assert teff["state"] == "drifts"
    assert abs(teff["median"] - 30) < 4 * teff["median_error"]
    assert set(teff["shares"]) == {"adopted", "independent", "nested"}
    assert sum(each["stars"] for each in teff["regimes"]["magnitude"].values()) == 2000
    assert found["correlation"]["setting"] == 0.2


def test_the_verdict_is_the_first_line(compared):
    lines = closing_lines(compared).splitlines()
    assert lines[0].startswith("Drift in 1 of 5 labels. teff: median difference")
    assert "2,000 stars in both, 2,000 lost, 0 gained" in lines[1]
    assert any(line.startswith("  logg") and "within bounds" in line for line in lines)


def test_two_sealed_catalogues_are_compared(pristine, tmp_path):
    found = drift(pristine, pristine.parent / "v1")
    assert found.stars == 23
    assert "same" in closing_lines(found).splitlines()[0]
    write(found, tmp_path)


def test_nothing_is_added_to_a_sealed_catalogue(pristine):
    found = drift(pristine, pristine)
    for folder in (pristine, pristine / "more"):
        with pytest.raises(CatalogueError, match="part of a sealed catalogue"):
            write(found, folder)
    assert not validate_catalog(pristine)


def test_ids_of_another_release_are_not_taken_for_the_same(sky, side, compared_schema):
    rows = sky.observe(compared_schema)
    old, new = side(rows), side(rows, {"release": "dr4"})
    with pytest.raises(ConfigError, match="same id need not be the same star"):
        drift_of(old, new, Options())
    assert drift_of(old, new, Options(same_ids=True)).stars == len(rows["source_id"])


@pytest.mark.parametrize("rho", [-0.1, 1.0, float("nan")])
def test_an_impossible_correlation_is_refused(rho):
    with pytest.raises(ConfigError, match="not from 0 to below 1"):
        Options(correlation=rho)


def test_damaged_order_is_refused(sky, side, compared_schema):
    rows = sky.observe(compared_schema)
    spoilt = side(rows)
    ids = rows["source_id"].copy()
    ids[:2] = ids[1::-1]
    block = {name: rows[name][:700] for name in compared_schema.names} | {"source_id": ids[:700]}
    write_rows(spoilt.store, compared_schema, 0, block)
    with pytest.raises(CatalogueError, match="not in ascending order"):
        drift_of(side(rows), spoilt, Options())


def test_a_catalogue_is_sealed_with_its_drift(build, pristine, facts, schema):
    building, target, facts_of = build(record={**facts, "version": "v2"})
    target = target.with_name("v2")

    def add_pages(building, summary):
        assert summary is None
        return make_drift(pristine, building.store, schema, facts)

    seal(building, target, facts_of, add_pages)
    assert validate_catalog(target) == []
    record = read_release(target)
    assert record.drift.seal == read_release(pristine).seal
    assert sorted(record.drift.files) == ["drift.html", "drift.json"]
    assert "drift" in (target / "SHA256SUMS").read_text()


def test_what_a_run_could_not_compare_is_told_before_it(pristine, tmp_path):
    check_drift(pristine, "dr3", None)
    with pytest.raises(CatalogueError):
        check_drift(tmp_path / "none", "dr3", None)
    with pytest.raises(ConfigError, match="same id"):
        check_drift(pristine, "dr4", None)
    with pytest.raises(InputError, match="is not there"):
        check_drift(pristine, "dr4", tmp_path / "none.csv")


@pytest.fixture
def survey_file(sky, tmp_path):
    """The labels of every third star, as APOGEE would give them."""
    columns = {"teff": "TEFF", "logg": "LOGG", "m_h": "M_H", "alpha_m": "ALPHA_M", "fe_h": "FE_H"}
    errors = {"teff": 50.0, "logg": 0.1, "m_h": 0.05, "alpha_m": 0.03, "fe_h": 0.05}
    rows = [{"id": int(sky.ids[star])} for star in range(0, len(sky.ids), 3)]
    for name, error in errors.items():
        labels = sky.truth[name][::3] + error * sky.rng.normal(size=len(rows))
        for row, value in zip(rows, labels, strict=True):
            row |= {columns[name]: value, f"{columns[name]}_ERR": error}
    file = write_survey(tmp_path / "allStar.fits", rows)
    return file.url


def test_the_correlation_is_measured_on_labelled_stars(
    sky, side, compared_schema, survey_file, tmp_path
):
    old = side(sky.observe(compared_schema, rho=0.6))
    new = side(sky.observe(compared_schema, scale=0.8, rho=0.6))
    found = drift_of(old, new, Options(labels=survey_file))
    for name, measured in found.correlation["measured"].items():
        assert abs(measured["correlation"] - 0.6) < 4 * measured["error"] < 0.4
        assert found.tallies[name].correlation == measured["correlation"]
    assert "APOGEE" in found.correlation["words"]
    states = {judged.state for judged in verdict.judgements(found)}
    assert states <= {"agrees", "within bounds"}
    page, _ = write(found, tmp_path / "out")
    assert "± 0.0" in page.read_text(encoding="utf-8")


def test_labels_of_another_release_are_refused(sky, side, compared_schema, survey_file):
    rows = sky.observe(compared_schema)
    both = [side(rows, {"release": "dr2"}) for _ in range(2)]
    with pytest.raises(InputError, match="are of dr3, the old catalogue is of dr2"):
        drift_of(*both, Options(labels=survey_file))


def test_labels_of_other_stars_are_refused(sky, side, compared_schema, survey_file):
    rows = sky.observe(compared_schema)
    rows["source_id"] += 1
    with pytest.raises(InputError, match="None of the"):
        drift_of(side(rows), side(rows), Options(labels=survey_file))
