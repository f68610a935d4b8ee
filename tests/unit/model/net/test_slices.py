from __future__ import annotations

import pytest
import torch

from catalog_builder.model.net.slices import SLICE, sliced, whole_slices


@pytest.mark.parametrize("count", [1, SLICE - 1, SLICE, SLICE + 1])
def test_slices_are_made_whole_with_the_last_star(count):
    rows = torch.arange(count)
    whole = whole_slices(rows)
    assert len(whole) % SLICE == 0
    assert len(whole) - count < SLICE
    assert (whole[:count] == rows).all()
    assert (whole[count:] == count - 1).all()


def test_layers_see_so_many_stars_at_a_time():
    seen = []

    def layers(first, second):
        seen.append(len(first))
        return first + second

    columns = torch.arange(10.0), torch.arange(10.0)
    torch.testing.assert_close(sliced(layers, 4, *columns), 2 * columns[0])
    assert seen == [4, 4, 2]
    assert sliced(layers, None, *columns).shape == (10,)
    assert seen[3:] == [10]
