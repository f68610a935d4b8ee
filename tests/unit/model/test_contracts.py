"""A model of other labels and inputs than today's: made, used, saved and read by the same code."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.grids import GridSpec
from catalog_builder.contract.inputs import Band, BandsInput, Inputs, SpectrumInput
from catalog_builder.contract.labels import Labels, known_labels
from catalog_builder.ground.digests import in_order
from catalog_builder.ground.errors import ModelError
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.calibrate.factors import coordinates
from catalog_builder.model.calibrate.metrics import regime_names, regimes
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.fit.augment import swap_spectra, untell_normalisation
from catalog_builder.model.fit.member import fit_member
from catalog_builder.model.kept_back import near_ends
from catalog_builder.model.net.network import HybridNet, LineBranch, LowResolutionBranch
from catalog_builder.model.select.residual import filters_on
from catalog_builder.model.settings import MOST_WEIGHTS, ModelSettings
from catalog_builder.training.arrays import completed, signal_to_noise
from catalog_builder.training.design import Stars, design_labels
from catalog_builder.training.shapes import learnt_from

TODAY = default_contract()
LABELS, INPUTS = TODAY.labels, TODAY.inputs
#: A survey in the blue: no calcium triplet on its grid, and no column of S/N.
BLUE = SpectrumInput(
    title="blue",
    kind="lines",
    grid=GridSpec(start=480.0, step=0.05, count=400),
)
NEAR_INFRARED = BandsInput(
    title="near-infrared photometry",
    bands={name: Band(column=f"{name}_mag", title=name.upper()) for name in ("j", "h", "ks")},
    colours=(("j", "ks"), ("h", "ks")),
)

CONTRACTS = {
    "six labels": Contract(labels=Labels((*LABELS, known_labels()["mg_fe"])), inputs=INPUTS),
    "four labels": Contract(labels=Labels(LABELS[:4]), inputs=INPUTS),
    "more inputs": Contract(
        labels=LABELS,
        inputs=Inputs(
            spectra={**INPUTS.spectra, "blue": BLUE},
            photometry={**INPUTS.photometry, "near_infrared": NEAR_INFRARED},
        ),
    ),
    "without XP": Contract(
        labels=LABELS,
        inputs=Inputs(spectra={"rvs": INPUTS.spectra["rvs"]}, photometry=INPUTS.photometry),
    ),
    "bands alone": Contract(
        labels=Labels((LABELS[3], LABELS[1])),
        inputs=Inputs(photometry={"near_infrared": NEAR_INFRARED}, parallax=False),
    ),
}


@pytest.fixture(scope="module", params=CONTRACTS)
def made(request, make_sky, make_scaling, settings, tmp_path_factory):
    """A model of each contract, and the stars that it learnt from."""
    sky = make_sky(700, contract=CONTRACTS[request.param])
    folder = tmp_path_factory.mktemp("made")
    quick = settings.model_copy(update={"members": 1, "epochs": 3})
    fit_member(sky, make_scaling(sky), quick, member=0, seed=1, out=folder / "0")
    assemble([folder / "0"], sky, make_scaling(sky), quick, {}, folder / "model")
    return sky, folder / "model"


@pytest.fixture(scope="module")
def more(make_sky, make_scaling, settings, tmp_path_factory):
    """A model with a third spectrum and more magnitudes, of two members."""
    sky = make_sky(900, contract=CONTRACTS["more inputs"])
    folder = tmp_path_factory.mktemp("more")
    scaling = make_scaling(sky)
    members = [
        fit_member(sky, scaling, settings, member=member, seed=1, out=folder / str(member)).path
        for member in range(2)
    ]
    assemble(members, sky, scaling, settings, {}, folder / "model")
    return sky, folder / "model"


def first(block, stars):
    return {name: values[:stars].copy() for name, values in block.items()}


def test_a_model_of_any_contract_is_made_read_and_used(made):
    sky, model = made
    contract = sky.contract
    estimator = Estimator.load(model)
    assert estimator.contract == contract
    found = estimator.predict(first(sky.block, 150), 64)
    labels, inputs = len(contract.labels), contract.inputs
    assert found.mean.shape == found.sigma.shape == found.interval95.shape == (150, labels)
    assert found.correlation.shape == (150, labels, labels)
    assert found.inputs_used.shape == (150, len(inputs.names))
    assert found.distances.shape == (150, len(distances_of(inputs)))
    assert found.map_position.shape == (150, 2 * len(inputs.lines))
    for values in (found.mean, found.sigma, found.correlation, found.map_position):
        assert np.isfinite(values).all()
    # One member does not disagree with itself.
    tested = [name != "member_disagreement" for name in distances_of(inputs)]
    assert np.isfinite(found.distances[:, tested]).all()
    none = estimator.predict(first(sky.block, 0), 64)
    for name in found.__dataclass_fields__:
        assert getattr(none, name).shape[1:] == getattr(found, name).shape[1:]


def test_a_model_of_any_contract_does_without_any_of_its_inputs(made):
    sky, model = made
    estimator = Estimator.load(model)
    names = sky.contract.inputs.names
    whole = estimator.predict(first(sky.block, 64), 64)
    for place, name in enumerate(names) if len(names) > 1 else ():
        block = first(sky.block, 64)
        block[f"has_{name}"][:] = False
        hidden = estimator.predict(block, 64)
        assert not hidden.inputs_used[:, place].any()
        assert np.isfinite(hidden.mean).all()
        assert (hidden.mean != whole.mean).any(axis=1).all(), name
        without = estimator.predict({k: v for k, v in block.items() if name not in k}, 64)
        np.testing.assert_array_equal(without.mean, hidden.mean)
        np.testing.assert_array_equal(without.distances, hidden.distances)


def test_what_a_model_does_not_know_is_not_looked_at(made):
    sky, model = made
    estimator = Estimator.load(model)
    block = first(sky.block, 64)
    more = {**block, "has_radar": np.ones(64, bool), "radar_flux": np.full((64, 9), np.nan)}
    np.testing.assert_array_equal(
        estimator.predict(block, 64).sigma, estimator.predict(more, 64).sigma
    )


def test_weights_of_any_contract_are_counted_before_they_are_there(made):
    sky, _ = made
    with torch.device("meta"):
        network = HybridNet(ModelSettings(), sky.contract, sky.contract.inputs.names)
    numbers = sum(values.numel() for values in network.state_dict().values())
    assert ModelSettings().weights(sky.contract) == numbers


def test_a_third_spectrum_has_its_distances_and_conflicts(more):
    sky, model = more
    assert distances_of(sky.contract.inputs) == (
        "rvs_distance",
        "xp_distance",
        "blue_distance",
        "rvs_misfit",
        "blue_misfit",
        "input_conflict",
        "rvs_blue_conflict",
        "xp_blue_conflict",
        "member_disagreement",
        "rvs_map_distance",
        "blue_map_distance",
    )
    estimator = Estimator.load(model)
    assert isinstance(
        HybridNet(ModelSettings(), sky.contract, ("blue",)).branches["blue"], LineBranch
    )
    block = first(sky.block, 300)
    names = distances_of(sky.contract.inputs)
    ordinary = dict(zip(names, estimator.predict(block, 128).distances.T, strict=True))
    block["blue_flux"] = block["blue_flux"] * np.linspace(0.6, 1.4, 400, dtype=np.float32)
    bent = dict(zip(names, estimator.predict(block, 128).distances.T, strict=True))
    for name in names:
        assert np.mean(ordinary[name] > 1.0) < 0.1, name
        if name == "blue_misfit":
            assert np.mean(bent[name] > 1.0) > 0.9
        if "blue" not in name and name != "member_disagreement":
            np.testing.assert_array_equal(bent[name], ordinary[name], name)


@pytest.mark.parametrize(
    ("wrong", "right"), [("blue", "input_conflict"), ("xp", "rvs_blue_conflict")]
)
def test_a_stranger_s_spectrum_is_in_conflict_with_both_others(wrong, right, more):
    sky, model = more
    estimator = Estimator.load(model)
    names = distances_of(sky.contract.inputs)
    block = first(sky.block, 300)
    before = estimator.predict(block, 128)
    for kind in ("flux", "flux_error"):
        block[f"{wrong}_{kind}"] = np.flipud(block[f"{wrong}_{kind}"])
    after = estimator.predict(block, 128)
    conflicts = [place for place, name in enumerate(names) if name.endswith("conflict")]
    untouched = names.index(right)
    for place in conflicts:
        if place == untouched:
            np.testing.assert_array_equal(after.distances[:, place], before.distances[:, place])
        else:
            assert np.median(after.distances[:, place]) > np.median(before.distances[:, place])
    # Sigma grows where any of the three is beyond its limit, and nowhere else.
    indifferent = Estimator(estimator.networks, estimator.document).predict(block, 128)
    beyond = (after.distances[:, conflicts] > 1.0).any(axis=1)
    assert 0 < beyond.sum() < len(beyond)
    np.testing.assert_array_equal(after.sigma[~beyond], indifferent.sigma[~beyond])
    assert np.median(after.sigma[beyond] / indifferent.sigma[beyond]) > 1.0


def test_disagreement_is_measured_by_the_first_spectrum_that_a_star_has(more):
    sky, model = more
    estimator = Estimator.load(model)
    gauges = estimator._selection.gauges
    names = ["member_disagreement", "member_disagreement_without_rvs"]
    assert [name for name in gauges if name.startswith("member")] == [
        *names,
        "member_disagreement_without_rvs_xp",
    ]
    column = distances_of(sky.contract.inputs).index("member_disagreement")
    for gone, tested in ((("rvs",), True), (("rvs", "xp"), True), (("rvs", "xp", "blue"), False)):
        block = first(sky.block, 40)
        for name in gone:
            block[f"has_{name}"][:] = False
        assert np.isfinite(estimator.predict(block, 40).distances[:, column]).all() == tested


def test_a_line_spectrum_without_calcium_has_no_filter_of_emission(more):
    _, model = more
    assert filters_on(INPUTS.spectra["rvs"].grid) == ("lines", "emission", "continuum")
    assert filters_on(BLUE.grid) == ("lines", "continuum")
    selection = Estimator.load(model)._selection
    assert set(selection.filters["blue"]) == {"lines", "continuum"}
    assert selection.filters["blue"]["lines"].shape == (400, 16)
    assert selection.to_bytes() == (model / "selection.safetensors").read_bytes()


def test_a_spectrum_without_a_column_of_s_n_has_the_median_of_flux_over_error(more):
    sky, _ = more
    block = first(sky.block, 5)
    block["blue_flux"][:], block["blue_flux_error"][:] = 2.0, 0.1
    block["blue_mask"][1, 200:] = False
    block["blue_flux"][1, 200:] = 1e9
    block["blue_mask"][2] = False
    block["blue_flux_error"][3, :199] = 0.0
    found = signal_to_noise(block, "blue", sky.contract.inputs)
    np.testing.assert_allclose(found, [20.0, 20.0, np.nan, 20.0, 20.0], rtol=1e-6)


def test_brightness_is_told_by_the_first_spectrum_that_was_used(more):
    sky, _ = more
    block = first(sky.block, 4)
    block["rvs_spec_sig_to_noise"][:] = 100.0
    block["xp_flux_error"][:] = 0.01
    block["blue_flux"][:], block["blue_flux_error"][:] = 1.0, 0.1
    block["phot_g_mean_mag"][:] = 15.0
    used = np.zeros((4, 6), dtype=bool)
    used[0], used[1, 1:], used[2, 2:] = True, True, True
    found = coordinates(block, np.ones((4, 5)), np.ones((4, 5)), used, sky.contract)
    np.testing.assert_allclose(found[0][:, 0], [2.0, -2.0, 1.0, 15.0], rtol=1e-6)


def test_without_labels_of_a_role_there_is_no_such_coordinate():
    contract = CONTRACTS["bands alone"]
    block = {"j_mag": np.array([9.0])}
    used = np.ones((1, 1), dtype=bool)
    found = coordinates(block, np.ones((1, 2)), np.ones((1, 2)), used, contract)
    np.testing.assert_array_equal(found[0], [[9.0, np.nan, np.nan, 0.0, 1.0]])


def test_regimes_without_a_spectrum_of_lines_are_those_of_the_magnitude():
    contract = CONTRACTS["bands alone"]
    settings = ModelSettings(magnitude_edges=(10.0, 12.0), snr_edges=())
    names = regime_names(settings, contract.inputs)
    block = {"j_mag": np.array([9.0, 11.0, 12.0, np.nan])}
    numbers = regimes(block, np.ones((4, 1), dtype=bool), settings, contract.inputs)
    assert [names[number] for number in numbers] == [
        "j_mag < 10",
        "10 <= j_mag < 12",
        "j_mag >= 12",
        "j_mag unknown",
    ]
    assert regime_names(settings, INPUTS)[:2] == [
        "with RVS, rvs_spec_sig_to_noise known",
        "with RVS, rvs_spec_sig_to_noise unknown",
    ]


@pytest.mark.parametrize(
    ("way", "learnt", "error"), [("logarithm", np.log(4.0), 0.05), ("reciprocal", -0.25, 0.0125)]
)
def test_any_label_may_be_learnt_otherwise(
    make_sky, make_scaling, settings, tmp_path, way, learnt, error
):
    gravity = LABELS[1].model_copy(update={"learnt_as": way, "range": (0.1, 6.0)})
    contract = Contract(labels=Labels((LABELS[2], gravity)), inputs=CONTRACTS["bands alone"].inputs)
    values, errors = design_labels(np.array([[-1.0, 4.0]]), np.array([[0.1, 0.2]]), contract.labels)
    np.testing.assert_allclose(values, [[-1.0, learnt]])
    np.testing.assert_allclose(errors, [[0.1, error]])
    sky = make_sky(400, contract=contract)
    sky = replace(sky, labels=np.abs(sky.labels) + 1.0)
    scaling = make_scaling(sky)
    fit_member(sky, scaling, settings, member=0, seed=1, out=tmp_path / "0")
    assemble([tmp_path / "0"], sky, scaling, settings, {}, tmp_path / "model")
    found = Estimator.load(tmp_path / "model").predict(sky.block, 128).mean
    np.testing.assert_allclose(np.median(found[:, 1]), np.median(sky.labels[:, 1]), rtol=0.1)


def test_each_spectrum_of_lines_is_swapped_and_untold_for_itself(more):
    sky, _ = more
    stars = Stars.from_block(sky.block, sky.contract.inputs)
    generator = torch.Generator().manual_seed(1)
    swapped = swap_spectra(stars, 0.5, generator)
    other = {
        name: (swapped[f"{name}.flux"] != stars[f"{name}.flux"]).any(dim=1)
        for name in ("rvs", "xp", "blue")
    }
    assert not other["xp"].any()
    for name in ("rvs", "blue"):
        assert 0.3 < other[name].float().mean() < 0.6
    assert (other["rvs"] != other["blue"]).any()
    untold = untell_normalisation(stars, 0.5, generator)
    for name in ("rvs", "blue"):
        assert 0.3 < untold[f"{name}.class"].any(dim=1).float().mean() < 0.7


def test_networks_of_any_kind_of_spectrum_are_built_from_its_grid():
    tiny = GridSpec(start=500.0, step=1.0, count=16)
    spectra = {
        "one": SpectrumInput(title="one", kind="lines", grid=tiny),
        "two": SpectrumInput(title="two", kind="low_resolution", grid=tiny),
    }
    contract = Contract(labels=LABELS, inputs=Inputs(spectra=spectra, parallax=False))
    network = HybridNet(ModelSettings(width=8), contract, ("one", "two"))
    network.initialise(torch.Generator().manual_seed(1))
    assert isinstance(network.branches["one"], LineBranch)
    assert isinstance(network.branches["two"], LowResolutionBranch)
    assert network.whitenings()["one"].axes.shape == (16, 16)
    columns = {
        "one": torch.rand(3, 2, 16),
        "one.class": torch.zeros(3, 2),
        "two": torch.rand(3, 17),
    }
    assert network(columns, torch.ones(3, 2, dtype=torch.bool)).shape == (3, 20)


def test_names_that_torch_uses_itself_are_inputs_like_others():
    inputs = Inputs(spectra={"update": BLUE, "blue": BLUE}, parallax=False)
    contract = Contract(labels=LABELS, inputs=inputs)
    network = HybridNet(ModelSettings(), contract, ("update", "blue"))
    assert [name for name, _ in network.named_branches()] == ["update", "blue"]
    assert set(network.whitenings()) == {"update", "blue"}
    branches = {key.split(".")[1] for key in network.state_dict() if key.startswith("branches.")}
    assert branches == {"input-update", "blue"}


def test_networks_too_large_for_a_contract_are_refused_before_one_is_built():
    many = {f"s{i}": BLUE.model_copy(update={"grid": GridSpec(start=1, step=1, count=20_000)})
            for i in range(16)}  # fmt: skip
    contract = Contract(labels=LABELS, inputs=Inputs(spectra=many))
    assert 64 * ModelSettings().weights(contract) > MOST_WEIGHTS
    with pytest.raises(ModelError, match="lower members, width, depth"):
        ModelSettings(members=64).refuse_too_large(contract)
    ModelSettings().refuse_too_large(TODAY)


def test_of_many_inputs_the_subsets_near_all_and_near_none_are_calibrated():
    subsets = list(near_ends(9))
    assert len(set(subsets)) == len(subsets) == 1 + 9 + 36 + 9 + 36
    assert {sum(each) for each in subsets} == {9, 8, 7, 1, 2}


def test_words_of_a_contract_need_no_new_training():
    named = LABELS[0].model_copy(update={"title": "Temperature"})
    other = Contract(labels=Labels((named, *LABELS[1:])), inputs=INPUTS)
    assert learnt_from(other) == learnt_from(TODAY)
    learnt = LABELS[0].model_copy(update={"learnt_as": "value"})
    other = Contract(labels=Labels((learnt, *LABELS[1:])), inputs=INPUTS)
    assert learnt_from(other) != learnt_from(TODAY)
    json.dumps(learnt_from(CONTRACTS["more inputs"]))


def test_a_block_is_completed_with_what_is_absent(make_sky):
    block = first(make_sky(8).block, 8)
    assert completed(block, INPUTS) is block
    found = completed(block, CONTRACTS["more inputs"].inputs)
    assert not found["has_blue"].any()
    assert not found["has_near_infrared"].any()
    assert found["blue_flux"].shape == (8, 400)
    # One array that is not there, and the input is not.
    del block["rvs_mask"], block["rvs_spec_sig_to_noise"]
    found = completed(block, INPUTS)
    assert not found["has_rvs"].any()
    assert np.isnan(found["rvs_spec_sig_to_noise"]).all()


def hostile(model: Path, folder: Path, **changes: object) -> Path:
    """Return a copy of a model whose contract is another one."""
    copy = Path(shutil.copytree(model, folder / "copy"))
    document = json.loads((copy / "model.json").read_text())
    document["contract"] |= changes
    del document["digest"]
    said = {**document, "contract": in_order(document["contract"])}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    (copy / "model.json").write_text(json.dumps({**document, "digest": digest}))
    return copy


def test_a_contract_without_bounds_is_refused_before_anything_is_built(more, tmp_path):
    sky, model = more
    written = sky.contract.model_dump(mode="json")
    label, inputs = written["labels"][0], written["inputs"]
    bands = inputs["photometry"]["photometry"]

    def spectra(**changes: object) -> dict[str, object]:
        blue = {**inputs["spectra"]["blue"], **changes}
        return {**inputs, "spectra": {**inputs["spectra"], "blue": blue}}

    cases = {
        "labels": {"labels": [{**label, "name": f"l{i}"} for i in range(10**4)]},
        "labels ": {"labels": [label, label]},
        "labels  ": {"labels": []},
        "count": {"inputs": spectra(grid={"start": 1.0, "step": 1.0, "count": 10**6})},
        "samples": {"inputs": spectra(grid={"start": 1.0, "step": 1.0, "count": 10**15})},
        "kind": {"inputs": spectra(kind="radar")},
        "spectra": {"inputs": {**inputs, "spectra": {
            f"s{i}": inputs["spectra"]["blue"] for i in range(1000)}}},
        "photometry": {"inputs": {**inputs, "photometry": {
            f"p{i}": bands for i in range(1000)}}},
        "photometry ": {"inputs": {**inputs, "photometry": {"a": bands, "b": bands}}},
        "range": {"labels": [{**label, "range": [0.0, 1e300]}]},
        "name": {"labels": [{**label, "name": "../x"}]},
    }  # fmt: skip
    for number, (word, changes) in enumerate(cases.items()):
        (tmp_path / str(number)).mkdir()
        copy = hostile(model, tmp_path / str(number), **changes)
        with pytest.raises(ModelError, match="contract") as caught:
            Estimator.load(copy)
        assert str(copy) in caught.value.problem, word
        assert len(caught.value.problem) < 1000, word


def test_weights_do_not_fit_another_contract(more, tmp_path):
    sky, model = more
    fewer = CONTRACTS["without XP"].inputs.model_dump(mode="json")
    (tmp_path / "a").mkdir()
    with pytest.raises(ModelError, match="trained_inputs"):
        Estimator.load(hostile(model, tmp_path / "a", inputs=fewer))
    wider = sky.contract.model_dump(mode="json")["inputs"]
    wider["spectra"]["blue"]["grid"]["count"] = 416
    (tmp_path / "b").mkdir()
    with pytest.raises(ModelError, match=r"member-00.*branches\.blue"):
        Estimator.load(hostile(model, tmp_path / "b", inputs=wider))
