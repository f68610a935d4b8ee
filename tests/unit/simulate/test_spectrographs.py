"""Skies of other spectrographs: their own layout, stars like a survey's, faults of their own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from astropy.io import fits

from catalog_builder.archive.identifiers import keys_of
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.marks import KEYWORD
from catalog_builder.archive.release import load_release
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import FeatureStore
from catalog_builder.simulate.grid import emulator, wide
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.simulation import Between, Simulation, simulation_of
from catalog_builder.simulate.sky import simulate
from catalog_builder.simulate.writing import beside, partition

STARS = 150


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    out = tmp_path_factory.mktemp("rave") / "sky"
    simulate("rave-dr6", STARS, 2, out)
    return out


def rows(sky, pattern):
    files = sorted((sky / "rave_dr6").glob(pattern))
    assert all(fits.getheader(file, 1)[KEYWORD] for file in files)
    return np.concatenate([fits.getdata(file) for file in files])


def test_rows_are_joined_by_words_and_the_truth_has_their_keys(sky):
    stars, spectra = rows(sky, "parameters/*.fits"), rows(sky, "spectra/*/*.fits")
    truth = read_truth(sky / "truth")
    assert sorted(keys_of(stars["obsid"])) == sorted(truth["source_id"])
    assert set(spectra["obsid"]) <= set(stars["obsid"])
    assert len(set(stars["obsid"])) == len(stars) > STARS
    # Some stars are observed twice: one place, one brightness, two spectra.
    names, count = np.unique(stars["raveid"], return_counts=True)
    again = names[count == 2]
    assert 0.03 < len(again) / STARS < 0.25
    for name in again:
        mine = stars[stars["raveid"] == name]
        for column in ("ra", "parallax", "phot_g_mean_mag", "j_mag"):
            assert mine[column][0] == mine[column][1] or np.isnan(mine[column]).all()
    flux = spectra["flux"][spectra["raveid"] == again[0]]
    assert len(flux) < 2 or not np.array_equal(flux[0], flux[1])
    assert ((spectra["snr"] > 20) & (spectra["snr"] < 100)).all()


def test_a_header_says_what_the_samples_are(sky):
    header = fits.getheader(next(sky.glob("rave_dr6/spectra/*/*.fits")), 1)
    told = [header[key] for key in ("WAVEMIN", "WAVESTEP", "WAVEUNIT", "WAVEMED", "RESOLUT")]
    assert told == [842.03, 0.04, "nm", "air", 7500]


def test_a_cell_is_damaged_and_a_file_is_missing_and_the_truth_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(partition, "BLOCK", 8)
    simulate("rave-dr6", 90, 2, tmp_path / "sky")
    spectra = rows(tmp_path / "sky", "spectra/*/*.fits")
    stars = rows(tmp_path / "sky", "parameters/*.fits")
    truth = read_truth(tmp_path / "sky" / "truth")
    bad = spectra["obsid"][np.isnan(spectra["flux"]).all(axis=1)]
    told = truth.filter(pl.col("wart").str.contains("corrupt_spectra_flux"))["source_id"]
    assert keys_of(bad).tolist() == told.to_list()
    assert len(bad) == 1
    lost = truth.filter(pl.col("wart").str.contains("missing_file_spectra"))["source_id"]
    assert len(lost) > 0
    assert not set(lost) & set(keys_of(spectra["obsid"]).tolist())
    assert set(lost) <= set(keys_of(stars["obsid"]).tolist())


@pytest.mark.parametrize("seed", range(4))
def test_the_marked_stars_are_those_whose_file_is_missing(tmp_path, monkeypatch, seed):
    """Where the last block had no spectrum, another block's file went, and no star was marked."""
    half = Simulation.model_validate({"spectra": {"rave": {"share": 0.5}}, "labelled": 0.5})
    monkeypatch.setattr(beside, "simulation_of", lambda _: half)
    monkeypatch.setattr(partition, "BLOCK", 1)
    for folder in ("truth", "apogee/.parts"):
        (tmp_path / folder).mkdir(parents=True)
    plan = partition.PartitionPlan(
        "rave-dr6", "apogee-dr17-rave", seed, 0, 0, 4096, 6, 0.5, str(tmp_path), ("spectra",)
    )
    receipt = partition.simulate_partition(plan)
    truth = pl.read_parquet(tmp_path / "truth/*.parquet")
    lost = truth["wart"].str.contains("missing_file_spectra")
    files = list((tmp_path / "rave_dr6").glob("spectra/*/*.fits"))
    assert len(files) == receipt.rows["spectra"] == (truth["has_rave"] & ~lost).sum()
    assert files
    assert lost.to_list()[:-1] == [False] * (len(lost) - 1)


def test_labels_come_by_a_crossmatch(sky):
    labels = fits.getdata(sky / "apogee/allStar-dr17-synspec_rev1.fits")
    pairs = fits.getdata(sky / "apogee/rave_x_apogee.fits")
    assert set(labels["APOGEE_ID"].tolist()) == set(pairs["APOGEE_ID"].tolist())
    stars = rows(sky, "parameters/*.fits")["raveid"].astype(str)
    assert set(pairs["raveid"].tolist()) <= set(stars.tolist())
    assert {"SI_FE", "AL_FE", "MG_FE", "NI_FE"} <= set(labels.dtype.names)
    truth = read_truth(sky / "truth")
    assert truth["in_apogee"].sum() >= len(pairs)


