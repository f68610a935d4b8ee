"""Triplet, matrices, colours, spellings and names: measured on what is known."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from catalog_builder.contract.grids import to_vacuum
from catalog_builder.inspecting.groups import Group
from catalog_builder.inspecting.ids import shifts_into
from catalog_builder.inspecting.likeness import likeness, match_names
from catalog_builder.inspecting.profile import profile_columns
from catalog_builder.inspecting.raw import read_raw
from catalog_builder.inspecting.spectra import (
    Medians,
    colour_agreement,
    share_of_broken_matrices,
)
from catalog_builder.inspecting.triplet import TRIPLET, find_grid, measure_shift


def spectra(grid, count=60, noise=0.02, velocity=0.0, seed=0):
    """Return spectra with the triplet, and a spread of velocities, km/s."""
    rng = np.random.default_rng(seed)
    shift = 1 + rng.normal(0, velocity, count) / 299_792.458
    lines = TRIPLET[None, :, None] * shift[:, None, None]
    depth = 0.6 * np.exp(-0.5 * ((grid - lines) / 0.08) ** 2).sum(axis=1)
    return 1 - depth + rng.normal(0, noise, depth.shape)


@pytest.mark.parametrize("off", [-0.2, -0.0125, 0.0, 0.006, 0.2325])
def test_a_shift_is_measured(off):
    grid = 846 + 0.025 * np.arange(961)
    shift = measure_shift(spectra(grid), grid + off)
    assert shift.nanometres == pytest.approx(off, abs=5 * shift.error)
    assert shift.error < 0.001
    assert shift.spectra == 60


def test_velocities_show_as_scatter():
    grid = 846 + 0.01 * np.arange(2401)
    assert measure_shift(spectra(grid, velocity=0.5), grid).scatter < 4
    assert measure_shift(spectra(grid, velocity=40.0), grid).scatter > 20


def test_noise_and_hot_stars_tell_nothing():
    grid = 846 + 0.025 * np.arange(961)
    noise = np.random.default_rng(1).normal(1, 0.1, (50, 961))
    assert measure_shift(noise, grid) is None
    assert find_grid(noise) is None
    assert measure_shift(np.full((20, 961), np.nan), grid) is None
    assert find_grid(np.ones((20, 961))) is None


@pytest.mark.parametrize(
    ("start", "step", "count"),
    [(846.0, 0.01, 2401), (846.0125, 0.025, 961), (841.0, 0.0375, 1000), (800.0, 0.05, 2000)],
)
def test_an_unknown_grid_is_found(start, step, count):
    found = find_grid(spectra(start + step * np.arange(count), count=20))
    # Far from the lines the start hangs on the step.
    assert found.start == pytest.approx(start, abs=0.003 if start > 840 else 0.01)
    assert found.step == pytest.approx(step, abs=1e-5)


def test_air_is_a_shift():
    grid = 846 + 0.01 * np.arange(2401)
    shift = measure_shift(spectra(to_vacuum(grid, "air")), grid)
    assert shift.nanometres == pytest.approx(-0.2354, abs=0.002)


def test_medians_of_constants_are_one():
    rng = np.random.default_rng(3)
    lines = spectra(846 + 0.025 * np.arange(961), noise=0.0)
    noisy = lines / np.median(lines, axis=1, keepdims=True) + rng.normal(0, 0.03, lines.shape)
    error = np.full(lines.shape, 0.03)
    assert Medians.of(noisy, error).at_one.mean() > 0.9
    assert Medians.of(0.95 * noisy, error).at_one.mean() == 0
    faint = Medians.of(noisy, np.full(lines.shape, 0.2))
    assert not faint.telling.any()


def test_matrices_and_their_order():
    rng = np.random.default_rng(4)
    made = rng.normal(size=(20, 12, 40))
    matrices = np.array([np.corrcoef(rows) for rows in made])
    low, up = np.tril_indices(12, -1), np.triu_indices(12, 1)
    assert share_of_broken_matrices(matrices[:, low[0], low[1]]) == 0
    strong = 0.95 ** np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    wrong = np.tile(strong[up], (5, 1))
    assert share_of_broken_matrices(np.tile(strong[low], (5, 1))) == 0
    assert share_of_broken_matrices(wrong) == 1
    assert np.isnan(share_of_broken_matrices(np.full((3, 66), np.nan)))


def test_bands_and_their_magnitudes():
    rng = np.random.default_rng(5)
    colour = rng.uniform(0, 2, 50)
    blue = 10 ** (-0.4 * colour)[:, None] * np.ones((1, 5))
    red = np.ones((50, 5))
    assert colour_agreement(blue, red, colour) == (pytest.approx(1.0), 50)
    assert colour_agreement(red, blue, colour)[0] == pytest.approx(-1.0)
    assert np.isnan(colour_agreement(red, red, colour)[0])


def test_names_of_the_same():
    assert likeness("source_id", "SOURCE_ID") == 1.0
    assert likeness("parallax_error", "e_parallax") > 0.9
    assert likeness("phot_g_mean_mag", "g_mag") > 0.75
    names = ["g_mag", "bp_mag", "teff"]
    every = {name: set(names) for name in ("phot_bp_mean_mag", "phot_g_mean_mag")}
    found = match_names({name: (name,) for name in every}, names, every, {})
    assert {name: each.name for name, each in found.items()} == {
        "phot_g_mean_mag": "g_mag",
        "phot_bp_mean_mag": "bp_mag",
    }


def test_shifts_of_ids():
    ids = np.arange(5000, 5040, dtype=np.int64) << 43
    assert shifts_into(ids, 5000, 5039) == [43]
    anywhere = np.random.default_rng(6).integers(1 << 40, 1 << 62, 500)
    assert shifts_into(anywhere, 10, 20) == []


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("000000-003111", r"(?P<start>\d{6})-(?P<stop>\d{6})"),
        ("12_to_34", r"(?P<start>\d{2})_to_(?P<stop>\d{2})"),
        ("0017", r"(?=(?P<stop>\d{4}))(?P<start>\d{4})"),
        ("", None),
    ],
)
def test_patterns_of_ranges(name, pattern):
    group = Group("a", "b_", "csv", {f"a/b_{name}.csv": 1}, [name])
    assert group.pattern == pattern


def test_files_of_every_format_say_the_same(tmp_path):
    flux = np.arange(12, dtype="f4").reshape(4, 3)
    flux[1, 1] = np.nan
    table = Table(
        {"id": np.arange(4) + 10**12, "flux": flux, "name": list("abba"), "on": [True, False] * 2}
    )
    table.write(tmp_path / "a.fits")
    lists = pa.array([None, *flux[1:].tolist()], pa.list_(pa.float32()))
    pq.write_table(
        pa.table({"id": table["id"], "flux": lists, "name": list("abba"), "on": table["on"]}),
        tmp_path / "a.parquet",
    )
    rows = "\n".join(
        f'{i},"[{",".join(map(str, f))}]",{n},{o}'
        for i, f, n, o in zip(*(table[name].tolist() for name in table.colnames), strict=True)
    )
    (tmp_path / "a.csv").write_text(f"id,flux,name,on\n{rows}\n")
    for ending in ("fits", "parquet", "csv"):
        raw = read_raw(str(tmp_path / f"a.{ending}"), 10)
        found = profile_columns(raw)
        assert (raw.rows, raw.names) == (4, ["id", "flux", "name", "on"])
        kinds = [profile.kind for profile in found.values()]
        assert kinds == ["integer", "array", "text", "boolean"], ending
        assert found["flux"].length == 3
        assert found["name"].values == {"a": 2, "b": 2}


def test_words_among_numbers_are_nulls_and_damage_is_not(tmp_path):
    cells = ["1.5", "-", "MISSING", "MISSING", "MISSING", "5#", "2.5", "3.5"]
    lines = [f"{cell},{'MISSING'}" for cell in cells]
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *lines]) + "\n")
    found = profile_columns(read_raw(str(tmp_path / "a.csv"), 100))
    assert found["x"].null_spellings == {"-": 1, "MISSING": 3}
    assert (found["x"].kind, found["y"].kind) == ("float", "empty")
