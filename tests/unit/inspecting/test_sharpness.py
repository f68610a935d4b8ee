"""Spectra tell their resolving power, and the gate compares it with the description's."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.contract.grids import to_vacuum
from catalog_builder.inspecting.gate import examine_archive
from catalog_builder.inspecting.sharpness import TEMPLATES_FILE, measure_sharpness
from catalog_builder.inspecting.triplet import TRIPLET
from catalog_builder.simulate.sky import simulate


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """A small sky of a release whose spectra are in air."""
    out = tmp_path_factory.mktemp("sky") / "archive"
    simulate("rave-dr6", 300, 3, out)
    return str(out)


def examined(sky, **spectrum):
    content = load_release("rave-dr6").model_dump()
    content["spectra"]["rave"] |= spectrum
    release = ReleaseSpec.model_validate(content)
    return examine_archive(list_partitions(sky, release), release)


def test_a_description_that_is_right_passes(sky):
    report = examined(sky)
    assert not report.findings
    assert report.facts["spectra.rave.resolution"].startswith("7")


@pytest.mark.parametrize("resolution", [5000.0, 11_500.0])
def test_a_wrong_resolution_is_refused(sky, resolution):
    (found,) = examined(sky, resolution=resolution).findings
    assert found.line == "spectra.rave.resolution"
    assert f"not {resolution:g}" in found.problem


def test_vacuum_for_air_is_refused_with_its_cure(sky):
    (found,) = examined(sky, medium="vacuum").findings
    assert found.line == "spectra.rave.grid"
    assert "spectra.rave.medium: air" in found.way_out


def test_spectra_without_the_triplet_tell_nothing():
    grid = to_vacuum(np.arange(842.03, 878.5, 0.04), "air")
    noise = 1 + 0.02 * np.random.default_rng(1).standard_normal((300, grid.size))
    assert measure_sharpness(noise, grid) is None


def test_a_triplet_alone_or_lines_sharper_than_all_that_are_tried_tell_nothing():
    grid = to_vacuum(np.arange(842.03, 878.5, 0.025), "air")
    depth = sum(0.5 * np.exp(-0.5 * ((grid - at) / 0.15) ** 2) for at in TRIPLET)
    noise = 0.02 * np.random.default_rng(1).standard_normal((300, grid.size))
    assert measure_sharpness(1 - depth + noise, grid) is None
    with np.load(TEMPLATES_FILE) as file:
        lines = np.interp(grid, file["wavelength"], file["depth"].mean(axis=0))
    assert measure_sharpness(1 - lines + noise / 10, grid) is None
