"""What is planted in another table is found, within its errors."""

import numpy as np
import pytest

from catalog_builder.comparing.matching import CrosswalkIds
from catalog_builder.comparing.outside.document import content
from tests.unit.comparing.conftest import Sky
from tests.unit.comparing.outside.conftest import Other, beside

FLAG = "rvs_out_of_distribution"


def axis_of(found, name):
    return next(axis for axis in found.axes if axis.name == name)


def test_planted_offsets_trends_and_outliers_are_found(
    sky, observed, side, outside_schema, mapping, tmp_path
):
    other = Other(sky)
    truth = sky.truth
    other.columns["T"] += 80 - 30 * (truth["teff"] - 5000) / 1000
    other.columns["G"] -= 0.28
    other.columns["M"] += 0.1 * truth["m_h"]
    other.columns["A"] += 0.02 * (sky.magnitude - 12)
    far = np.arange(101, 121)  # none of them taught the model
    far = far[far % 10 != 0]
    other.columns["T"][far] += np.where(far % 2, 4000, -4000)
    mask = next(bit.mask for bit in outside_schema.flags.bits if bit.name == FLAG)
    observed["flags"][far[:12]] |= mask
    found = beside(
        side(observed, schema=outside_schema), other.write(tmp_path / "o.parquet"), mapping()
    )
    assert (found.stars, found.left_out["taught the model"]) == (2700, 300)
    numbers = {name: tally.numbers() for name, tally in found.tallies.items()}
    for name, planted in (("teff", -80), ("logg", 0.28)):
        assert abs(numbers[name].median - planted) < 4 * numbers[name].median_error
    for label, along, planted in (
        ("teff", "teff", 30.0),
        ("m_h", "m_h", -0.1),
        ("alpha_m", "magnitude", -0.02),
        ("logg", "logg", 0.0),
        ("m_h", "teff", 0.0),
        ("alpha_m", "sig_to_noise", 0.0),
    ):
        slope = found.slope(label, axis_of(found, along))
        assert abs(slope.slope - planted) < 4 * slope.error
    for name in ("logg", "m_h"):
        assert numbers[name].with_error == 2700
        assert abs(numbers[name].pull_scatter - 1) < 0.08
        assert abs(numbers[name].scatter / numbers[name].expected - 1) < 0.1
    outliers = found.outliers["teff"]
    assert {each.source_id for each in outliers.listed} == {*sky.ids[far].tolist()}
    assert outliers.stars == len(far)
    assert (outliers.flags[FLAG], outliers.of_all[FLAG]) == (12, 12)
    assert all(each.flags in {(), (FLAG,)} for each in outliers.listed)
    assert found.outliers["m_h"].stars == 0


@pytest.mark.parametrize("errors", [True, False])
def test_noise_is_no_trend(errors, side, outside_schema, mapping, tmp_path):
    """By either value alone, their noise would be a slope of 0.3 and more."""
    pulls = []
    for seed in range(6):
        sky = Sky(1500, seed=seed)
        other = Other(sky, scale=4.0, seed=seed + 50)
        found = beside(
            side(sky.observe(outside_schema), schema=outside_schema),
            other.write(tmp_path / f"{seed}.parquet"),
            mapping(errors=errors),
        )
        for label, along in (("teff", "teff"), ("logg", "logg"), ("m_h", "m_h")):
            slope = found.slope(label, axis_of(found, along))
            pulls.append(slope.slope / slope.error)
            numbers = found.tallies[label].numbers()
            pulls.append(numbers.median / numbers.median_error)
    assert abs(np.mean(pulls)) < 0.6
    assert 0.6 < np.std(pulls) < 1.45


def test_where_stars_lie_in_the_other_table_does_not_matter(
    sky, observed, side, outside_schema, mapping, tmp_path
):
    ours, other = side(observed, schema=outside_schema), Other(sky)
    order = np.random.default_rng(3).permutation(3000)
    sorted_rows = other.write(tmp_path / "sorted.parquet")
    shuffled = other.write(tmp_path / "shuffled.parquet", order)
    parts = [
        other.write(tmp_path / f"part{n}.parquet", part)
        for n, part in enumerate(np.array_split(order, 4))
    ]
    documents = [content(beside(ours, path, mapping())) for path in (sorted_rows, shuffled, parts)]
    for one in documents:
        one["other"].pop("files")
    assert documents[0] == documents[1] == documents[2]


