from __future__ import annotations

import pytest
import torch

from catalog_builder.model.select.latent import nearest
from catalog_builder.model.select.map import SpectrumMap


def islands(stars: int, seed: int) -> torch.Tensor:
    """Return places in three clouds far from each other, in four dimensions."""
    generator = torch.Generator().manual_seed(seed)
    centres = 12.0 * torch.eye(4)[:3]
    chosen = torch.arange(stars) % 3
    return centres[chosen] + torch.randn(stars, 4, generator=generator)


@pytest.fixture(scope="module")
def landmarks() -> torch.Tensor:
    places = islands(300, seed=0)
    return places[torch.randperm(300, generator=torch.Generator().manual_seed(1))]


@pytest.fixture(scope="module")
def chart(landmarks) -> SpectrumMap:
    return SpectrumMap.fit(landmarks, seed=5)


def test_the_same_landmarks_make_the_same_map(landmarks, chart):
    again = SpectrumMap.fit(landmarks, seed=5)
    assert torch.equal(again.position, chart.position)
    assert chart.position.shape == (300, 2)
    assert float(chart.position.abs().max()) == 1.0


def test_new_stars_come_to_lie_among_their_like(landmarks, chart):
    stars = islands(90, seed=2)
    position, _ = chart.place(nearest(stars, landmarks))
    kind = landmarks[:, :3].argmax(dim=1)
    middle = torch.stack([chart.position[kind == k].mean(dim=0) for k in range(3)])
    closest = torch.cdist(position, middle).argmin(dim=1)
    assert torch.equal(closest, torch.arange(90) % 3)


def test_stars_far_from_all_and_stars_between_islands_stand_out(landmarks, chart):
    _, ordinary = chart.place(nearest(islands(300, seed=3), landmarks))
    usual = ordinary.quantile(0.99, dim=0)
    far = islands(30, seed=4) + 8.0
    assert (chart.place(nearest(far, landmarks))[1][:, 0] > usual[0]).all()
    between = torch.tensor([[4.0, 4.0, 4.0, 0.0]]).expand(10, -1)
    assert (chart.place(nearest(between, landmarks))[1] > usual).any(dim=1).all()
