import base64
import re
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest

from catalog_builder.catalog import zarr_store
from catalog_builder.catalog.open import open_catalog
from catalog_builder.ground.errors import CatalogueError, StoreError
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.origin import ModelOrigin
from catalog_builder.report import maps, measures, tables
from catalog_builder.report import summary as summary_module
from catalog_builder.report.page import make_report
from catalog_builder.report.quantities import Quantities

ROWS = 1234
SHOWN = Quantities(default_contract())


class Page(HTMLParser):
    """Rows of tables, figures, pictures, addresses, words of a page; nothing may be left open."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.pictures, self.addresses, self.words = [], [], [], [], []
        self.tags, self.figures = set(), 0
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self.figures += tag == "figure"
        self.addresses += [attributes[key] for key in ("src", "href") if key in attributes]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "img":
            self.pictures.append(attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def row(self, title):
        """Return the first row that begins with this title or has it in its second cell."""
        return next(row for row in self.rows if title in row[:2])

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def count(cell):
    return int(cell.replace("\u202f", ""))


@pytest.fixture
def report(tmp_path, schema, write_store, make_record):
    """Return a function that writes a store and its report, and parses the page."""

    def make(columns, **facts):
        store = write_store(tmp_path / "catalog.zarr", columns)
        target = tmp_path / "report.html"
        make_report(store, make_record(len(columns["source_id"]), **facts), schema, target)
        return Page(target.read_text(encoding="utf-8"))

    return make


@pytest.fixture(scope="module")
def stars(make_rows, schema):
    """Stars of which some lie outside a limit, beyond the axes, or have a bit nobody declared."""
    columns = make_rows(ROWS)
    outside = (np.arange(ROWS) % 7 == 0) & np.isfinite(columns["m_h"])
    columns["flags"][outside] |= schema.flags["m_h_outside_range"].mask
    columns["flags"][:4] |= 1 << 60
    columns["teff"][:3] = 90_000.0
    return columns


@pytest.fixture(scope="module")
def store(tmp_path_factory, stars, write_store):
    return write_store(tmp_path_factory.mktemp("report") / "catalog.zarr", stars)


@pytest.fixture(scope="module")
def written(store, schema, make_record):
    """The file of these stars' report."""
    target = store.with_name("report.html")
    make_report(store, make_record(ROWS), schema, target)
    return target


@pytest.fixture(scope="module")
def page(written):
    return Page(written.read_text(encoding="utf-8"))


def test_counts_on_the_page_are_those_of_the_store(page, stars, schema):
    for bit in schema.flags.bits:
        expected = np.count_nonzero(stars["flags"] & bit.mask)
        row = next(row for row in page.rows if row[0] == f"{bit.bit}" and row[1] == bit.name)
        assert count(row[3]) == expected, bit.name
    for column in schema.columns:
        values = stars[column.name]
        expected = np.count_nonzero(values) if column.dtype == "bool" else np.sum(values == values)
        row = next(row for row in page.rows if row[0] == column.name and len(row) == 6)
        assert count(row[3]) == expected, column.name
    given = np.isfinite(stars["m_h"])
    outside = (stars["flags"] & schema.flags["m_h_outside_range"].mask) != 0
    m_h = page.row("[M/H] m_h")
    assert count(m_h[2]) == np.count_nonzero(given)
    assert count(m_h[4]) == np.count_nonzero(given & ~outside)
    digits = next(row for row in page.rows if row[:2] == ["3", "m_h"])
    assert count(digits[4]) == np.count_nonzero(outside)
    assert sum(count(digits[i]) for i in (2, 4, 6)) == ROWS


def test_medians_and_percentiles_are_those_of_the_store(page, stars):
    low, high = (float(value) for value in page.row("log g logg")[5].split(" … "))
    # Bins are 0.02 dex and 2 per cent wide.
    assert (low, high) == pytest.approx(np.nanquantile(stars["logg"], [0.05, 0.95]), abs=0.03)
    median = float(page.row("log g logg")[6])
    assert median == pytest.approx(np.nanmedian(stars["e_logg"]), rel=0.02, abs=0.0005)


def test_accounting_adds_up(page):
    rows = [page.row(t) for t in ("Published", "Rejected: no spectrum", "Rejected: damaged")]
    assert [count(row[1]) for row in rows] == [ROWS, 10, 2]
    assert count(page.row("Requested")[1]) == ROWS + 12


def test_a_catalogue_without_rejects_says_so(make_record):
    accounting = {"requested": 20, "published": 20, "rejected": {}}
    rows = Page(tables.accounting(make_record(20, accounting=accounting)))
    assert count(rows.row("Rejected")[1]) == 0


