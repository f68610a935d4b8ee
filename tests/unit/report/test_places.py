"""Labels by place on the sky: medians of pixels, and their maps."""

import numpy as np
import pytest
from astropy_healpix.healpy import pix2ang

from catalog_builder.report import skies
from catalog_builder.report.counted import pixels_of
from catalog_builder.report.histogram import Axis
from catalog_builder.report.labelled import Edges, Labelled
from catalog_builder.report.places import LEVEL, label_axis, medians
from catalog_builder.report.summary import Summary

ROWS = 3000


def test_a_pixel_of_few_stars_has_the_median_of_the_smallest_around_it_that_has_enough():
    axis = Axis(0.0, 10.0, 10)
    counts = np.zeros((48, 10), dtype=int)  # level 1
    counts[0, 2], counts[1, 8], counts[2, 8] = 30, 12, 12
    counts[20, 5] = 3
    found, level = medians(counts, axis, 20)
    assert found[0] == pytest.approx(2.5)
    assert found[1] == found[2] == pytest.approx(2.9)  # of the four: 30 and 24
    assert level[[0, 1, 2]].tolist() == [1, 0, 0]
    assert np.isnan(found[3])  # no star
    assert np.isnan(found[20])  # too few, even around it
    assert level[20] == -1


@pytest.fixture(scope="module")
def columns(make_rows, schema):
    """Stars whose temperature is that of their half of the sky; north is hot."""
    columns = make_rows(ROWS)
    columns["teff"] = np.where(columns["dec"] > 0, 6000.0, 4500.0).astype("f4")
    return columns


def test_maps_show_what_is_where(schema, columns):
    summary = Summary(schema)
    summary.add(columns)
    place = summary.places.labels["teff"]
    found, _ = medians(place.counts, label_axis(summary.shown["teff"]), 5)
    _, dec = pix2ang(2**LEVEL, np.arange(len(found)), nest=True, lonlat=True)
    assert np.nanmedian(found[dec > 10]) == pytest.approx(6000, abs=110)
    assert np.nanmedian(found[dec < -10]) == pytest.approx(4500, abs=110)
    page = skies.labels(summary, schema)
    assert page.count("<img") == len(schema.labels.names)
    assert "b −30° to 0°" in page
    pixels = skies._pixels_of_cells(len(found))
    assert set(np.unique(pixels[pixels >= 0])) <= set(range(len(found)))
    assert len(np.unique(pixels)) > 0.95 * len(found)


def test_the_middle_of_the_map_is_the_centre_of_the_galaxy_and_longitude_grows_to_the_left():
    pixels = skies._pixels_of_cells(12 * 4**6)
    middle = pixels.shape[0] // 2, pixels.shape[1] // 2
    (centre,) = np.floor(pixels_of(np.array([266.405]), np.array([-28.936])))
    ra, dec = pix2ang(64, np.array([pixels[middle], int(centre)]), nest=True, lonlat=True)
    assert np.hypot(*(np.diff(one) for one in (ra, dec)))[0] < 2.5
    (cygnus,) = np.floor(pixels_of(np.array([308.0]), np.array([40.0])))  # l = 79
    assert np.argwhere(pixels == cygnus)[:, 1].max() < middle[1]


def test_residuals_by_place_add_up_and_are_drawn(schema, columns):
    rng = np.random.default_rng(4)
    names = schema.contract.labels.names
    labels = np.stack([columns[name] for name in names], axis=1).astype(float)
    labels[:, 0] -= np.where(columns["dec"] > 0, 100.0, -50.0) + rng.normal(0, 5, ROWS)
    errors = np.full(labels.shape, 0.01)
    sums = Labelled(schema, Edges((), ()))
    stars = {**columns, "training_split": np.zeros(ROWS, dtype="u1")}
    sums.add(stars, labels, errors)
    assert sums.sky[0].sum() == np.isfinite(columns["e_teff"]).sum()
    page = skies.residuals(sums, schema)
    assert page.count("<img") == len(schema.labels.names)
    assert skies.residuals(Labelled(schema, Edges((), ())), schema).count("<img") == 0
