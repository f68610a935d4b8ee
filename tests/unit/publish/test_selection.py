"""Counts of pieces and chunks become one selection function, whatever their order and cuts."""

import numpy as np
import polars as pl
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.layout import SELECTION_NAME
from catalog_builder.catalog.selection import SelectionFunction, posterior
from catalog_builder.catalog.selection_store import (
    PARQUET,
    ZARR,
    SelectionStore,
    check_selection,
)
from catalog_builder.features.cells import NOTE, CellGrid, SourceCells
from catalog_builder.features.store import FeatureWriter
from catalog_builder.ground.errors import CatalogueError, ConfigError
from catalog_builder.publish.chunk import Building, count_rows
from catalog_builder.publish.facts import ChunkFacts, read_facts, write_facts
from catalog_builder.publish.selection import SelectionSum, counted_pixels, plan_selection
from tests.unit.catalog.conftest import receipt_of

RELEASE = load_release("dr3")
ORDER = 2
GRID = CellGrid.of(RELEASE, ORDER)
LAST = 786_431  # of the pixels of order 8
LIMITS = [(0, 200_000), (200_001, 200_050), (200_051, 600_000), (600_001, LAST)]


def some_sky(count=3000):
    """Return columns of all sources, and who was asked for and published, with which tier."""
    rng = np.random.default_rng(8)
    ids = np.sort(rng.choice(12 << 26, count, replace=False).astype(np.int64)) << 33
    g = rng.choice(np.arange(10, 14, 0.125), count).astype(np.float32)
    colour = rng.choice([0.2, 0.7, 1.2], count).astype(np.float32)
    columns = {"source_id": ids, "phot_g_mean_mag": g, "phot_bp_mean_mag": g + colour}
    columns["phot_rp_mean_mag"] = g.copy()
    columns["phot_bp_mean_mag"][::40] = np.nan
    asked = rng.random(count) < (14.5 - g) / 5
    published = asked & (rng.random(count) < 0.9)
    columns["quality_tier"] = rng.integers(0, 4, count).astype(np.uint8)
    return columns, asked, published


def piece_of(root, number, columns, asked, limits, **note):
    """Write the counts of a piece of the sky as an ingest does; return its receipt."""
    counts = SourceCells(GRID)
    counts.expect(columns["source_id"][asked])
    counts.add(columns)
    made = counts.counts()
    writer = FeatureWriter(root / f"piece-{number}", 8, RELEASE.inputs)
    writer.finish({"source_id": np.empty(0, np.int64)}, {}, made.columns)
    said = {"piece": list(limits), "whole": True, "first": made.first, "digest": made.digest}
    notes = {NOTE: {**said, **note}}
    return receipt_of(f"piece-{number}", 0).model_copy(update={"stage": "ingest", "notes": notes})


def chunk_of(index, columns, tiers):
    ids, none = columns["source_id"], np.zeros(0, np.int64)
    ends = index, 0, len(ids), int(ids[0]), int(ids[-1])
    return ChunkFacts(*ends, none, none, none, {}, {}, count_rows(GRID, tiers, columns))


@pytest.fixture(scope="module")
def sky():
    return some_sky()


@pytest.fixture
def publish(tmp_path, full_schema, sky):
    """Return a function that adds up pieces and chunks, and returns the folder and the facts."""
    columns, asked, published = sky

    def made(order=(0, 1, 2, 3), chunk_rows=170, **lost):
        pixel, receipts = columns["source_id"] >> 43, []
        for number in order:
            first, last = LIMITS[number]
            mine = (pixel >= first) & (pixel <= last)
            own = {name: values[mine] for name, values in columns.items()}
            note = lost if number == 1 else {}
            receipts.append(piece_of(tmp_path, number, own, asked[mine], (first, last), **note))
        plan = plan_selection(RELEASE, receipts, full_schema, ORDER)
        rows = {name: values[published] for name, values in columns.items()}
        building = Building(tmp_path / "catalogue", full_schema, {}, published.sum(), 1, {})
        total = SelectionSum(building, plan, tmp_path)
        starts = range(0, published.sum(), chunk_rows)
        chunks = [
            chunk_of(
                k,
                {n: v[start : start + chunk_rows] for n, v in rows.items()},
                full_schema.flags.tiers,
            )
            for k, start in enumerate(starts)
        ]
        heard = total.heard(chunks.__getitem__)
        for k in (*range(len(chunks)), 0, len(chunks) - 1):  # a sample is read again
            assert heard(k) is chunks[k]
        facts = total.finish()
        made.light = total.by_light(facts)
        return building.folder, facts

    return made