def test_what_the_accounting_does_not_know_stands_below_it(make_record):
    counts = {
        "a": {"requested": 3, "tables": {"rvs_mean_spectrum": "unknown"}},
        "b": {"requested": 0, "tables": {}},
    }
    markup = tables.accounting(make_record(20, incidents={"counts": counts, "labels": None}))
    assert count(Page(markup).row("Requested, at least")[1]) == 32
    assert "an unknown number of sources of partition b is lost" in markup
    assert "of partition a at least 3 sources" in markup
    known = tables.accounting(make_record(20, incidents={"counts": None}))
    assert "Not in these numbers" not in known


def test_what_was_left_out_on_purpose_is_said(make_record):
    incidents = {
        "rows": {"rvs_mean_spectrum": {"below_least_sig_to_noise": 1234, "malformed_row": 1}},
        "parallax_fallback": 17,
    }
    markup = tables.accounting(make_record(20, incidents=incidents))
    faint = '<data value="1234">1\u202f234</data> spectra of rvs_mean_spectrum are fainter than'
    assert faint in markup
    assert 'the fallback rule: <data value="17">17</data>.' in markup
    plain = tables.accounting(make_record(20, incidents={"rows": {"a": {"malformed_row": 1}}}))
    assert "fainter" not in plain
    assert "fallback" not in plain


def test_labels_that_went_through_a_crosswalk_are_accounted_for(make_record):
    walk = {"one": 90, "several_likely_neighbours": 7, "no_neighbour": 3}
    labels = {"survey": "apogee-dr17", "crosswalk": walk}
    record = make_record(7, incidents={"labels": labels})
    books = Page(tables.accounting(record))
    assert count(books.row("One star here")[1]) == 90
    assert count(books.row("Left out: several likely neighbours")[1]) == 7
    assert count(books.row("Stars with labels")[1]) == 100


def test_a_model_of_another_release_is_shown_with_both_sets_of_numbers(report, nothing):
    one = {"stars": 50, "robust_scatter": 91.0, "bias": 1.0, "coverage_68": 0.5, "coverage_95": 0.9}
    metrics = {"as_observed": {"all": {"teff": one}, "by_regime": {}}}
    measured = {"release": "dr4", "survey": "s", "stars": 50, "taught": 3, "metrics": metrics}
    text = report(nothing, measured_here=measured).text
    assert "Measured on dr4, on labels of s: 50 stars that did not teach the model" in text
    assert "Unverified" not in text


def test_an_unmeasured_model_heads_the_page(report, nothing):
    model = {**ModelOrigin(release="dr2").said(), "trained_elsewhere": True}
    text = report(nothing, unverified=True, model=model).text
    assert "Unverified labels." in text.split("Accounting")[0]
    assert "made for dr2 and was not measured" in text


def test_test_metrics_have_units_and_coverage(page):
    row = next(row for row in page.rows if row[:2] == ["Teff", "K"] and len(row) == 8)
    assert row[2:] == ["447", "61", "−5", "98", "67.1\u202f%", "94.7\u202f%"]
    regime = page.row("with RVS, S/N < 15")
    assert regime[1:3] == ["447", "61 · 67.1\u202f%"]
    assert regime[3:] == ["–"] * 4


def test_metrics_may_be_flat_or_absent(make_record, schema):
    flat = make_record(20, metrics={"teff": {"robust_scatter": 80.0}, "m_h": None})
    row = Page(measures.metrics(flat, schema, SHOWN)).row("Teff")
    assert row == ["Teff", "K", "–", "80", "–", "–", "–", "–"]
    absent = make_record(20, metrics={})
    assert "no measures on test stars" in measures.metrics(absent, schema, SHOWN)


def test_the_page_needs_no_other_file_and_no_script(page):
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert page.figures == 12
    assert all(picture["alt"].endswith(".") for picture in page.pictures)


def test_pictures_hold_no_date_and_no_program(page):
    for picture in page.pictures:
        data = base64.b64decode(picture["src"].split(",")[1])
        assert b"Software" not in data
        assert b"dc:date" not in data
        assert b"Matplotlib" not in data


def test_values_beyond_every_axis_are_counted(page):
    assert "Beyond the grid and not shown: 3." in page.text


def test_undeclared_bits_are_shown(page):
    assert next(row for row in page.rows if row[:2] == ["–", "–"])[3] == "4"


