from __future__ import annotations

import numpy as np
import pytest
import torch

from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.net.network import HybridNet
from catalog_builder.model.net.packed import can_pack, pack
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.design import Stars, network_columns

CONTRACT = default_contract()
MODALITIES = CONTRACT.inputs.names

pytestmark = pytest.mark.skipif(not can_pack(), reason="torch has no oneDNN here")


def pair(settings: ModelSettings, inputs) -> tuple[HybridNet, HybridNet]:
    generator = torch.Generator().manual_seed(7)
    plain, packed = (HybridNet(settings, CONTRACT, inputs).eval() for _ in range(2))
    plain.initialise(generator)
    for tensor in plain.state_dict().values():
        tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.05)
    packed.load_state_dict(plain.state_dict())
    return plain, pack(packed)


@pytest.mark.parametrize("inputs", [MODALITIES, ("rvs",), ("xp", "photometry")], ids="+".join)
@pytest.mark.parametrize("large", [False, True])
def test_a_packed_network_answers_as_the_plain_one(inputs, large, sky, scaling, settings):
    plain, packed = pair(ModelSettings() if large else settings, inputs)
    stars = Stars.from_block(sky.block, CONTRACT.inputs).take(slice(0, 100))
    columns = network_columns(stars, scaling, inputs)
    present = torch.rand(100, 4, generator=torch.Generator().manual_seed(8)) < 0.7
    with torch.no_grad():
        expected = plain(columns, present)
        torch.testing.assert_close(packed(columns, present), expected, rtol=1e-4, atol=1e-4)
        assert expected.std() > 0.1


def test_packing_leaves_no_layer_as_it_was_and_may_be_repeated(settings):
    _, packed = pair(settings, MODALITIES)
    kinds = (torch.nn.Linear, torch.nn.Conv1d)
    assert not any(isinstance(module, kinds) for module in packed.modules())
    before = dict(packed.named_modules())
    assert dict(pack(packed).named_modules()) == before


def test_packed_answers_are_the_same_bits_every_time(sky, scaling, settings):
    _, packed = pair(settings, MODALITIES)
    stars = Stars.from_block(sky.block, CONTRACT.inputs).take(slice(0, 64))
    columns = network_columns(stars, scaling, MODALITIES)
    with torch.no_grad():
        first = packed(columns, stars.present).numpy()
        np.testing.assert_array_equal(first, packed(columns, stars.present).numpy())