def function_of(folder, facts):
    store = SelectionStore(folder / SELECTION_NAME)
    return SelectionFunction(store, subset=facts.subset, sky=facts.sky)


def contents(folder):
    return pl.read_parquet(folder / SELECTION_NAME / PARQUET)


def test_sums_are_those_of_all_sources(publish, sky):
    columns, asked, published = sky
    folder, facts = publish()
    tiers = [int((columns["quality_tier"][published] == one).sum()) for one in (1, 2, 3)]
    assert list(facts.totals.values()) == [3000, asked.sum(), published.sum(), *tiers]
    assert (facts.sky, facts.order, facts.subset) == (1.0, ORDER, False)
    table = contents(folder)
    g, colour = columns["phot_g_mean_mag"], columns["phot_bp_mean_mag"] - columns["phot_g_mean_mag"]
    here = (columns["source_id"] >> 55 == 17) & (g >= 12) & (g < 12.25)
    rows = table.filter((pl.col("healpix") == 17) & (pl.col("magnitude_low") == 12))
    for edge in (0.0, 0.5, 1.0):
        mine = here & (colour >= edge) & (colour < edge + 0.5)
        row = rows.filter(pl.col("colour_low") == edge)
        assert row["sources"].sum() == mine.sum()
        assert row["published"].sum() == (mine & published).sum()
    light, far = publish.light, GRID.magnitudes.places(np.array([12.0]))[0]
    bright = (g >= 12) & (g < 12.25)
    counted = [bright.sum(), (bright & asked).sum(), (bright & published).sum()]
    assert light.counts[far].sum(axis=0)[:3].tolist() == counted
    assert light.counts.sum(axis=(0, 1)).tolist() == list(facts.totals.values())
    nulls = here & np.isnan(colour)
    assert rows.filter(pl.col("colour_low").is_null())["sources"].sum() == nulls.sum()


def test_neither_the_order_of_pieces_nor_the_chunks_change_a_count(publish, tmp_path):
    folder, facts = publish()
    first = contents(folder)
    for number in range(4):
        (tmp_path / f"piece-{number}").rename(tmp_path / f"old-{number}")
    folder, again = publish(order=(2, 0, 3, 1), chunk_rows=999)
    assert again == facts
    assert contents(folder).equals(first)


def test_what_an_earlier_attempt_left_is_made_anew(publish, tmp_path):
    left = tmp_path / "catalogue" / SELECTION_NAME / "junk"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    folder, _ = publish()
    assert not left.exists()
    assert sorted(path.name for path in (folder / SELECTION_NAME).iterdir()) == [PARQUET, ZARR]


def test_a_pixel_that_was_not_wholly_counted_says_nothing(publish, sky):
    folder, facts = publish(whole=False)
    # Piece 1 lies in one pixel of order 2.
    lost = 200_001 >> 12
    assert facts.sky == 1 - 1 / 192
    assert lost not in contents(folder)["healpix"]
    found = function_of(folder, facts).map(12.0, order=ORDER, minimum=1)
    assert np.flatnonzero(np.isnan(found.mean)).tolist() == [lost]
    assert found.sources[lost] == 0


def test_a_receipt_from_before_there_were_counts_makes_no_selection_function(full_schema):
    assert plan_selection(RELEASE, [receipt_of("old", 3)], full_schema, ORDER) is None