def test_the_example_selects_what_it_says(page, stars, store, schema):
    mask = int(re.search(r"catalogue\.flags & (\d+)", page.text)[1])
    assert mask == schema.flags["rvs_unlike_any_star"].mask
    tiers = [int(value) for value in re.search(r"isin\(\[([\d, ]+)\]\)", page.text)[1].split(",")]
    catalogue = open_catalog(store)
    good = catalogue.quality_tier.isin(tiers)
    regular = (catalogue.flags & mask) == 0
    chosen = catalogue.isel(source=(good & regular).values)
    wanted = np.isin(stars["quality_tier"], [1, 2]) & ((stars["flags"] & mask) == 0)
    np.testing.assert_array_equal(chosen.source_id.values, stars["source_id"][wanted])


def test_the_map_of_the_spectra_is_drawn(page):
    assert any(picture["alt"].startswith("Map of the RVS spectra") for picture in page.pictures)


def test_every_tier_is_counted(page, stars, schema):
    for tier in schema.flags.tiers:
        row = next(row for row in page.rows if row[:2] == [str(tier.tier), tier.name])
        assert row[3] == str(np.count_nonzero(stars["quality_tier"] == tier.tier))


def test_the_same_catalogue_has_the_same_page_whatever_the_users_settings(
    tmp_path, written, store, schema, make_record
):
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "svg.fonttype": "none"}):
        make_report(store, make_record(ROWS), schema, tmp_path / "again.html")
        assert mpl.rcParams["font.size"] == 20
    assert (tmp_path / "again.html").read_bytes() == written.read_bytes()


def test_what_is_null_everywhere_is_told_in_words(report, make_rows, take_label, schema):
    columns = make_rows(300)
    take_label(columns, "fe_h", np.ones(300, dtype=bool))
    columns["has_rvs"][:] = False
    columns["rvs_spec_sig_to_noise"][:] = np.nan
    columns["flags"] &= ~schema.flags["rvs_used"].mask
    page = report(columns)
    assert "[Fe/H] is given for no star" in page.text
    assert "Null for every source" in page.text
    assert page.row("[Fe/H] fe_h")[2:] == ["0", "0.0\u202f%", "0", "–", "–"]
    assert "there is no median against S/N" in page.text
    assert page.figures == 11


def test_no_metallicity_leaves_the_density_alone(report, make_rows, take_label):
    columns = make_rows(300)
    for name in ("m_h", "fe_h"):
        take_label(columns, name, np.ones(300, dtype=bool))
    page = report(columns)
    assert "Neither [M/H] nor [Fe/H] is given" in page.text
    assert "there is no abundance plane" in page.text
    assert page.figures == 10


def test_iron_colours_the_kiel_diagram_where_metallicity_is_null(
    tmp_path, make_rows, take_label, write_store, schema
):
    columns = make_rows(30)
    take_label(columns, "m_h", np.ones(30, dtype=bool))
    store = write_store(tmp_path / "catalog.zarr", columns)
    assert maps.metallicity_of_kiel(summary_module.summarise(store, schema)) == "fe_h"


def test_one_star_is_a_catalogue(report, make_rows):
    page = report(make_rows(1))
    assert "No bin of G holds 10 stars" in page.text
    assert "1 star inside" in page.text
    assert count(page.row("Published")[1]) == 1


@pytest.fixture
def nothing(make_rows, schema):
    """Stars of which nothing is known; their report has no figures."""
    columns = make_rows(30)
    for column in schema.columns:
        if column.nullable:
            columns[column.name][:] = np.nan
    columns["flags"][:] = sum(schema.flags[f"{name}_not_available"].mask for name in SHOWN)
    return columns


def test_nothing_but_nulls(report, nothing):
    page = report(nothing)
    assert page.pictures == []
    for absent in ("no distribution", "no median against G", "no Kiel diagram", "no map"):
        assert f"there is {absent}" in page.text
    assert "there is none to show" in page.text


def test_text_from_outside_is_shown_and_not_obeyed(report, nothing):
    evil = "<script>alert('x')</script>&amp;\"><img src=//example.org/x>"
    page = report(
        nothing,
        catalogue=evil,
        version=evil,
        release=evil,
        software={evil: evil},
        model_digest=evil,
        inputs={evil: evil},
        metrics={evil: {"all": {"teff": {"stars": evil}}, "by_regime": {evil: {}}}},
        accounting={"requested": 31, "published": 30, "rejected": {evil: 1}},
        acknowledgements=(evil,),
        credit={
            "license": evil,
            "thanks": [evil],
            "references": [{"key": "x", "line": evil, "bibtex": evil}],
        },
    )
    assert page.tags.isdisjoint({"script", "img"})
    assert page.row(f"Rejected: {evil}")[1] == "1"
    assert [evil, evil] in page.rows
    assert page.words.count(evil) >= 5


