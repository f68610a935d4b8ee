"""GaiaXPy, where it is installed, reads simulated coefficients and gives back the spectra."""

from __future__ import annotations

import gzip
from dataclasses import fields

import numpy as np
import polars as pl
import pytest

from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.instruments import observed, photometry
from catalog_builder.simulate.population import stars
from catalog_builder.simulate.population.truth import Stars
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.sky import simulate


@pytest.mark.filterwarnings("ignore")
def test_calibrated_spectra_match_the_energy_distributions(tmp_path):
    gaiaxpy = pytest.importorskip("gaiaxpy")
    out = tmp_path / "sky"
    simulate("dr3", 600, 0, out)
    folder = out / "gdr3/Spectroscopy/xp_continuous_mean_spectrum"
    # The second and third range hold the damaged cells.
    source = sorted(folder.glob("*.csv.gz"))[0]
    text = tmp_path / "XpContinuous.ecsv"
    text.write_bytes(gzip.decompress(source.read_bytes()))
    spectra, wavelength = gaiaxpy.calibrate(str(text), save_file=False)

    bright = read_truth(out / "truth").filter(
        pl.col("source_id").is_in(spectra["source_id"].tolist())
        & (pl.col("anomaly") == "")
        & ~pl.col("wart").str.contains("missing_bp")
        & (pl.col("phot_g_mean_mag") < 13.0)
    )
    star = Stars(**{field.name: bright[field.name].to_numpy() for field in fields(Stars)})
    ln_flux, _ = observed.surface_spectra(star)
    radius = stars.radius(star.mass, star.logg)
    flux = photometry.received(ln_flux, radius, star.distance, star.a_0)
    expected = photometry.sampled_flux(flux, emulator.load().sed_wavelength)
    found = dict(zip(spectra["source_id"], spectra["flux"], strict=True))
    measured = np.array([found[one] for one in star.source_id])
    inside = (wavelength >= 400.0) & (wavelength <= 900.0)
    rms = np.sqrt(np.mean((measured[:, inside] / expected[:, inside] - 1.0) ** 2, axis=1))
    assert len(rms) > 30
    assert np.median(rms) < 0.02
    assert np.percentile(rms, 90) < 0.03
