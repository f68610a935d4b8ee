"""The catalogue beside other labels that its archive has."""

import numpy as np
import pytest

from catalog_builder.publish.archive_labels import archive_labels
from catalog_builder.publish.pages import _others
from catalog_builder.report.labelled import Edges
from catalog_builder.report.other_figures import OtherTable, section
from catalog_builder.report.others import BOTH, OURS, THEIRS, Other, states_of
from catalog_builder.report.summary import Summary
from catalog_builder.report.tally import Tally, state_of

ROWS = 900
EDGES = Edges((15.0, 25.0), (13.0,))


@pytest.fixture(scope="module")
def columns(make_rows):
    columns = make_rows(ROWS)
    columns["training_split"] = np.where(np.arange(ROWS) % 3 == 0, 1, 0).astype("u1")
    return columns


@pytest.fixture(scope="module")
def table(columns):
    """What an archive has: log g 0.3 below ours, with errors; none of every second star."""
    rng = np.random.default_rng(2)
    none = np.where(np.arange(ROWS) % 2 == 0, 0.0, np.nan)
    logg = columns["logg"].astype(float) - 0.3 + rng.normal(0, 0.1, ROWS) + none
    flags = np.where(np.arange(ROWS) % 50 == 0, "0090000000000", "0" * 13)
    return {
        "teff_gspspec": columns["teff"] + none,
        "teff_gspspec_lower": columns["teff"] - 50.0,
        "teff_gspspec_upper": columns["teff"] + 50.0,
        "logg_gspspec": logg,
        "logg_gspspec_lower": logg - 0.1,
        "logg_gspspec_upper": logg + 0.1,
        "flags_gspspec": flags,
        "teff_gspphot": columns["teff"] * 1.01,
    }


def summed(schema, columns, table, rows=slice(None)):
    (_, labels, errors), _ = archive_labels(table, schema.labels)
    other = Other(schema, EDGES)
    other.add({name: values[rows] for name, values in columns.items()}, labels[rows], errors[rows])
    return other


def test_the_archive_s_columns_become_our_labels(schema, table):
    (spec, phot) = archive_labels(table, schema.labels)
    assert (spec[0], phot[0]) == ("gsp-spec", "gsp-phot")
    _, labels, errors = spec
    place = schema.labels.place("logg")
    flagged = np.arange(ROWS) % 50 == 0
    assert np.isnan(labels[flagged]).all()
    np.testing.assert_array_equal(labels[~flagged, place], table["logg_gspspec"][~flagged])
    np.testing.assert_allclose(errors[:, place][np.isfinite(errors[:, place])], 0.1)
    assert np.isnan(labels[:, schema.labels.place("fe_h")]).all()
    assert list(archive_labels({}, schema.labels)) == []
    without = {name: values for name, values in table.items() if name != "flags_gspspec"}
    _, labels, _ = next(archive_labels(without, schema.labels))
    assert np.isfinite(labels[flagged, place]).any()


def test_parts_add_up_and_stars_that_taught_are_left_out(schema, columns, table):
    whole = summed(schema, columns, table)
    tally, part = Tally(schema, None, EDGES), Summary(schema)
    part.add(columns)
    for rows in (slice(0, 100), slice(100, None)):
        state = summed(schema, columns, table, rows).state("gsp-spec")
        tally.add({**state_of(Summary(schema)), **state})
        assert list(states_of(state)) == ["gsp-spec"]
    (found,) = tally.others.values()
    np.testing.assert_array_equal(found.counted, whole.counted)
    np.testing.assert_array_equal(found.sums.pulls, whole.sums.pulls)
    place = list(found.sums.shown).index("logg")
    kept = columns["training_split"] == 0
    has = np.isfinite(table["logg_gspspec"]) & (np.arange(ROWS) % 50 != 0)
    ours = np.isfinite(columns["logg"])
    counts = whole.counted[place].sum(axis=0)
    assert counts[OURS] == (kept & ours).sum()
    assert counts[THEIRS] == (kept & has).sum()
    assert counts[BOTH] == (kept & has & ours).sum()
    assert whole.labels == ["teff", "logg"]


def test_an_archive_without_the_column_of_a_cut_is_compared_without_it(schema, columns, table):
    def tallied(flags):
        tally = Tally(schema, None, EDGES)
        for rows in (slice(0, 300), slice(300, 600), slice(600, None)):
            part = {name: values[rows] for name, values in {**table, **flags}.items()}
            if rows.start == 300:  # a chunk without any value
                part = {n: v if v.dtype.kind in "US" else v * np.nan for n, v in part.items()}
            state = state_of(Summary(schema))
            for name, labels, errors in archive_labels(part, schema.labels):
                other = Other(schema, EDGES)
                other.add({n: v[rows] for n, v in columns.items()}, labels, errors)
                state |= other.state(name)
            tally.add(state)
        return {one.name: one for one in _others(tally, {})}

    empty = {"flags_gspspec": np.full(ROWS, b"", "S41")}
    found = tallied(empty)["gsp-spec"]
    without = {name: v for name, v in table.items() if name != "flags_gspspec"}
    meant = summed(schema, columns, without)
    place = list(meant.sums.shown).index("logg")
    some = np.r_[0:300, 600:ROWS]
    kept = np.isin(np.arange(ROWS), some) & (columns["training_split"] == 0)
    counts = found.sums.counted[place].sum(axis=0)
    assert counts[OURS] == meant.counted[place].sum(axis=0)[OURS]
    assert counts[THEIRS] == (kept & np.isfinite(table["logg_gspspec"])).sum()
    assert found.sums.sums.measured("logg", found.sums.sums.cell("all")).stars == counts[BOTH] > 0
    assert "has no values of `flags_gspspec`" in found.notes[-1]
    # One chunk whose chains are all damaged is no such archive.
    partly = np.where(np.arange(ROWS) < 300, "", table["flags_gspspec"])
    found = tallied({"flags_gspspec": partly})["gsp-spec"]
    last = kept & (np.arange(ROWS) >= 600) & (np.arange(ROWS) % 50 != 0)
    assert (
        found.sums.counted[place].sum(axis=0)[THEIRS]
        == (last & np.isfinite(table["logg_gspspec"])).sum()
    )
    assert "flags_gspspec" not in " ".join(found.notes)


def test_the_section_finds_the_offset_and_says_where_theirs_are_few(schema, columns, table):
    sums = summed(schema, columns, table)
    found = sums.sums.measured("logg", sums.sums.cell("all"))
    assert found.bias == pytest.approx(0.3, abs=0.02)
    page = section((OtherTable("gsp-spec", "GSP-Spec", ("A note.",), sums, True),), schema)
    assert "+0.30" in page
    assert "15 ≤ S/N &lt; 25" in page
    assert "A note." in page
    assert "no values of GSP-Spec" in page