def test_a_catalogue_without_the_columns_makes_none(schema, tmp_path, sky):
    columns, asked, _ = sky
    receipt = piece_of(tmp_path, 0, columns, asked, (0, LAST))
    kept = tuple(c for c in schema.all_columns if c.name != "phot_bp_mean_mag")
    other = schema.model_copy(update={"all_columns": kept})
    assert plan_selection(RELEASE, [receipt], other, ORDER) is None


@pytest.mark.parametrize("order", [0, 2, 8, 9])
def test_counted_parts_of_the_sky_are_whole_pixels(order, full_schema, tmp_path, sky):
    columns, asked, _ = sky
    limits = [(0, 70_000), (70_001, 140_000), (300_000, 300_003)]
    receipts = [
        piece_of(tmp_path, n, columns, asked, one, digest=str(n)) for n, one in enumerate(limits)
    ]
    found = counted_pixels(plan_selection(RELEASE, receipts, full_schema, order))
    counted = np.zeros(LAST + 1, bool)
    for first, last in limits:
        counted[first : last + 1] = True
    if order <= 8:
        whole = counted.reshape(12 << 2 * order, -1).all(axis=1)
    else:
        whole = np.repeat(counted, 4)
    marked = np.zeros(whole.size, bool)
    for first, last in found:
        marked[first : last + 1] = True
    assert np.array_equal(marked, whole)


def test_facts_of_a_chunk_come_back_with_their_cells(tmp_path, sky, full_schema):
    columns, _, published = sky
    rows = {name: values[published][:50] for name, values in columns.items()}
    facts = chunk_of(0, rows, full_schema.flags.tiers)
    digest = write_facts(tmp_path / "0.npz", facts)
    back = read_facts(tmp_path / "0.npz", digest)
    assert back.cells["counts"].tolist() == facts.cells["counts"].tolist()
    assert count_rows(None, (), rows) == {}


# --- what is asked of it --------------------------------------------------------------------------


def test_a_cell_with_enough_sources_answers_for_itself(publish, sky):
    columns, _, published = sky
    folder, facts = publish()
    chosen = function_of(folder, facts)
    g, colour = columns["phot_g_mean_mag"], columns["phot_bp_mean_mag"] - columns["phot_g_mean_mag"]
    found = chosen.map(12.1, 0.7, minimum=1, order=ORDER)
    mine = (g >= 12) & (g < 12.25) & (colour >= 0.5) & (colour < 1)
    pixel = columns["source_id"] >> 55
    for one in range(192):
        n = int((mine & (pixel == one)).sum())
        if n:
            assert (found.sources[one], found.order[one]) == (n, ORDER)
            assert found.selected[one] == (mine & (pixel == one) & published).sum()
    assert set(found.magnitude_width[found.order == ORDER]) == {0.25}


def test_pixels_grow_first_then_colours_then_magnitudes(publish, sky):
    columns, *_ = sky
    chosen = function_of(*publish())
    g, colour = columns["phot_g_mean_mag"], columns["phot_bp_mean_mag"] - columns["phot_g_mean_mag"]
    here = (g >= 12) & (g < 12.25)
    one, wide = (here & (colour >= low) & (colour < 1) for low in (0.5, 0.0))
    asked = {
        10: None,
        int(one.sum()): (-1, 0.25, 0.5),
        int(wide.sum()): (-1, 0.25, 1.0),
        int(here.sum()): (-1, 0.25, np.inf),
        int(((g >= 12) & (g < 12.5)).sum()): (-1, 0.5, np.inf),
        3000: (-1, np.inf, np.inf),
        10**9: (-1, np.inf, np.inf),
    }
    for minimum, cell in asked.items():
        found = chosen.probability(45.0, 20.0, 12.1, 0.7, minimum=minimum)
        assert found.sources >= min(minimum, 3000)
        if cell is not None:
            assert (found.order, found.magnitude_width, found.colour_width) == cell


