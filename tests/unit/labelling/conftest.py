"""Spectra as a user has them: of a made-up star, on the archive's samples and on others."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from catalog_builder.archive.release import load_release
from catalog_builder.contract.grids import to_vacuum
from catalog_builder.inspecting.triplet import TRIPLET
from catalog_builder.labelling.convert import Converter
from catalog_builder.labelling.told import Told

SOURCE = 4268620287278693120


def star(wavelength):
    """Return the normalised flux of a star at rest, at wavelengths in vacuum, nm."""
    lines = [(place, 0.5, 0.06) for place in TRIPLET] + [(852.0, 0.2, 0.03), (861.0, 0.3, 0.03)]
    depth = sum(d * np.exp(-0.5 * ((wavelength - x) / w) ** 2) for x, d, w in lines)
    return 1.0 - depth


def to_air(vacuum):
    """Return wavelengths of air, by turning the way to vacuum round."""
    air = vacuum
    for _ in range(5):
        air = air - (to_vacuum(air, "air") - vacuum)
    return air


@pytest.fixture(scope="session")
def release():
    return load_release("dr3")


@pytest.fixture(scope="session")
def native(release):
    """A table as DataLink gives an RVS spectrum."""
    wave = release.spectra["rvs"].grid.nanometres()
    flux = star(wave).astype(np.float32)
    flux[:4] = np.nan
    return Table({"wavelength": wave, "flux": flux, "flux_error": np.full_like(flux, 0.01)})


@pytest.fixture(scope="session")
def wave():
    """Samples of another instrument, not evenly spaced, nm in vacuum."""
    return np.geomspace(843.0, 873.0, 1700)


@pytest.fixture
def converter(release):
    def make(**told):
        return Converter(release, release.inputs.names, Told(**told))

    return make
