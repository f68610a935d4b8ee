import numpy as np
import pytest

from catalog_builder.report.html import measure, percent
from catalog_builder.report.summary import galactic_mollweide, summarise


def test_the_centre_of_the_galaxy_is_in_the_middle_and_its_pole_on_top():
    # Sgr A* and the north galactic pole, ICRS; a point at l = 90 deg (in Cygnus) lies to the left.
    x, y = galactic_mollweide(
        np.array([266.405, 192.8595, 318.0]), np.array([-28.936, 27.1283, 48.33])
    )
    assert (x[0], y[0]) == pytest.approx((0.0, 0.0), abs=0.01)
    assert (x[1], y[1]) == pytest.approx((0.0, np.sqrt(2)), abs=0.01)
    assert (x[2], y[2]) == pytest.approx((-np.sqrt(2), 0.0), abs=0.01)


def test_a_position_that_is_not_known_is_nowhere():
    x, y = galactic_mollweide(np.array([np.nan, 10.0]), np.array([0.0, np.nan]))
    assert np.isnan(x).all()
    assert np.isnan(y).all()


def test_cells_of_the_sky_hold_equal_areas():
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 200_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 200_000)))
    x, y = galactic_mollweide(ra, dec)
    # A uniform sky is uniform in the ellipse: half of it lies within 1 / sqrt(2) of its size.
    radius2 = (x / np.sqrt(8)) ** 2 + (y / np.sqrt(2)) ** 2
    assert radius2.max() <= 1.0 + 1e-6
    np.testing.assert_allclose(np.quantile(radius2, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.01)


def test_every_histogram_holds_the_stars_it_should(tmp_path, schema, make_rows, write_store):
    columns = make_rows(700)
    summary = summarise(write_store(tmp_path / "catalog.zarr", columns), schema)
    labelled = np.isfinite(columns["teff"])
    with_rvs = labelled & columns["has_rvs"]
    assert summary.rows == 700
    assert summary.with_all_labels == np.count_nonzero(labelled)
    assert summary.magnitude["all"].stars == 700
    assert summary.sky.stars == 700
    for name in summary.shown:
        label = summary.labels[name]
        assert label.stars + label.beyond == np.count_nonzero(labelled)
        assert summary.sigma[name].stars == np.count_nonzero(labelled)
        assert summary.sigma_by_magnitude[name, "rvs", True].stars == np.count_nonzero(with_rvs)
        assert summary.sigma_by_magnitude[name, "rvs", False].stars == np.sum(labelled & ~with_rvs)
        assert summary.sigma_by_snr[name, "rvs"].stars == np.count_nonzero(with_rvs)


def test_stars_outside_the_training_range_are_not_in_the_diagrams(
    tmp_path, schema, make_rows, write_store
):
    columns = make_rows(100)
    labelled = np.isfinite(columns["teff"])
    columns["flags"][:10] |= schema.flags["logg_outside_range"].mask
    columns["flags"][10:15] |= schema.flags["alpha_m_outside_range"].mask
    summary = summarise(write_store(tmp_path / "catalog.zarr", columns), schema)
    assert summary.kiel.stars == np.count_nonzero(labelled[10:])
    inside = labelled.copy()
    inside[10:15] = False
    assert summary.abundance["m_h", "alpha_m"].stars == np.count_nonzero(inside)
    assert summary.in_range["logg"] == np.count_nonzero(labelled[10:])
    assert summary.labels["logg"].stars == np.count_nonzero(labelled)


def test_the_chunks_of_the_store_do_not_matter(tmp_path, schema, make_rows, write_store):
    columns = make_rows(200)
    summaries = [
        summarise(write_store(tmp_path / f"{rows}.zarr", columns, rows), schema)
        for rows in (200, 30)
    ]
    first, second = summaries
    np.testing.assert_array_equal(first.kiel.counts, second.kiel.counts)
    np.testing.assert_array_equal(first.digits, second.digits)
    assert first.filled == second.filled
    assert first.bits == second.bits


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 5, "0.0 %"), (5, 5, "100.0 %"), (1, 10**6, "< 0.1 %"), (999_999, 10**6, "> 99.9 %"),
     (1, 3, "33.3 %"), (0, 0, "–")],
)  # fmt: skip
def test_few_are_not_none_and_most_are_not_all(part, whole, shown):
    assert percent(part, whole).replace("\u202f", " ") == shown


def test_a_tiny_bias_has_no_sign():
    assert measure(-0.0004, 3, signed=True) == "0.000"
    assert measure(0.25, 2, signed=True) == "+0.25"
    assert measure(float("nan"), 2) == measure(None, 2) == "–"