def test_what_is_simulated_is_ingested(sky, tmp_path):
    release = load_release("rave-dr6")
    (partition,) = list_partitions(str(sky), release)
    ingest_partition(partition, release, IngestSettings(), tmp_path / "features")
    store = FeatureStore(tmp_path / "features")
    whole = np.isfinite(rows(sky, "spectra/*/*.fits")["flux"]).all(axis=1)
    assert len(store) == whole.sum() == len(whole) - 1
    median = np.median(store.read(slice(None))["rave_flux"])
    assert 0.93 < median < 1.0


def test_stars_are_like_the_sample():
    like = simulation_of("rave-dr6").population
    drawn = like.labels(np.random.default_rng(1), 4000)
    # Of the real stars that the mixture was made of.
    assert np.quantile(drawn["teff"], [0.25, 0.5, 0.75]) == pytest.approx(
        [4613, 4890, 5812], abs=60
    )
    assert np.quantile(drawn["logg"], [0.25, 0.75]) == pytest.approx([2.38, 4.21], abs=0.1)
    assert np.quantile(drawn["m_h"], [0.05, 0.5]) == pytest.approx([-0.63, -0.10], abs=0.05)
    assert np.quantile(drawn["alpha_m"], [0.5, 0.95]) == pytest.approx([0.027, 0.226], abs=0.02)
    assert np.median(drawn["fe_h"] - drawn["m_h"]) == pytest.approx(-0.01, abs=0.005)
    g = like.brightness(np.random.default_rng(1), 1000)
    assert (np.diff(np.quantile(g, [0.05, 0.5, 0.95])) > 0.8).all()


def test_alphas_may_be_apart_from_metallicities(tmp_path):
    tied, untied = (tmp_path / name for name in ("tied", "untied"))
    simulate("rave-dr6", 90, 2, tied)
    simulate("rave-dr6", 90, 2, untied, untied=True)
    made = [read_truth(sky / "truth").filter(pl.col("m_h").is_not_nan()) for sky in (tied, untied)]
    correlation = [float(np.corrcoef(one["m_h"], one["alpha_m"])[0, 1]) for one in made]
    assert correlation[0] < -0.4
    assert abs(correlation[1]) < 0.3


def test_arms_of_flux_are_normalised_at_ingest_and_may_be_absent(tmp_path):
    simulate("4most-lrs", 90, 2, tmp_path / "sky")
    release = load_release("4most-lrs")
    (partition,) = list_partitions(str(tmp_path / "sky"), release)
    ingest_partition(partition, release, IngestSettings(), tmp_path / "features")
    block = FeatureStore(tmp_path / "features").read(slice(None))
    pairs = fits.getdata(tmp_path / "sky/apogee/4most_x_apogee.fits")
    assert np.isin(keys_of(pairs["object_id"]), block["source_id"]).mean() > 0.9
    arms = np.column_stack([block[f"has_{arm}"] for arm in ("blue", "green", "red")])
    assert arms.any(axis=1).all()
    assert 0.85 < arms.mean() < 1.0
    for arm in ("green", "red"):
        seen = block[f"{arm}_mask"]
        assert 0.9 < np.median(block[f"{arm}_flux"][seen]) < 1.02
        assert not seen[~block[f"has_{arm}"]].any()
    # The triplet's deepest line, in vacuum.
    grid = release.spectra["red"].model_grid.nanometres()
    depth = np.median(block["red_flux"][block["has_red"]], axis=0)
    lines = (grid > 840) & (grid < 880)
    deepest = grid[lines][depth[lines].argmin()]
    assert min(abs(deepest - 854.44), abs(deepest - 866.45)) < 0.1


def test_both_grids_show_the_same_stars():
    labels = np.array([[4800.0, 2.5, -0.3, 0.1], [5800.0, 4.4, 0.1, 0.0]])
    model = wide.load()
    sharp = model.normalised(labels).astype(float)
    assert model.wavelength[0] == 840.0
    # Broadened to Gaia's resolving power they are Gaia's spectra.
    from catalog_builder.simulate.grid.line_profiles import SPEED_OF_LIGHT, convolve_velocity

    width = SPEED_OF_LIGHT / 2.3548 * np.sqrt(11_500.0**-2 - model.resolution**-2)
    step = 0.01 / np.median(model.wavelength)
    broad = 1 - convolve_velocity(1 - sharp, step, np.full(2, width))
    gaia = emulator.load()
    at = np.searchsorted(model.wavelength, gaia.rvs_wavelength - 1e-6)
    inner = slice(100, -100)
    assert np.abs(broad[:, at] - gaia.rvs(labels))[:, inner].max() < 0.02


def test_limits_of_noise_are_kept():
    rule = Between(least=20.0, most=100.0, middle=11.0)
    g = np.repeat([9.0, 11.0, 13.0], 500)
    made = rule.of(g, np.random.default_rng(1).standard_normal(1500)).reshape(3, -1)
    assert made.min() >= 20
    assert made.max() <= 100
    assert (np.diff(np.median(made, axis=1)) < 0).all()
