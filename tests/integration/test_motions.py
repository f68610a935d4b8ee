"""From the archive to the sealed catalogue: what is carried, and what follows from it."""

from __future__ import annotations

import json

import numpy as np

from catalog_builder import open_catalog
from catalog_builder.galaxy.motions import MOTION, NEEDED, VELOCITIES
from catalog_builder.galaxy.settings import GalaxySettings
from catalog_builder.simulate.score import read_truth
from tests.integration.conftest import sealed


def test_motions_go_all_the_way(finished, archive):
    (catalogue,) = sealed(finished)
    made = open_catalog(catalogue)
    sun = json.loads((catalogue / "RELEASE.json").read_text())["sun"]
    assert GalaxySettings(**sun) == GalaxySettings()
    truth = read_truth(archive / "truth").sort("source_id")
    row = np.searchsorted(truth["source_id"], made.source_id.values)
    for name in ("pmra", "pmdec", "radial_velocity"):
        off = made[name].values - truth[f"true_{name}"].to_numpy()[row]
        pulls = off / made[f"{name}_error"].values
        assert np.isfinite(pulls).mean() > 0.8, name
        assert 0.9 < np.nanstd(pulls) < 1.1, name
    known = np.all([np.isfinite(made[name].values) for name in (*NEEDED, "distance")], axis=0)
    for name in MOTION:
        np.testing.assert_array_equal(np.isfinite(made[name].values), known)
    # Of the simulator's Sun, 80 pc farther out; it turns v_R and v_phi of distant stars.
    name = VELOCITIES[2]
    true = truth[name].to_numpy()[row]
    inside = (made[f"{name}_lower"].values < true) & (true < made[f"{name}_upper"].values)
    assert 0.6 < inside[known].mean() < 0.76
    errors = made.phot_g_mean_mag_error.values
    assert np.nanmedian(errors) < 0.01
    assert np.isfinite(made.random_index.values).mean() > 0.95
