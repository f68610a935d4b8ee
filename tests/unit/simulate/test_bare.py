"""Sources without spectra: among the others, which stay what they are; their chance is true."""

import gzip

import numpy as np
import polars as pl
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.simulate.population import bare, census
from catalog_builder.simulate.population.truth import stars_drawn
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.sky import plan_sky, simulate
from catalog_builder.simulate.writing.bare import CHANCE

RELEASE = load_release("dr3")
STARS, BARE, SEED = 120, 600, 4


@pytest.fixture(scope="module")
def skies(tmp_path_factory):
    """Return the folder of a sky without such sources, and of one with them."""
    folder = tmp_path_factory.mktemp("skies")
    simulate("dr3", STARS, SEED, folder / "alone")
    made = simulate("dr3", STARS, SEED, folder / "among", without_spectra=BARE)
    return folder / "alone", folder / "among", made


def rows_of(sky):
    """Return the lines of the source table by file, without the header."""
    files = sorted(sky.glob("gdr3/gaia_source/*.csv.gz"))
    texts = [gzip.decompress(file.read_bytes()).decode() for file in files]
    return [[line for line in text.splitlines() if line[0].isdigit()] for text in texts]


def test_everything_else_is_what_it_is_without_them(skies):
    alone, among, _ = skies
    for file in sorted(alone.rglob("*")):
        name = file.relative_to(alone).as_posix()
        if file.is_dir() or "gaia_source" in name or "json" in name or "truth" in name:
            continue
        assert file.read_bytes() == (among / name).read_bytes(), name
    for before, after in zip(rows_of(alone), rows_of(among), strict=True):
        assert set(before) < set(after)
    truth = read_truth(among / "truth")
    assert truth.drop(CHANCE).equals(read_truth(alone / "truth"))


def test_they_are_in_the_order_of_ids_and_have_no_spectrum(skies):
    _, among, made = skies
    assert made.rows["gaia_source"] == pytest.approx(STARS + BARE, abs=3)
    assert made.stars == STARS
    header = "solution_id"
    for lines, file in zip(
        rows_of(among), sorted(among.glob("gdr3/gaia_source/*.gz")), strict=True
    ):
        text = gzip.decompress(file.read_bytes()).decode()
        (names,) = (line for line in text.splitlines() if line.startswith(header))
        table = pl.read_csv(("\n".join([names, *lines])).encode(), null_values="null")
        ids = table["source_id"].to_numpy()
        assert (np.diff(ids) > 0).all()
        mine = table.filter(pl.Series((ids >> 34) & 1 == 1))
        assert len(mine) > 20
        for name in ("has_rvs", "has_xp_continuous", "has_xp_sampled"):
            assert not mine[name].cast(pl.Utf8).str.to_lowercase().str.contains("true").any()
        assert mine["phot_g_mean_mag"].is_not_null().all()
        assert mine["grvs_mag"].is_null().all()


def test_the_truth_says_who_they_are_and_by_which_rule(skies):
    _, among, _ = skies
    told = pl.read_parquet(among / "truth" / "without_spectra_*.parquet")
    assert len(told) == pytest.approx(BARE, abs=3)
    assert told["phot_g_mean_mag"].max() > 19.0
    assert told[CHANCE].is_between(0, 1).all()
    about = (among / "truth" / "about.json").read_text()
    assert "chance_of_spectra" in about


def test_chances_add_up_to_the_stars_that_have_spectra():
    """By distance and by brightness, on draws that cost no spectrum."""
    ranges = census.partition_ranges(6, 8)
    share, counts = bare.plan_bare(RELEASE, ranges, [2000] * 6, 60_000)
    first, last = ranges[2]
    rng = np.random.default_rng(9)
    seen, theirs = stars_drawn(rng, RELEASE, first, last, 2000)
    others, magnitudes = bare.draw_bare(rng, RELEASE, first, last, counts[2])
    chances = [
        bare.chance_of_spectra(star, magnitude, RELEASE, share)
        for star, magnitude in ((seen, theirs), (others, magnitudes))
    ]
    assert (chances[0] > 0).mean() > 0.995
    for edges, values in (
        ([0, 0.5, 1, 2, 4, 20], [seen.distance, others.distance]),
        ([-5, 0, 1, 2, 4, 6, 10], [theirs, magnitudes]),
    ):
        true = np.histogram(values[0], edges)[0]
        both = [np.histogram(v, edges, weights=c)[0] for v, c in zip(values, chances, strict=True)]
        squares = [
            np.histogram(v, edges, weights=c * (1 - c))[0]
            for v, c in zip(values, chances, strict=True)
        ]
        off = (true - sum(both)) / np.sqrt(sum(squares) + 1)
        assert (np.abs(off) < 4).all(), off
    # That this could fail: with another share they do not.
    wrong = bare.chance_of_spectra(seen, theirs, RELEASE, 2 * share).sum()
    wrong += bare.chance_of_spectra(others, magnitudes, RELEASE, 2 * share).sum()
    assert wrong < 1900 < chances[0].sum() + chances[1].sum()


def test_plans_share_them_out_as_the_galaxy_does(tmp_path):
    plans = plan_sky("dr3", 1200, 1, tmp_path, without_spectra=5000)
    counts = [plan.bare[0] for plan in plans]
    assert sum(counts) == pytest.approx(5000, abs=3)
    assert max(counts) > 2 * min(counts)
    assert {plan.bare for plan in plan_sky("dr3", 1200, 1, tmp_path)} == {(0, 0.0)}
