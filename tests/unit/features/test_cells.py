"""Sources counted by position, magnitude and colour, each once, whatever blocks they come in."""

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.features import cells
from catalog_builder.features.cells import CellGrid, CellSums, SourceCells
from tests.unit.features.conftest import Archive

RELEASE = load_release("dr3")
GRID = CellGrid.of(RELEASE, 3)


def sources(count, seed=1):
    """Return columns of the source table, in the order of ids, with a few nulls."""
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(12 << 26, count, replace=False).astype(np.int64)) << 33
    g = rng.uniform(8, 21, count).astype(np.float32)
    bp, rp = (g + rng.normal(shift, 0.5, count).astype(np.float32) for shift in (0.5, -0.5))
    bp[::7], g[::11] = np.nan, np.nan
    columns = {"source_id": ids, "phot_g_mean_mag": g}
    return columns | {"phot_bp_mean_mag": bp, "phot_rp_mean_mag": rp}


def counted(columns, asked, cuts, again=()):
    """Count rows that come in blocks."""
    made = SourceCells(GRID)
    made.expect(asked)
    for rows in [*np.array_split(np.arange(len(columns["source_id"])), cuts), *again]:
        made.add({name: values[rows] for name, values in columns.items()})
    return made.counts()


def by_hand(columns, asked):
    """Return sources and requested ones by pixel, bin of G and bin of the colour."""
    found = {}
    for i, g, bp, rp in zip(*columns.values(), strict=True):
        place = min(max(int((g + 5) // 0.25), 0), 139) if np.isfinite(g) else 140
        colour = bp - rp
        bin_ = min(max(int((colour + 2) // 0.5), 0), 19) if np.isfinite(colour) else 20
        cell = found.setdefault((int(i) >> 53, place, bin_), [0, 0])
        cell[0] += 1
        cell[1] += i in asked
    return found


def test_counts_are_those_of_a_loop_over_rows():
    columns = sources(400)
    asked = columns["source_id"][::3]
    made = counted(columns, asked, 7).columns
    parts = zip(*(part.tolist() for part in GRID.parts(made[cells.CODE])), strict=True)
    counts = zip(made[cells.SOURCES].tolist(), made[cells.REQUESTED].tolist(), strict=True)
    assert {cell: list(two) for cell, two in zip(parts, counts, strict=True)} == by_hand(
        columns, set(asked.tolist())
    )
    assert (np.diff(made[cells.CODE]) > 0).all()


@pytest.mark.parametrize("cuts", [1, 5, 40])
@pytest.mark.parametrize("again", [(), (np.arange(30, 90),), (np.array([3, 3, 2]),)])
def test_neither_blocks_nor_rows_that_come_again_change_a_count(cuts, again, monkeypatch):
    monkeypatch.setattr(cells, "_HELD", 64)
    columns = sources(300)
    asked = columns["source_id"][5::9]
    assert counted(columns, asked, cuts, again).digest == counted(columns, asked, 1).digest


def test_rows_in_any_order_are_counted_once():
    columns = sources(300)
    order = np.random.default_rng(2).permutation(np.repeat(np.arange(300), 2))
    mixed = {name: values[order] for name, values in columns.items()}
    asked = columns["source_id"][::4]
    assert counted(mixed, asked, 6).digest == counted(columns, asked, 1).digest


def test_the_digest_tells_who_was_asked_for_and_how_cells_are_cut():
    columns = sources(50)
    some, others = columns["source_id"][:5], columns["source_id"][:6]
    assert counted(columns, some, 1).digest != counted(columns, others, 1).digest
    finer = SourceCells(CellGrid.of(RELEASE, 4))
    finer.expect(some)
    finer.add(columns)
    assert finer.counts().digest != counted(columns, some, 1).digest


def test_an_id_without_a_pixel_is_in_no_cell():
    columns = sources(3)
    columns["source_id"] = np.array([12 << 59, 5 << 59, 13 << 59], dtype=np.int64)
    made = counted(columns, columns["source_id"], 1).columns
    assert made[cells.SOURCES].tolist() == [1]


def test_32_bits_and_64_fall_into_the_same_bin():
    values = np.array([12.1, 12.3, 0.1 + 0.2, np.nextafter(12.25, 0)])
    for dtype in (np.float32, np.float64):
        places = cells.MAGNITUDES.places(values.astype(dtype))
        assert places.tolist() == cells.MAGNITUDES.places(values.astype(np.float32)).tolist()


def test_sums_are_taken_out_in_order_and_once(monkeypatch):
    monkeypatch.setattr(cells, "_LOOSE", 5)
    rng, sums = np.random.default_rng(3), CellSums(2)
    codes, counts = rng.integers(0, 30, 200), rng.integers(0, 9, (200, 2))
    for rows in np.array_split(np.arange(200), 13):
        sums.add(codes[rows], counts[rows])
    first, second = sums.take_below(11), sums.take_below()
    assert first[0].max() < 11 <= second[0].min()
    expected = [counts[codes == code].sum(axis=0).tolist() for code in np.unique(codes)]
    assert [*first[1].tolist(), *second[1].tolist()] == expected
    assert sums.take_below()[0].size == 0


def test_what_the_source_table_lacks_is_no_axis():
    description = RELEASE.model_dump(mode="json")
    table = description["tables"]
    moved = {"source_id": table["gaia_source"]["columns"]["source_id"]}
    moved["phot_bp_mean_mag"] = table["gaia_source"]["columns"].pop("phot_bp_mean_mag")
    table["colours"] = {"folders": ["c"], "stem": "C_", "formats": ["csv"], "columns": moved}
    description["joined_tables"] = ["colours"]
    grid = CellGrid.of(type(RELEASE).model_validate(description), 7)
    assert (grid.magnitude, grid.colour) == ("phot_g_mean_mag", None)
    assert grid.parts(grid.codes(sources(1)))[2].tolist() == [grid.colours.unknown]


def test_where_ids_do_not_say_where_stars_lie_nothing_is_counted():
    rule = RELEASE.partition.model_copy(update={"layout": "anywhere"})
    assert CellGrid.of(RELEASE.model_copy(update={"partition": rule}), 7) is None


def test_an_ingest_counts_all_sources_and_those_that_were_asked_for(archive: Archive):
    result, store = archive.ingest()
    assert store.column(cells.SOURCES).sum() == 6
    # 1 and 3 have spectra; 2, 4 and 5 have rows that are of no use.
    assert store.column(cells.REQUESTED).sum() == 5
    note = result.notes[cells.NOTE]
    assert (note["piece"], note["whole"], note["first"]) == (
        [0, 9],
        True,
        store.column(cells.CODE)[0],
    )


def test_an_ingest_without_a_usable_spectrum_counts_too(archive: Archive):
    for name in ("rvs_mean_spectrum", "xp_sampled_mean_spectrum", "rave_spectra"):
        path = archive.path(name)
        path.write_text(path.read_text().splitlines()[0] + "\n")
    result, store = archive.ingest()
    assert (result.rows_out, store.column(cells.SOURCES).sum()) == (0, 6)
    assert store.column(cells.REQUESTED).sum() == 0


def test_who_is_announced_by_a_file_that_is_lost_was_asked_for(archive: Archive):
    archive.path("rvs_mean_spectrum").write_bytes(b"\x1f\x8b damaged")
    result, store = archive.ingest()
    assert result.notes["file_rejects"]
    assert store.column(cells.REQUESTED).sum() == 5


def test_sources_of_a_damaged_file_are_not_all_sources(archive: Archive):
    path = archive.path("gaia_source")
    path.write_bytes(b"\x1f\x8b damaged")
    result, _ = archive.ingest()
    assert result.notes[cells.NOTE]["whole"] is False


def test_counts_are_no_part_of_the_digest_of_the_stars(archive: Archive):
    before, _ = archive.ingest("before")
    path = archive.path("gaia_source")
    more = path.read_text().splitlines()[-1].replace("6,", "99,", 1)
    path.write_text(path.read_text() + more + "\n")
    after, store = archive.ingest("after")
    assert (after.digest, store.column(cells.SOURCES).sum()) == (before.digest, 7)
    assert after.notes[cells.NOTE]["digest"] != before.notes[cells.NOTE]["digest"]
