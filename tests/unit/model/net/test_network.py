from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from catalog_builder.ground.errors import ModelError
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.fit.augment import (
    add_noise,
    hide_inputs,
    swap_spectra,
    untell_normalisation,
)
from catalog_builder.model.net.layers import FlatConvolution
from catalog_builder.model.net.network import HybridNet
from catalog_builder.training.design import Stars, asinh, network_columns

CONTRACT = default_contract()
INPUTS, MODALITIES = CONTRACT.inputs, CONTRACT.inputs.names
SUBSETS = [s for size in range(1, 5) for s in combinations(MODALITIES, size)]


def build(settings, inputs) -> HybridNet:
    network = HybridNet(settings, CONTRACT, inputs)
    network.initialise(torch.Generator().manual_seed(0))
    return network


@pytest.mark.parametrize("inputs", SUBSETS, ids="+".join)
def test_any_subset_of_inputs_can_be_built_and_used(inputs, sky, scaling, settings):
    network = build(settings, inputs)
    stars = Stars.from_block(sky.block, INPUTS).take(slice(0, 8))
    output = network(network_columns(stars, scaling, inputs), stars.present)
    assert output.shape == (8, CONTRACT.outputs)
    assert torch.isfinite(output).all()


def test_absent_inputs_have_no_influence(sky, scaling, settings):
    network = build(settings, MODALITIES)
    stars = Stars.from_block(sky.block, INPUTS).take(slice(0, 64))
    present = torch.rand(64, 4, generator=torch.Generator().manual_seed(1)) < 0.5
    columns = network_columns(stars, scaling, MODALITIES)
    noisy = {name: values.clone() for name, values in columns.items()}
    owners = {"rvs": 0, "rvs.class": 0, "xp": 1, "photometry": 2, "parallax": 3}
    for name, owner in owners.items():
        noisy[name][~present[:, owner]] += 100.0
    noisy["luminosity"][~(present[:, 2] & present[:, 3])] += 100.0
    assert torch.equal(network(columns, present), network(noisy, present))


def test_every_present_input_has_influence(sky, scaling, settings):
    network = build(settings, MODALITIES)
    stars = Stars.from_block(sky.block, INPUTS).take(slice(0, 16))
    present = torch.ones(16, 4, dtype=torch.bool)
    columns = network_columns(stars, scaling, MODALITIES)
    for whitening in network.whitenings().values():
        whitening.axes.fill_(1e-3)
    before = network(columns, present)
    for name, values in columns.items():
        after = network({**columns, name: values + 0.5}, present)
        assert (after != before).any(dim=1).all(), name


@pytest.mark.parametrize("shown", ["rvs", "xp"])
def test_an_answer_from_one_embedding_is_that_of_a_star_with_one_input(
    shown, sky, scaling, settings
):
    network = build(settings, MODALITIES)
    stars = Stars.from_block(sky.block, INPUTS).take(slice(0, 16))
    columns = network_columns(stars, scaling, MODALITIES)
    embedded = network.embed(columns, torch.ones(16, 4, dtype=torch.bool))
    usable = torch.tensor([name == shown for name in MODALITIES]).expand(16, 4)
    alone = network.answer({shown: embedded[shown]}, usable)
    torch.testing.assert_close(alone, network(columns, usable))


def test_a_network_without_inputs_is_refused(settings):
    with pytest.raises(ModelError, match="cannot be built for the inputs"):
        HybridNet(settings, CONTRACT, ())


def test_hidden_inputs_leave_every_star_at_least_one(sky):
    stars = Stars.from_block(sky.block, INPUTS)
    inputs = ("xp", "photometry", "parallax")
    hidden = hide_inputs(stars, inputs, 1.0, torch.Generator().manual_seed(2)).present
    assert not hidden[:, 0].any()
    assert hidden.any(dim=1).all()
    # All seven subsets of three inputs occur.
    assert len(torch.unique(hidden, dim=0)) == 7


def test_extra_noise_is_what_the_errors_say(sky):
    stars = Stars.from_block(sky.block, INPUTS)
    noisy = add_noise(stars, 1.0, 2.0, torch.Generator().manual_seed(3))
    for name in ("rvs", "xp"):
        old, new = stars[f"{name}.flux_error"], noisy[f"{name}.flux_error"]
        extra = noisy[f"{name}.flux"] - stars[f"{name}.flux"]
        pull = extra / torch.sqrt(new**2 - old**2).clamp_min(1e-6)
        assert (new >= old).all()
        assert float(pull.std()) == pytest.approx(1.0, abs=0.02)


def test_noise_spares_the_share_it_is_told_to_spare(sky):
    stars = Stars.from_block(sky.block, INPUTS)
    noisy = add_noise(stars, 0.3, 2.0, torch.Generator().manual_seed(4))
    touched = (noisy["xp.flux"] != stars["xp.flux"]).any(dim=1)
    assert float(touched.float().mean()) == pytest.approx(0.3, abs=0.06)
    assert np.array_equal(touched, (noisy["rvs.flux"] != stars["rvs.flux"]).any(dim=1))