def test_tiers_count_upwards(publish, sky):
    columns, asked, published = sky
    chosen = function_of(*publish())
    tier = columns["quality_tier"]
    all_of_it = {"minimum": 10**9}
    for name, rows in {
        "gold": published & (tier == 1),
        "silver": published & (tier > 0) & (tier <= 2),
        "use_with_care": published & (tier > 0),
        None: published,
        "requested": asked,
    }.items():
        found = chosen.probability(10, 10, 12.0, tier=name, **all_of_it)
        assert (found.selected, found.sources) == (rows.sum(), 3000)
    with pytest.raises(ConfigError, match="no tier 'bronze'"):
        chosen.probability(10, 10, 12.0, tier="bronze")


def test_answers_have_the_shape_of_the_question(publish):
    chosen = function_of(*publish())
    found = chosen.probability(np.zeros((2, 1)), [10.0, 20.0, np.nan], 12.0)
    assert found.mean.shape == found.order.shape == (2, 3)
    assert np.isnan(found.mean[:, 2]).all()
    assert np.isfinite(found.upper[:, :2]).all()
    with pytest.raises(ConfigError, match="beyond the poles"):
        chosen.probability(0, 91, 12)


def test_unknown_magnitudes_and_colours_are_cells_of_their_own(publish, sky):
    columns, *_ = sky
    chosen = function_of(*publish())
    nulls = np.isnan(columns["phot_bp_mean_mag"])
    here = nulls & (columns["phot_g_mean_mag"] >= 12) & (columns["phot_g_mean_mag"] < 12.25)
    found = chosen.probability(45.0, 20.0, 12.1, np.nan, minimum=int(here.sum()))
    assert (found.sources, found.colour_width) == (here.sum(), 0.5)


def test_the_interval_holds_what_it_says():
    rng = np.random.default_rng(5)
    true = rng.uniform(0, 1, 20_000)
    n = rng.integers(20, 200, true.size)
    k = rng.binomial(n, true)
    mean, lower, upper = posterior(k, n)
    assert ((lower <= true) & (true <= upper)).mean() == pytest.approx(0.683, abs=0.015)
    assert ((lower <= mean) & (mean <= upper)).all()
    mean, lower, upper = posterior(np.array([0, 30]), np.array([30, 30]))
    assert (lower[0], upper[1]) == (0.0, 1.0)
    assert mean.tolist() == pytest.approx([0.5 / 31, 30.5 / 31])


# --- what is wrong with it ------------------------------------------------------------------------


def findings(folder, facts):
    log = FindingLog()
    check_selection(folder, facts, log)
    return " ".join(map(str, log.as_list()))


def test_a_whole_one_has_no_finding(publish):
    folder, facts = publish()
    assert findings(folder, facts) == ""
    assert findings(folder.parent, None) == ""


def test_damage_is_found(publish):
    folder, facts = publish()
    more = facts.model_copy(update={"totals": {**facts.totals, "sources": 1}})
    assert "are not those of RELEASE.json" in findings(folder, more)
    table = folder / SELECTION_NAME / PARQUET
    whole = pl.read_parquet(table)
    for other, words in ((whole[1:], "are not those"), (whole[::-1], "are not those")):
        other.write_parquet(table)
        assert words in findings(folder, facts)
    table.write_bytes(b"PAR1")
    assert "cannot be read" in findings(folder, facts)
    (chunk,) = (folder / SELECTION_NAME / ZARR / "sources").glob("c/0")
    chunk.unlink()
    assert "cannot be read" in findings(folder, facts)
    (folder / SELECTION_NAME / ZARR / "zarr.json").unlink()
    assert findings(folder, facts)


def test_what_cannot_be_is_not_sealed(publish, monkeypatch):
    monkeypatch.setattr("catalog_builder.publish.selection.CODE", "cells_sources")
    with pytest.raises(CatalogueError, match="more are published than asked for"):
        publish()
