from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from catalog_builder.ground.errors import ModelError
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.document import read_document
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.fit.member import fit_member
from catalog_builder.model.net.packed import PackedLinear, can_pack
from catalog_builder.model.net.slices import SLICE
from catalog_builder.training.design import Split

CONTRACT = default_contract()
LABELS, MODALITIES = CONTRACT.labels.names, CONTRACT.inputs.names
SUBSETS = [s for size in range(1, 5) for s in combinations(MODALITIES, size)]


@pytest.fixture(scope="module")
def model(members, sky, scaling, settings, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    assemble(members, sky, scaling, settings, {"survey": "invented"}, out)
    return out


@pytest.fixture(scope="module")
def estimator(model) -> Estimator:
    return Estimator.load(model)


def with_inputs(block, inputs):
    stars = len(block["source_id"])
    return {**block, **{f"has_{name}": np.full(stars, name in inputs) for name in MODALITIES}}


def test_the_same_training_gives_the_same_model(members, sky, scaling, settings, model, tmp_path):
    shares = []
    again, provenance = tmp_path / "again", {"survey": "invented"}
    digest = assemble(members, sky, scaling, settings, provenance, again, shares.append)
    assert shares == sorted(set(shares))
    assert 0 < shares[0] < shares[-1] < 1
    assert digest == Estimator.load(model).digest
    for file in sorted(model.iterdir()):
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_a_model_is_never_overwritten(members, sky, scaling, settings, model):
    before = read_document(model).metrics
    assemble(members, sky, scaling, settings, {"survey": "invented"}, model)
    with pytest.raises(ModelError, match="holds another model"):
        assemble(members, sky, scaling, settings, {"survey": "another"}, model)
    assert read_document(model).metrics == before


def test_members_of_another_training_are_refused(members, sky, scaling, settings, tmp_path):
    other = settings.model_copy(update={"dropout": 0.5})
    with pytest.raises(ModelError, match="trained with another settings"):
        assemble(members, sky, scaling, other, {}, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_labels_are_learnt_and_sigma_covers(estimator, sky):
    test = sky.subset(Split.TEST)
    prediction = estimator.predict(test.block, 64)
    scatter = np.std(prediction.mean - test.labels, axis=0)
    assert (scatter < 0.9 * np.std(test.labels, axis=0)).all()
    coverage = estimator.document.metrics["as_observed"]["all"]["logg"]["coverage_68"]
    assert 0.5 < coverage < 0.85


def test_sigma_is_the_sum_of_its_parts_and_correlation_is_one(estimator, sky):
    prediction = estimator.predict(sky.block, 256)
    np.testing.assert_allclose(
        prediction.sigma**2, prediction.sigma_aleatoric**2 + prediction.sigma_epistemic**2
    )
    assert (prediction.sigma_epistemic > 0).all()
    diagonal = np.diagonal(prediction.correlation, axis1=1, axis2=2)
    np.testing.assert_allclose(diagonal, 1.0)
    assert (np.linalg.eigvalsh(prediction.correlation) > 0).all()


@pytest.mark.parametrize("inputs", SUBSETS, ids="+".join)
def test_any_subset_of_inputs_gives_labels_and_says_what_was_used(inputs, estimator, sky):
    prediction = estimator.predict(with_inputs(sky.subset(Split.TEST).block, inputs), 64)
    assert np.isfinite(prediction.mean).all()
    assert (prediction.sigma > 0).all()
    used = [name in inputs for name in MODALITIES]
    assert (prediction.inputs_used == used).all()


def test_the_fewer_inputs_the_more_of_an_answer_is_the_training_stars(estimator, sky):
    block = sky.subset(Split.TEST).block
    every = ("rvs", "xp", "photometry", "parallax")
    shown = (every, ("xp", "photometry"), ("photometry",))
    shares = [estimator.predict(with_inputs(block, inputs), 64).prior_share for inputs in shown]
    assert all(((share > 0) & (share <= 1)).all() for share in shares)
    medians = [float(np.median(share)) for share in shares]
    assert medians == sorted(medians)
    assert medians[-1] > 2 * medians[0]


def test_a_model_that_does_not_know_its_prior_gives_no_share(estimator, sky):
    older = estimator.document.model_copy(update={"label_covariance": None})
    star = {name: values[:3] for name, values in sky.block.items()}
    found = Estimator(estimator.networks, older, device="cpu").predict(star, 64)
    assert np.isnan(found.prior_share).all()
    assert np.isfinite(found.mean).all()


def test_a_star_with_nothing_gets_nothing_and_disturbs_nobody(estimator, sky):
    block = {name: values[:64].copy() for name, values in sky.block.items()}
    for name in MODALITIES:
        block[f"has_{name}"][5] = False
    prediction = estimator.predict(block, 64)
    others = np.arange(64) != 5
    for values in (prediction.mean, prediction.sigma, prediction.correlation):
        assert np.isnan(values[5]).all()
        assert np.isfinite(values[others]).all()
    assert not prediction.inputs_used[5].any()
    assert np.isnan(prediction.prior_share[5])
    assert np.isfinite(prediction.prior_share[others]).all()


def test_no_stars_give_no_rows(estimator, sky):
    prediction = estimator.predict({k: v[:0] for k, v in sky.block.items()}, 64)
    assert prediction.mean.shape == (0, 5)
    assert prediction.correlation.shape == (0, 5, 5)


def test_with_equal_batches_a_star_gets_the_same_bits(estimator, sky):
    whole = estimator.predict(sky.block, 100)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for start in (0, 300, 800):
            part = {name: values[start : start + 100] for name, values in sky.block.items()}
            alone = estimator.predict(part, 100)
            for name in ("mean", "sigma", "correlation", "prior_share"):
                expected = getattr(whole, name)[start : start + 100]
                np.testing.assert_array_equal(getattr(alone, name), expected)
    finally:
        torch.set_num_threads(threads)


def test_rare_labels_and_inputs_never_seen_are_null(make_sky, make_scaling, settings, tmp_path):
    sky = make_sky(400, rvs=False)
    labels = sky.labels.copy()
    fit = np.flatnonzero(sky.split == Split.FIT)
    labels[fit[settings.min_label_stars - 1 :], LABELS.index("m_h")] = np.nan
    data = replace(sky, labels=labels)
    scaling = make_scaling(data)
    fit_member(data, scaling, settings, member=0, seed=1, out=tmp_path / "0")
    assemble([tmp_path / "0"], data, scaling, settings, {}, tmp_path / "model")
    estimator = Estimator.load(tmp_path / "model")
    assert estimator.document.trained_inputs == ("xp", "photometry", "parallax")
    assert estimator.document.label_stars["m_h"] == settings.min_label_stars - 1
    assert set(estimator.label_range) == {"teff", "logg", "alpha_m", "fe_h"}

    full = make_sky(50, seed=9).block
    prediction = estimator.predict(full, 50)
    column = LABELS.index("m_h")
    for values in (prediction.mean, prediction.sigma, prediction.correlation):
        assert np.isnan(values[:, column]).all()
    others = [i for i in range(5) if i != column]
    assert np.isfinite(prediction.mean[:, others]).all()
    assert not prediction.inputs_used[:, 0].any()
    # A single member cannot disagree with itself.
    assert (prediction.sigma_epistemic[:, others] == 0).all()
    only_rvs = estimator.predict(with_inputs(full, ("rvs",)), 50)
    assert np.isnan(only_rvs.mean).all()


def test_the_document_says_what_the_model_knows(estimator, sky):
    document = estimator.document
    fit = sky.subset(Split.FIT)
    assert document.provenance == {"survey": "invented"}
    low, high = estimator.label_range["teff"]
    assert (low, high) == (fit.labels[:, 0].min(), fit.labels[:, 0].max())
    g = fit.block["phot_g_mean_mag"]
    assert estimator.magnitude_range == (g.min(), g.max())
    parallax = fit.block["parallax_corrected"]
    assert estimator.parallax_range == (parallax.min(), parallax.max())
    inputs = ("rvs", "xp", "photometry", "parallax")
    assert set(document.metrics) == {"as_observed", *(f"without_{name}" for name in inputs)}


@pytest.mark.parametrize("split", [Split.VALIDATION, Split.CALIBRATION, Split.TEST])
def test_stars_that_no_gradient_saw_calibrate_but_those_of_the_test_do_not(
    split, members, sky, scaling, settings, model, monkeypatch, tmp_path
):
    labels = sky.labels + 30.0 * sky.label_error * (sky.split == split)[:, None]
    other = replace(sky, labels=labels)
    digest = read_document(model).training_digest
    monkeypatch.setattr(type(sky), "digest", lambda _: digest)
    assemble(members, other, scaling, settings, {}, tmp_path / "model")
    same = read_document(tmp_path / "model").calibration == read_document(model).calibration
    assert same == (split == Split.TEST)


def test_without_rvs_stars_are_calibrated_by_magnitude(estimator, sky):
    by_regime = estimator.document.metrics["without_rvs"]["by_regime"]
    assert all(name.startswith("without RVS") for name in by_regime)
    assert len(by_regime) > 1


@pytest.mark.skipif(not can_pack(), reason="torch has no oneDNN operators here")
@pytest.mark.parametrize(
    ("batch", "shapes"),
    [(2 * SLICE, {SLICE, 2 * SLICE}), (200, {SLICE, 2 * SLICE}), (64, {SLICE})],
)
def test_layers_meet_whole_batches_or_slices_whatever_the_number_of_stars(
    batch, shapes, model, sky
):
    estimator = Estimator.load(model)
    met = set()
    for network in estimator.networks:
        for layer in network.modules():
            if isinstance(layer, PackedLinear):
                layer.register_forward_pre_hook(lambda _layer, given: met.add(given[0].shape[0]))
    for stars in (1, 77, 150, 300):
        block = {name: values[:stars] for name, values in sky.block.items()}
        assert len(estimator.predict(block, batch).mean) == stars
    assert met == shapes


class TestDamage:
    @pytest.fixture
    def copy(self, model, tmp_path) -> Path:
        return Path(shutil.copytree(model, tmp_path / "copy"))

    def refuse(self, copy: Path, match: str) -> None:
        with pytest.raises(ModelError, match=match) as caught:
            Estimator.load(copy)
        assert caught.value.way_out

    def test_one_changed_bit_of_the_weights(self, copy):
        file = copy / "member-01.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        self.refuse(copy, r"member-01\.safetensors is not the file that model\.json describes")

    def test_truncated_weights(self, copy):
        file = copy / "member-00.safetensors"
        file.write_bytes(file.read_bytes()[:-10])
        self.refuse(copy, r"member-00\.safetensors")

    def test_missing_weights(self, copy):
        (copy / "member-00.safetensors").unlink()
        self.refuse(copy, r"member-00\.safetensors")

    def test_a_changed_number_in_the_document(self, copy):
        file = copy / "model.json"
        document = json.loads(file.read_text())
        document["calibration"]["any"][0]["sigma"]["constant"] += 0.5
        file.write_text(json.dumps(document))
        self.refuse(copy, "does not match its own digest")

    def test_a_layout_of_another_program(self, copy):
        file = copy / "model.json"
        document = json.loads(file.read_text())
        file.write_text(json.dumps({**document, "format": "other"}))
        self.refuse(copy, "has the layout 'other'")
        file.write_text(json.dumps({**document, "pickle": "x"}))
        self.refuse(copy, "is not a model of this program: pickle")

    def test_no_model_at_all(self, tmp_path):
        self.refuse(tmp_path / "nowhere", r"model\.json cannot be read")

    def test_weights_of_another_network_under_a_valid_digest(self, copy, settings):
        from catalog_builder.model.document import read_document
        from catalog_builder.model.locate import MODEL_JSON

        document = read_document(copy)
        wider = document.model_copy(
            update={"settings": settings.model_copy(update={"width": 64}), "digest": ""}
        )
        sealed = wider.model_copy(update={"digest": wider.content_digest()})
        (copy / MODEL_JSON).write_bytes(sealed.to_bytes())
        self.refuse(copy, "do not fit the network of model.json")

    def test_one_changed_bit_of_the_tests(self, copy):
        file = copy / "selection.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        self.refuse(copy, r"selection\.safetensors is not the file that model\.json describes")
