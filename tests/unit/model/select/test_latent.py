from __future__ import annotations

import pytest
import torch

from catalog_builder.model.select.latent import Spectra, SpectrumModel, nearest

SAMPLES, COMPONENTS = 120, 4


def draw(stars: int, seed: int = 0, masked: int = 0) -> tuple[Spectra, torch.Tensor]:
    """Return spectra of four smooth components with noise, and the noise-free ones."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(0.0, 3.0, SAMPLES)
    axes = torch.stack([torch.sin((k + 1) * x) for k in range(COMPONENTS)])
    exact = 1.0 + 0.3 * torch.randn(stars, COMPONENTS, generator=generator) @ axes
    error = (0.02 + 0.05 * torch.rand(stars, 1, generator=generator)).expand(-1, SAMPLES)
    flux = exact + error * torch.randn(stars, SAMPLES, generator=generator)
    mask = torch.ones(stars, SAMPLES, dtype=torch.bool)
    mask[:, :masked] = False
    flux = torch.where(mask, flux, 0.0)
    return Spectra(flux, torch.where(mask, error, 0.0), mask), exact


@pytest.fixture(scope="module")
def model() -> SpectrumModel:
    return SpectrumModel.fit(draw(2000)[0], COMPONENTS)[0]


@pytest.mark.parametrize("masked", [0, 15])
def test_spectra_are_reconstructed_to_their_noise(model, masked):
    spectra, exact = draw(500, seed=1, masked=masked)
    placed = model.place(spectra)
    made = model.reconstruct(placed.components)
    # Four of 120 numbers are fitted: what is left of the noise is small, masked or not.
    assert float((made - exact).std()) < 0.02
    assert (placed.residual[:, :masked] == 0).all()
    chi_square = (placed.residual**2).sum(dim=1) / placed.samples
    assert float(chi_square.median()) == pytest.approx(1.0, abs=0.1)


def test_components_have_deviation_one_and_noise_pulls_inwards(model):
    spectra, _ = draw(2000, seed=2)
    good = model.place(spectra).components
    torch.testing.assert_close(good.std(dim=0), torch.ones(COMPONENTS), rtol=0.15, atol=0.0)
    noisy = Spectra(spectra.flux, spectra.error * 100.0, spectra.mask)
    assert (model.place(noisy).components.norm(dim=1) < good.norm(dim=1)).all()


def test_spoilt_training_spectra_make_no_component(model):
    spectra, _ = draw(2000)
    spoilt = spectra.flux.clone()
    spoilt[::30, 40] += 3.0
    seen = Spectra(spoilt, spectra.error, spectra.mask)
    refitted, kept, numbers = SpectrumModel.fit(seen, COMPONENTS)
    torch.testing.assert_close(refitted.place(seen.take(numbers)).components, kept)
    assert len(kept) <= 2000 - 67
    odd = refitted.place(
        Spectra(spoilt, spectra.error, spectra.mask).take(torch.arange(0, 2000, 30))
    )
    assert (odd.residual[:, 40] > 10.0).all()
    torch.testing.assert_close(refitted.deviations, model.deviations, rtol=0.1, atol=0.01)


def test_scatter_beyond_noise_is_found():
    spectra, _ = draw(4000, seed=5)
    generator = torch.Generator().manual_seed(6)
    extra = torch.zeros(SAMPLES)
    extra[60:80] = 0.05
    flux = spectra.flux + extra * torch.randn(4000, SAMPLES, generator=generator)
    scatter = SpectrumModel.fit(Spectra(flux, spectra.error, spectra.mask), COMPONENTS)[0].scatter
    assert float(scatter[60:80].mean()) == pytest.approx(0.05, rel=0.2)
    assert float(scatter[:60].mean()) < 0.01


def test_nearest_landmarks_of_three_groups():
    generator = torch.Generator().manual_seed(7)
    landmarks = torch.randn(301, 5, generator=generator)
    stars = torch.randn(40, 8, generator=generator)
    found = nearest(stars, landmarks)
    squares = torch.cdist(stars[:, :5], landmarks) ** 2
    torch.testing.assert_close(found.square[:, 0], squares.min(dim=1).values, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.square, squares.gather(1, found.number), rtol=1e-3, atol=1e-3)
    assert (found.square.diff(dim=1) >= 0).all()
    on_top = nearest(landmarks, landmarks)
    assert torch.equal(on_top.number[:, 0], torch.arange(301))