def test_it_says_whom_to_cite(report, nothing):
    paper = {"key": "x", "line": "Doe et al. 2024, A&A 1, A2", "bibtex": ""}
    thanks = "This work has made use of data."
    credit = {"license": "CC-BY-4.0", "thanks": [thanks], "references": [paper]}
    page = report(nothing, credit=credit)
    assert "Licence of the data: CC-BY-4.0." in page.text
    assert paper["line"] in page.text
    assert thanks in page.text


def test_no_more_than_a_chunk_is_in_memory(tmp_path, schema, make_rows, write_store, monkeypatch):
    lengths = []

    def watched(path, names):
        for start, block in zarr_store.read_rows(path, names):
            lengths.append({len(values) for values in block.values()})
            yield start, block

    monkeypatch.setattr(summary_module, "read_rows", watched)
    summary_module.summarise(write_store(tmp_path / "catalog.zarr", make_rows(350), 100), schema)
    assert lengths == [{100}, {100}, {100}, {50}]


def test_a_store_of_another_length_is_refused(
    tmp_path, schema, make_rows, write_store, make_record
):
    store = write_store(tmp_path / "catalog.zarr", make_rows(30))
    with pytest.raises(CatalogueError, match="holds 30 sources, its accounting says 31"):
        make_report(store, make_record(31), schema, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_an_accounting_that_does_not_add_up_is_refused(report, make_rows):
    wrong = {"requested": 99, "published": 30, "rejected": {"damaged": 2}}
    with pytest.raises(CatalogueError, match="99 requested are not 30 published"):
        report(make_rows(30), accounting=wrong)


def test_missing_facts_are_named(tmp_path, schema):
    with pytest.raises(CatalogueError, match="lacks the facts catalogue, release"):
        make_report(tmp_path, {"version": "v1"}, schema, tmp_path / "report.html")


def test_a_store_without_a_column_is_refused(tmp_path, schema, make_record):
    with pytest.raises(StoreError, match="has no column source_id"):
        make_report(tmp_path / "none.zarr", make_record(3), schema, tmp_path / "report.html")


MODEL = {
    "trained_elsewhere": True,
    "release": "dr3",
    "release_title": "Gaia Data Release 3",
    "release_digest": "d" * 32,
    "survey": "apogee-dr17",
    "survey_title": None,
    "archive": "a" * 32,
    "partitions": 6,
    "stars": 431,
    "simulated": False,
}


def test_a_simulated_catalogue_has_a_banner_on_top(report, nothing):
    marks = {"simulated": True, "partitions": 6, "simulated_partitions": 6}
    page = report(nothing, model=MODEL, **marks)
    assert "Simulated. Every star of this catalogue came from a simulation" in page.text
    assert page.text.index("Simulated.") < page.text.index("A small catalogue Edition")
    assert "in the layout of release dr3" in page.text
    assert "trained on stars that are not simulated" in page.text


def test_a_model_of_simulated_stars_has_a_banner_too(report, nothing):
    marks = {"simulated": False, "partitions": 6, "simulated_partitions": 0}
    page = report(nothing, model=MODEL | {"simulated": True}, **marks)
    assert "Simulated training stars. The model that made the labels" in page.text
    assert "made from release dr3" in page.text


def test_other_catalogues_have_none(report, nothing):
    marks = {"simulated": False, "partitions": 6, "simulated_partitions": 0}
    assert "imulated." not in report(nothing, model=MODEL, **marks).text


def test_the_page_says_whose_test_stars_they_are(report, nothing):
    page = report(nothing, model=MODEL, release_digest="e" * 32)
    assert f"not this run's: model {'m' * 12}, trained on 431 stars with labels of" in page.text
    assert ["Model: trained", "elsewhere"] in page.rows
    assert ["Model: digest of its archive", "a" * 32] in page.rows
    assert ["Description of the release", "e" * 32] in page.rows
    # The survey's title is not recorded, its name is.
    assert ["Model: labels of its stars", "apogee-dr17"] in page.rows


def test_a_model_of_the_same_run_is_not_called_given(report, nothing):
    own = report(nothing, model=MODEL | {"trained_elsewhere": False, "stars": None})
    assert "Measured on test stars of this archive" in own.text
    assert ["Model: labelled stars", "not recorded"] in own.rows