def test_every_row_is_accounted_for(sky, observed, side, outside_schema, mapping, tmp_path):
    other = Other(sky)
    ids = other.columns["id"]
    ids[0] = 0
    ids[1] = -5
    ids[3] = ids[2]  # two rows of a star
    ids[4] += 1  # a star that we have not
    for column in "TGMA":
        other.columns[column][5] = np.nan
    found = beside(
        side(observed, schema=outside_schema), other.write(tmp_path / "o.parquet"), mapping()
    )
    rows = found.stars + sum(found.left_out.values()) + sum(found.read.rejected.values())
    assert found.read.rows == rows == 3000
    assert found.read.rejected == {"no_source_id": 2, "no_label": 1}
    assert found.left_out == {
        "another row of a star": 1,
        "not in the catalogue": 1,
        "taught the model": 299,
    }


def test_the_row_of_the_highest_rank_counts(sky, observed, side, outside_schema, mapping, tmp_path):
    other = Other(sky)
    twice = {name: np.concatenate([values, values]) for name, values in other.columns.items()}
    twice["snr"] = np.repeat([10.0, 20.0], 3000)
    twice["G"][3000:] += 1
    ours = side(observed, schema=outside_schema)
    path = other.write(tmp_path / "o.parquet", columns=twice)
    best = beside(ours, path, mapping(sig_to_noise="snr")).tallies["logg"].numbers()
    first = beside(ours, path, mapping()).tallies["logg"].numbers()
    assert best.stars == first.stars == 2700
    assert abs(first.median - best.median - 1) < 0.02


def test_stars_that_taught_the_model_can_be_kept(
    sky, observed, side, outside_schema, mapping, tmp_path
):
    path = Other(sky).write(tmp_path / "o.parquet")
    found = beside(side(observed, schema=outside_schema), path, mapping(), taught=True)
    assert found.stars == 3000
    assert "taught the model" not in found.left_out


def test_ids_of_another_release_go_through_a_crosswalk(
    sky, observed, side, outside_schema, mapping, tmp_path
):
    other = Other(sky)
    other.columns["id"] = sky.ids[::-1] + 7
    walk = CrosswalkIds(np.append(sky.ids[::-1][5:] + 7, 99), np.append(sky.ids[5:], sky.ids[9]))
    ours = side(observed, schema=outside_schema)
    path = other.write(tmp_path / "o.parquet")
    found = beside(ours, path, mapping(), matching=walk, taught=True)
    assert found.stars == 2994
    assert found.left_out == {
        "no match in the crosswalk": 5,
        "its match in the crosswalk is another star's too": 1,
    }
    assert beside(ours, path, mapping()).stars == 0


def test_extinction_is_an_axis_where_there_is_one(
    sky, observed, side, outside_schema, mapping, tmp_path
):
    other = Other(sky)
    other.columns["AV"] = np.random.default_rng(1).uniform(0, 3, 3000)
    other.columns["T"] += 50 * other.columns["AV"]
    named = mapping(extinction={"column": "AV", "unit": "mag"})
    found = beside(side(observed, schema=outside_schema), other.write(tmp_path / "o.pq"), named)
    slope = found.slope("teff", axis_of(found, "extinction"))
    assert abs(slope.slope + 50) < 4 * slope.error
    assert abs(slope.slope) > 4 * slope.error


def test_memory_does_not_grow_with_the_other_table(
    sky, observed, side, outside_schema, mapping, tmp_path, monkeypatch
):
    """Parts of the other table are on disk, and one at a time is in memory."""
    from catalog_builder.comparing.outside import pairing

    held = []
    real = pairing.Pairing._beside
    monkeypatch.setattr(
        pairing.Pairing,
        "_beside",
        lambda self, chunk, rows: held.append(len(rows)) or real(self, chunk, rows),
    )
    ours = side(observed, schema=outside_schema)
    found = beside(ours, Other(sky).write(tmp_path / "o.parquet"), mapping())
    assert len(ours.starts) - 1 == len(held) == 5
    assert max(held) <= 700
    assert found.stars == 2700


def test_files_without_a_star_of_ours_are_passed_over(
    sky, observed, side, outside_schema, mapping, tmp_path
):
    """By the pixels in their names: ids carry theirs in the bits above 59 - 2 level."""
    ours = side(observed, schema=outside_schema)
    pixels = sky.ids >> (59 - 2 * 8)
    limits = (0, int(pixels[1500]), int(pixels[-1]) + 1)
    other, files = Other(sky), []
    for name, rows in (
        (f"T_{0:06d}-{limits[1]:06d}", pixels <= limits[1]),
        (f"T_{limits[1] + 1:06d}-{limits[2]:06d}", pixels > limits[1]),
        (f"T_{limits[2] + 1:06d}-786431", pixels < 0),
    ):
        files.append(other.write(tmp_path / f"{name}.parquet", np.flatnonzero(rows)))
    found = beside(ours, files, mapping(pixels_in_names=8))
    assert (found.stars, len(found.files), found.passed_over) == (2700, 2, 1)
    walk = CrosswalkIds(sky.ids, sky.ids)
    assert beside(ours, files, mapping(pixels_in_names=8), matching=walk).passed_over == 0
