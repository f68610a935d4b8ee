from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.contract.distances import distances_of
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.select.selection import Selection

INPUTS = default_contract().inputs
DISTANCES = distances_of(INPUTS)


@pytest.fixture(scope="module")
def model(members, sky, scaling, settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "model"
    assemble(members, sky, scaling, settings, {}, out)
    return out


@pytest.fixture(scope="module")
def estimator(model) -> Estimator:
    return Estimator.load(model)


def measured(estimator, block) -> dict[str, np.ndarray]:
    return dict(zip(DISTANCES, estimator.predict(block, 128).distances.T, strict=True))


def spoilt(make_sky, **changes):
    """Return stars of another sky with some of their arrays changed by functions."""
    block = dict(make_sky(400, seed=5).block)
    for name, change in changes.items():
        block[name] = change(block[name].copy())
    return block


def test_ordinary_stars_are_seldom_beyond_a_limit(estimator, make_sky):
    for name, values in measured(estimator, make_sky(1500, seed=4).block).items():
        assert np.isfinite(values).all(), name
        assert (values >= 0).all()
        assert np.mean(values > 1.0) < 0.05, name


def spikes(flux):
    flux[:, 100:800:90] += 1.0
    return flux


def bend(flux):
    return flux * np.linspace(0.7, 1.3, flux.shape[1], dtype=np.float32)


def foreign(flux):
    return 1.0 + np.random.default_rng(1).normal(size=flux.shape).astype(np.float32) * 0.3


@pytest.mark.parametrize("change", [spikes, bend, foreign])
def test_spoilt_rvs_spectra_are_beyond(change, estimator, make_sky):
    found = measured(estimator, spoilt(make_sky, rvs_flux=change))
    assert np.mean(found["rvs_misfit"] > 1.0) > 0.95
    assert np.mean(found["xp_distance"] > 1.0) < 0.05


def test_a_foreign_xp_spectrum_is_far(estimator, make_sky):
    found = measured(estimator, spoilt(make_sky, xp_flux=foreign))
    assert np.mean(found["xp_distance"] > 1.0) > 0.95
    assert np.mean(found["rvs_distance"] > 1.0) < 0.05


def test_spectra_of_two_stars_contradict_each_other(estimator, make_sky):
    ordinary = measured(estimator, make_sky(400, seed=5).block)["input_conflict"]
    # The RVS spectrum of another star: nothing is wrong with either.
    swapped = measured(estimator, spoilt(make_sky, rvs_flux=np.flipud))["input_conflict"]
    assert np.median(swapped) > np.median(ordinary)
    assert np.mean(swapped > 1.0) > np.mean(ordinary > 1.0)


def test_sigma_grows_where_spectra_contradict_each_other_and_nowhere_else(estimator, make_sky):
    block = spoilt(make_sky, rvs_flux=np.flipud)
    indifferent = Estimator(estimator.networks, estimator.document)
    found, without = estimator.predict(block, 128), indifferent.predict(block, 128)
    np.testing.assert_array_equal(found.mean, without.mean)
    beyond = found.distances[:, DISTANCES.index("input_conflict")] > 1.0
    assert beyond.any()
    assert not beyond.all()
    for name in ("sigma", "sigma_aleatoric", "sigma_epistemic", "interval95", "correlation"):
        np.testing.assert_array_equal(
            getattr(found, name)[~beyond], getattr(without, name)[~beyond], name
        )
    np.testing.assert_array_equal(found.sigma_aleatoric, without.sigma_aleatoric)
    for name in ("sigma_epistemic", "interval95"):
        grown = getattr(found, name)[beyond] / getattr(without, name)[beyond]
        assert (grown > 1.0 - 1e-12).all(), name
        assert np.median(grown) > 1.1
    np.testing.assert_allclose(np.hypot(found.sigma_aleatoric, found.sigma_epistemic), found.sigma)
    eigenvalues = np.linalg.eigvalsh(found.correlation)
    assert (eigenvalues > -1e-9).all()


def test_absent_inputs_are_not_tested(estimator, make_sky):
    block = dict(make_sky(60, seed=6).block)
    block["has_rvs"], block["has_xp"] = np.arange(60) % 2 == 0, np.arange(60) % 3 == 0
    found = measured(estimator, block)
    rvs, xp = block["has_rvs"], block["has_xp"]
    expected = {"rvs_distance": rvs, "rvs_misfit": rvs, "rvs_map_distance": rvs, "xp_distance": xp}
    expected |= {"input_conflict": rvs & xp, "member_disagreement": rvs | xp}
    for name, tested in expected.items():
        np.testing.assert_array_equal(np.isfinite(found[name]), tested, name)


def test_what_is_saved_is_what_is_read(model, tmp_path):
    selection = Selection.load(model / "selection.safetensors", INPUTS)
    assert selection.to_bytes() == (model / "selection.safetensors").read_bytes()


def test_too_few_stars_make_no_test(members, make_sky, scaling, settings):
    from catalog_builder.model.net.answers import Contradictions
    from catalog_builder.model.select.fit import fit_spaces, limited, statistics_of

    data = make_sky(60, seed=8)

    def answers(block):
        stars = len(block["source_id"])
        return Contradictions(np.ones((stars, 1)), np.ones(stars))

    spaces = fit_spaces(data, settings)
    seen = statistics_of(spaces, answers, data.block, settings)
    selection = limited(spaces, seen, [seen], settings)
    assert not selection.places
    assert not selection.gauges
