"""The triplet in an arm that reaches far beyond it."""

from types import SimpleNamespace

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.contract.grids import to_vacuum
from catalog_builder.inspecting.finding import Looked
from catalog_builder.inspecting.samples_of_lines import check_triplet
from tests.unit.inspecting.test_measures import spectra


@pytest.mark.parametrize("medium", ["vacuum", "air"])
def test_a_wide_arm_of_flux_that_nobody_normalised_tells_its_medium(medium):
    (reading,) = load_release("4most-lrs").readings["red_arm"]
    grid = to_vacuum(reading.spectrum.grid.nanometres(), "vacuum")
    flux = spectra(grid, count=210) * (grid / 820.0) ** -5  # a hot star's colour
    view = SimpleNamespace(tables={"red_arm": SimpleNamespace(columns={"flux": flux})})
    described = reading.spectrum.model_copy(update={"medium": medium})
    looked = Looked()
    check_triplet("red_arm", reading, described, [view], looked)
    assert ("spectra.red.grid", "triplet") in looked.judged
    assert [found.line for found in looked.findings] == ["spectra.red.grid"] * (medium == "air")
