"""What is left of a spectrum of lines after its reconstruction, and what spoilt ones would leave.

Beside the plain chi-square and the largest deviation there are matched filters: training spectra
are given the defects that occur (a second set of lines, a shift, emission in the calcium triplet,
a bent continuum), and the directions in which these leave residuals are kept. The energy of a
residual along few directions stands out of the noise long before the chi-square of hundreds of
samples does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Generator, Tensor

from catalog_builder.contract.grids import GridSpec
from catalog_builder.model.select.axes import is_wide, strongest_of_wide
from catalog_builder.model.select.latent import Placed, SpectrumModel

#: Vacuum wavelengths of the Ca II triplet in nm (NIST Atomic Spectra Database, air values
#: 849.802, 854.209 and 866.214 turned to vacuum).
CALCIUM_TRIPLET: Final = (850.036, 854.444, 866.452)

_LIGHT = 299_792.458  # km/s
#: Statistics of every residual: its chi-square and its largest deviation.
PLAIN: Final = 2
#: Directions per filter.
DIRECTIONS: Final = {"lines": 16, "emission": 3, "continuum": 4}
# Training spectra that teach them.
_TEACHERS = 1500
# Error per sample of the spectra that teach: of S/N 50, where signal and model errors both count.
_TEACHING_ERROR = 0.02
# Shifts in km/s and relative light of a companion: from what the lines resolve to half the window
# of the archive's own cross-correlation.
_SHIFTS, _COMPANION = (20.0, 350.0), (0.3, 1.0)
# Deviation of emission cores, nm: from the resolution of RVS to a rapid rotator.
_CORES = (0.05, 0.1)


def filters_on(grid: GridSpec) -> tuple[str, ...]:
    """Return the names of the filters that a spectrum on this grid has, in order.

    That of emission exists where lines of the calcium triplet lie on the grid.
    """
    return tuple(name for name in DIRECTIONS if name != "emission" or _calcium_on(grid))


def _calcium_on(grid: GridSpec) -> tuple[float, ...]:
    wavelengths = grid.nanometres()
    return tuple(line for line in CALCIUM_TRIPLET if wavelengths[0] <= line <= wavelengths[-1])


def residual_statistics(placed: Placed, filters: Mapping[str, Tensor]) -> Tensor:
    """Return the statistics of placed spectra: all are positive and grow with oddity.

    Parameters
    ----------
    placed : Placed
        n spectra.
    filters : mapping of str to Tensor
        From `matched_filters`.

    Returns
    -------
    Tensor
        (n, 2 + filters): chi-square, the largest deviation, and the energy along each filter.
    """
    residual = placed.residual
    columns = [(residual**2).sum(dim=1) / placed.samples, residual.abs().amax(dim=1)]
    for name in DIRECTIONS:
        if name in filters:
            energy = ((residual @ filters[name]) ** 2).sum(dim=1)
            columns.append(energy / filters[name].shape[1])
    return torch.stack(columns, dim=1)


def matched_filters(
    model: SpectrumModel, grid: GridSpec, components: Tensor, seed: int
) -> dict[str, Tensor]:
    """Return orthonormal directions (samples, m) of each filter, learnt on reconstructed stars.

    Parameters
    ----------
    model : SpectrumModel
        Of the spectra.
    grid : GridSpec
        Their wavelengths.
    components : Tensor
        (n, k), places of ordinary training stars.
    seed : int
        Of the defects drawn.
    """
    generator = Generator().manual_seed(seed)
    chosen = torch.randperm(len(components), generator=generator)[:_TEACHERS]
    clean = model.reconstruct(components[chosen])
    defects = {
        "lines": torch.cat([_double(clean, grid, generator), _shifted(clean, grid, generator)])
    }
    if _calcium_on(grid):
        defects["emission"] = _with_emission(clean, grid, generator)
    defects["continuum"] = _bent(clean, generator)
    before = model.residual_of(clean, _TEACHING_ERROR)
    filters = {}
    for name, spectra in defects.items():
        left = model.residual_of(spectra, _TEACHING_ERROR)
        left = left - before.repeat(len(left) // len(before), 1)
        # Each spectrum counts the same: strong defects need no filter.
        left = (left / left.norm(dim=1, keepdim=True).clamp_min(1e-6)).double()
        if is_wide(left):
            _, vectors = strongest_of_wide(left, DIRECTIONS[name])
        else:
            _, vectors = torch.linalg.eigh(left.mT @ left)
        filters[name] = vectors[:, -DIRECTIONS[name] :].float().contiguous()
    return filters


def _uniform(low: float, high: float, n: int, generator: Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, 1, generator=generator)


def _velocities(n: int, generator: Generator) -> Tensor:
    sign = torch.randint(0, 2, (n, 1), generator=generator) * 2.0 - 1.0
    return sign * _uniform(*_SHIFTS, n, generator)


def _moved(spectra: Tensor, velocity: Tensor, grid: GridSpec) -> Tensor:
    """Return spectra (n, samples) moved by velocities (n, 1) in km/s; the ends are held."""
    samples = grid.count
    pixels = velocity / _LIGHT * float(grid.nanometres().mean()) / grid.step_nm
    position = (torch.arange(samples) - pixels).clamp(0.0, samples - 1.0)
    left = position.floor().clamp_max(samples - 2.0)
    part = position - left
    at = left.long()
    return spectra.gather(1, at) * (1.0 - part) + spectra.gather(1, at + 1) * part


def _shifted(clean: Tensor, grid: GridSpec, generator: Generator) -> Tensor:
    return _moved(clean, _velocities(len(clean), generator), grid)


def _double(clean: Tensor, grid: GridSpec, generator: Generator) -> Tensor:
    n = len(clean)
    apart, light = _velocities(n, generator), _uniform(*_COMPANION, n, generator)
    other = clean[torch.randperm(n, generator=generator)]
    # A companion is a star like its primary more often than any star of the sample.
    other = torch.where(torch.rand(n, 1, generator=generator) < 0.7, clean, other)
    # The archive's rest frame is that of the blend.
    frame = light / (1.0 + light)
    first = _moved(clean, -apart * frame, grid)
    second = _moved(other, apart * (1.0 - frame), grid)
    return (first + light * second) / (1.0 + light)


def _with_emission(clean: Tensor, grid: GridSpec, generator: Generator) -> Tensor:
    n = len(clean)
    wavelength = torch.from_numpy(grid.nanometres()).float()
    width, strength = _uniform(*_CORES, n, generator), _uniform(0.1, 0.7, n, generator)
    lines = _calcium_on(grid)
    cores = [torch.exp(-0.5 * ((wavelength - line) / width) ** 2) for line in lines]
    return clean + strength * torch.stack(cores).sum(dim=0)


def _bent(clean: Tensor, generator: Generator) -> Tensor:
    x = torch.linspace(-1.0, 1.0, clean.shape[1])
    level, tilt, curve, third = torch.randn(4, len(clean), 1, generator=generator) * 0.15
    continuum: Tensor = 1.0 + level + tilt * x + curve * (x**2 - 1.0 / 3.0) + third * x**3
    return clean * continuum
