"""Pages of catalogues with other labels and inputs than today's."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.catalog.zarr_store import create_store, write_rows
from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.labels import Labels, known_labels
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.labels.agreed import default_contract
from catalog_builder.report import tables
from catalog_builder.report.comparison import accuracy
from catalog_builder.report.labelled import Edges, Labelled
from catalog_builder.report.page import make_report
from catalog_builder.report.pictures import panels
from catalog_builder.report.summary import Summary
from catalog_builder.verdict.facts import VerdictFacts
from catalog_builder.verdict.verdict import verdict
from tests.contracts import FOUR, SIX, THIRTY, THREE_SPECTRA
from tests.unit.report.test_page import Page

ROWS = 400


@pytest.fixture
def make_columns(make_rows):
    """Return a function that makes the columns of a catalogue with a contract."""

    def make(schema, made):
        rng = np.random.default_rng(0)
        known = make_rows(ROWS)
        columns = {
            c.name: known.get(c.name, rng.uniform(0.01, 0.3, ROWS).astype(c.numpy_dtype))
            for c in schema.columns
        }
        columns |= {name: np.zeros(ROWS, dtype=np.int64) for name in schema.flags.columns}
        _set(columns, schema, "xp_used", np.ones(ROWS, dtype=bool))
        _set(columns, schema, made.labels.names[-1] + "_outside_range", np.arange(ROWS) % 8 == 0)
        if "hr" in made.inputs.spectra:
            columns["has_hr"] = np.arange(ROWS) % 2 == 0
            columns["hr_snr"] = rng.uniform(20, 200, ROWS).astype("f4")
            _set(columns, schema, "hr_used", columns["has_hr"])
        return columns

    return make


@pytest.fixture
def page_of(tmp_path, make_columns, make_record):
    """Return a function that draws the page of a catalogue with a contract."""

    def draw(made, metrics=None):
        schema = CatalogSchema.of(made)
        store = tmp_path / "catalog.zarr"
        create_store(store, schema, ROWS, ROWS)
        write_rows(store, schema, 0, make_columns(schema, made))
        target = tmp_path / "report.html"
        facts = make_record(ROWS) | ({"metrics": metrics} if metrics else {})
        make_report(store, facts, schema, target)
        return Page(target.read_text(encoding="utf-8"))

    return draw


def _set(columns, schema, name, where):
    bit = schema.flags[name]
    columns[bit.column][where] |= bit.mask


def alts(page):
    return [picture["alt"] for picture in page.pictures]


def test_a_sixth_label_is_in_every_table_and_figure(page_of):
    page = page_of(SIX)
    assert "All six labels given" in page.text
    assert "a digit for each of eight quantities" in page.text
    row = page.row("[Mg/Fe] mg_fe")
    assert int(row[2]) - int(row[4]) == ROWS // 8
    assert any("mg_fe" in row[1] for row in page.rows if row[0] == "6")
    assert any("planes of an abundance and m_h: " in alt and "mg_fe" in alt for alt in alts(page))
    assert any(alt.startswith("Histogram") and "mg_fe" in alt for alt in alts(page))
    assert "The other abundances against [M/H]" in page.text


def test_a_catalogue_without_iron_does_not_speak_of_it(page_of):
    page = page_of(FOUR)
    assert "fe_h" not in page.text
    assert "Fe/H" not in page.text
    assert "All four labels given" in page.text
    assert "digits 0000 at the start" in page.text


def test_a_third_spectrum_has_its_own_sections(page_of):
    measured = {"teff": {"stars": 5, "robust_scatter": 50.0}}
    views = ("without_hr", "without_tmass", "without_parallax", "something_else")
    page = page_of(THREE_SPECTRA, {v: {"all": measured} for v in views})
    assert "With an HR spectrum" in page.text
    assert "Map of the HR spectra" in page.text
    assert "(hr_map_x, hr_map_y)" in page.text
    for start in ("Map of the RVS spectra", "Map of the HR spectra"):
        assert sum(alt.startswith(start) for alt in alts(page)) == 1
    assert sum("signal-to-noise ratio of the HR spectrum" in alt for alt in alts(page)) == 1
    assert sum("whose HR spectrum was used" in alt for alt in alts(page)) == 1
    for words in ("their HR spectra", "their 2MASS", "their parallaxes"):
        assert f"Test stars, with {words} withheld" in page.text
    assert "Test stars, something_else" in page.text
    assert "rvs_used, xp_used, hr_used, photometry_used, tmass_used and parallax_used" in page.text


def test_labels_without_roles_and_inputs_without_magnitude(page_of):
    inputs = Inputs(spectra={"xp": default_contract().inputs.spectra["xp"]}, parallax=False)
    labels = Labels(known_labels()[name] for name in ("logg", "alpha_m"))
    page = page_of(Contract(labels=labels, inputs=inputs))
    assert "do not hold both a temperature and a gravity" in page.text
    assert "No two labels are a metallicity and an abundance" in page.text
    assert "No magnitude is an input" in page.text
    assert "Map of the" not in page.text
    assert "catalogue.isel(source=good.values)" in page.text


def test_thirty_labels_and_two_masks_are_counted_bit_by_bit(make_columns):
    schema = CatalogSchema.of(THIRTY)
    assert len(schema.flags.columns) > 1
    summary = Summary(schema)
    summary.add(make_columns(schema, THIRTY))
    assert summary.undeclared == 0
    assert summary.in_range["x24_fe"] == summary.filled["x24_fe"] - ROWS // 8
    page = Page(tables.flags(summary, schema))
    bit = next(row for row in page.rows if row[1:2] == ["x24_fe_outside_range"])
    assert bit[3] == str(ROWS // 8)
    assert len(Page(tables.training_range(summary)).rows) == 1 + 30 + 2
    assert "details" in Page(tables.columns(summary, schema)).tags


def test_many_panels_are_smaller_and_one_more_abreast():
    for count, columns, width in ((9, 3, 10.2), (10, 4, 10.2), (30, 4, 10.2)):
        figure, grid = panels(count, columns=3, size=(3.4, 2.5))
        assert len(grid) == count
        assert grid[0].get_gridspec().ncols == columns
        assert figure.get_figwidth() == pytest.approx(width)
    assert figure.get_figheight() == pytest.approx(8 * 2.5 * 3 / 4)


ROLELESS = Contract(
    labels=Labels(known_labels()[name] for name in ("logg", "alpha_m")),
    inputs=Inputs(spectra={"xp": default_contract().inputs.spectra["xp"]}, parallax=False),
)


@pytest.mark.parametrize("made", [SIX, THREE_SPECTRA, ROLELESS])
def test_stars_with_labels_are_drawn_and_judged_for_any_contract(made, make_columns):
    schema = CatalogSchema.of(made)
    columns, rng = make_columns(schema, made), np.random.default_rng(3)
    columns["training_split"] = rng.integers(0, 5, ROWS).astype("u1")
    names = made.labels.names
    labels = np.stack([columns[name] for name in names], axis=1).astype(float)
    labels += rng.normal(0, 0.1, labels.shape)
    labelled, summary = Labelled(schema, Edges((20.0, 60.0), (11.0, 13.0))), Summary(schema)
    labelled.add(columns, labels, np.full(labels.shape, 0.05))
    summary.add(columns)
    section = Page(accuracy(labelled, schema))
    assert section.figures == 5
    for name in names:
        assert made.labels[made.labels.place(name)].html in accuracy(labelled, schema)
    books = {"requested": ROWS, "published": ROWS, "rejected": {}}
    found = verdict(summary, labelled, {"accounting": books}, VerdictFacts(folds=3))
    states = {check.name: check.state for check in found}
    assert states["accounting"] == "pass"
    assert "not tested" not in {states["coverage"], states["bias_along"], states["fit_stars"]}
    assert states["bias"] == "not tested"  # the model says nothing of its test stars