def test_flat_convolutions_are_those_of_one_dimension():
    generator = torch.Generator().manual_seed(5)
    layer = FlatConvolution(2, 4, 9, 2, padding=4)
    spectra = torch.randn(8, 800, 2, generator=generator)
    found = layer(spectra[:, None].permute(0, 3, 1, 2))
    plain = torch.nn.functional.conv1d(spectra.mT, layer.weight, layer.bias, 2, 4)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found[:, :, 0], torch.nn.functional.silu(plain))


def test_the_last_layer_of_the_rvs_branch_reads_samples_as_flattened(sky, scaling, settings):
    branch = build(settings, ("rvs",)).branches["rvs"]
    stars = Stars.from_block(sky.block, INPUTS).take(slice(0, 16))
    spectra = network_columns(stars, scaling, ("rvs",))["rvs"]
    hidden = spectra
    for layer in branch.convolutions:
        hidden = torch.nn.functional.silu(
            torch.nn.functional.conv1d(hidden, layer.weight, layer.bias, 2, layer.padding)
        )
    # Neither whitening axes nor offsets are set yet: the convolutions are all there is.
    expected = torch.nn.functional.linear(hidden.flatten(1), branch.out.weight, branch.out.bias)
    torch.testing.assert_close(branch(spectra, torch.zeros(16, 2)), expected)


def test_a_stranger_s_spectrum_comes_from_the_next_star_in_colour(sky):
    stars = Stars.from_block(sky.block, INPUTS)
    swapped = swap_spectra(stars, 0.5, torch.Generator().manual_seed(5))
    other = (swapped["rvs.flux"] != stars["rvs.flux"]).any(dim=1)
    assert 0.3 < other.float().mean() < 0.6
    assert (stars.present[other, 0]).all()
    rank = torch.argsort(torch.argsort(stars["photometry"][:, 1]))
    for row in torch.nonzero(other)[:20, 0].tolist():
        giver = (stars["rvs.flux"] == swapped["rvs.flux"][row]).all(dim=1).nonzero()[0, 0]
        assert abs(int(rank[giver] - rank[row])) in (1, len(stars) - 1)
        torch.testing.assert_close(swapped["rvs.mask"][row], stars["rvs.mask"][giver])
    torch.testing.assert_close(swapped["photometry"], stars["photometry"])
    assert swap_spectra(stars, 0.0, torch.Generator()) is stars


@pytest.mark.parametrize(("share", "low", "high"), [(0.02, 0.0, 0.06), (0.9, 0.8, 0.98), (1, 1, 1)])
def test_as_many_stars_as_asked_for_show_a_strangers_spectrum(share, low, high, sky):
    stars = Stars.from_block(sky.block, INPUTS)
    swapped = swap_spectra(stars, share, torch.Generator().manual_seed(5))
    other = (swapped["rvs.flux"] != stars["rvs.flux"]).any(dim=1)
    assert low <= other.float().mean() <= high


def test_some_stars_are_not_told_their_normalisation(sky):
    stars = Stars.from_block(sky.block, INPUTS)
    told = stars["rvs.class"].any(dim=1)
    asked = untell_normalisation(stars, 0.4, torch.Generator().manual_seed(6))
    still = asked["rvs.class"].any(dim=1)
    assert 0.5 < still[told].float().mean() < 0.7
    torch.testing.assert_close(asked["rvs.class"][still], stars["rvs.class"][still])
    torch.testing.assert_close(asked["rvs.flux"], stars["rvs.flux"])
    assert untell_normalisation(stars, 0.0, torch.Generator()) is stars


@pytest.mark.parametrize("size", [1e-30, 1e-4, 0.3, 1.0, 20.0, 1e6, 1e18])
def test_asinh_is_that_of_torch(size):
    values = torch.tensor([-size, size, 0.5 * size])
    exact = torch.asinh(values.double())
    torch.testing.assert_close(asinh(values).double(), exact, rtol=3e-7, atol=0.0)


def test_asinh_of_what_has_no_square_is_finite_and_of_nothing_is_nothing():
    assert torch.isfinite(asinh(torch.tensor([3e38, -3e38]))).all()
    assert asinh(torch.zeros(1)).item() == 0.0
    assert torch.isnan(asinh(torch.tensor([torch.nan]))).all()


def test_stars_that_go_through_the_convolutions_in_slices_get_the_same(sky, scaling, settings):
    network = build(settings, MODALITIES)
    stars = Stars.from_block(sky.block, INPUTS).take(slice(0, 100))
    columns = network_columns(stars, scaling, MODALITIES)
    whole = network(columns, stars.present)
    network.branches["rvs"].slice = 32
    torch.testing.assert_close(network(columns, stars.present), whole, rtol=1e-6, atol=1e-6)
