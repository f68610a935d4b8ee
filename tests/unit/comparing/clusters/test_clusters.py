"""Scatter, trend and mean that are planted in star clusters are found."""

import json
import re

import numpy as np
import pytest

from catalog_builder.comparing.clusters.engine import look_at_clusters
from catalog_builder.comparing.clusters.fit import fit, pool
from catalog_builder.comparing.clusters.front import Options, closing_lines, in_words, write
from catalog_builder.comparing.clusters.members import (
    Wanted,
    plain_name,
    read_literature,
    read_members,
)
from catalog_builder.comparing.matching import CrosswalkIds
from catalog_builder.comparing.pairs import Finder
from catalog_builder.ground.errors import ConfigError, InputError
from tests.unit.comparing.conftest import Sky
from tests.unit.comparing.outside.conftest import outside_schema

__all__ = ["outside_schema"]

CLUSTERS, STARS = 20, 60


def drawn(rng, stars=60, intrinsic=0.0, sigma=0.05, stated=1.0, slope=0.0):
    heat = rng.uniform(4500, 6500, stars)
    errors = sigma * rng.uniform(0.7, 1.3, stars)
    values = -0.1 + errors * rng.normal(size=stars) + intrinsic * rng.normal(size=stars)
    return values + slope * (heat - 5500) / 1000, stated * errors, heat


@pytest.mark.parametrize("intrinsic", [0.0, 0.03, 0.1])
def test_the_intrinsic_scatter_is_within_its_interval(intrinsic):
    """Where there is one, in 68 of 100 clusters; where there is none, its upper limit holds."""
    rng = np.random.default_rng(1)
    fits = [fit(*drawn(rng, intrinsic=intrinsic)) for _ in range(100)]
    inside = sum(each.intrinsic_low <= intrinsic <= each.intrinsic_high for each in fits)
    assert inside >= (85 if intrinsic == 0 else 55)
    assert sum(intrinsic <= each.intrinsic_upper for each in fits) >= 90
    mean = np.array([(each.mean + 0.1) / each.mean_error for each in fits])
    assert abs(np.mean(mean)) < 0.4
    assert 0.8 < np.std(mean) < 1.25
    if intrinsic:
        assert np.mean([each.intrinsic for each in fits]) == pytest.approx(intrinsic, rel=0.15)


@pytest.mark.parametrize("stated", [0.6, 1.0, 1.5])
def test_a_wrong_sigma_is_found(stated):
    rng = np.random.default_rng(2)
    found = pool([fit(*drawn(rng, stated=stated)) for _ in range(30)])
    assert abs(found.factor - 1 / stated) < 4 * found.factor_error
    assert found.factor_error < 0.04
    assert found.clusters == 30
    assert found.stars > 1790


@pytest.mark.parametrize("slope", [0.0, 0.04])
def test_a_trend_with_temperature_is_found(slope):
    pulls = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found = pool([fit(*drawn(rng, stars=30, intrinsic=0.03, slope=slope)) for _ in range(10)])
        pulls.append((found.slope - slope) / found.slope_error)
    assert abs(np.mean(pulls)) < 1.0
    assert np.std(pulls) < 1.6
    assert slope == 0 or found.slope > 5 * found.slope_error


def test_members_that_are_none_are_left_out():
    values, errors, heat = drawn(np.random.default_rng(3))
    values[:4] = 1.0
    found = fit(values, errors, heat)
    assert (found.stars, found.strays) == (56, 4)
    assert abs(found.mean + 0.1) < 4 * found.mean_error


def test_too_few_stars_have_no_scatter():
    assert fit(*drawn(np.random.default_rng(4), stars=4)) is None
    assert pool([]) is None


@pytest.fixture
def sky():
    return Sky(CLUSTERS * STARS)


@pytest.fixture
def ours(sky, side, outside_schema):
    """A catalogue in which all stars of a cluster have its abundances; some taught the model."""
    for name in ("m_h", "alpha_m", "fe_h"):
        sky.truth[name] = np.repeat(np.linspace(-0.5, 0.3, CLUSTERS), STARS)
    sky.truth["m_h"] += 0.08 * (sky.truth["teff"] - 5000) / 1000  # a trend of ours
    rows = sky.observe(outside_schema)
    rows["in_training_sample"] = np.arange(len(sky.ids)) % 6 == 0
    return side(rows, schema=outside_schema)


@pytest.fixture
def table(sky, tmp_path):
    lines = ["GaiaDR3,Name,Proba"]
    for row, star in enumerate(sky.ids):
        lines.append(f"{star},NGC_{row // STARS:04d},{0.9 if row % STARS else 0.1}")
    lines += [f"{sky.ids[5]},Other_1,0.6", "7,NGC_0001,0.9", ",NGC_0001,0.9"]
    path = tmp_path / "members.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_clusters_of_a_catalogue(ours, table, tmp_path):
    members = read_members(table, 0.5)
    assert (len(members.ids), members.improbable, members.again) == (1181, 20, 1)
    literature = tmp_path / "literature.csv"
    rows = [f"ngc {n},{value},0.02" for n, value in enumerate(np.linspace(-0.5, 0.3, CLUSTERS))]
    literature.write_text("cluster,fe_h,e_fe_h\n" + "\n".join(rows) + "\n")
    known = read_literature(literature, ("m_h", "fe_h"))
    found = look_at_clusters(ours, members, literature=known)
    assert found.left_out == {"not in the catalogue": 1, "taught the model": 180}
    assert found.stars == 1000
    assert [label.name for label in found.labels] == ["m_h", "alpha_m", "fe_h"]
    assert found.pooled["fe_h"].clusters == CLUSTERS
    for name in ("alpha_m", "fe_h"):
        each = found.pooled[name]
        assert abs(each.factor - 1) < 4 * each.factor_error
        assert abs(each.slope) < 4 * each.slope_error
    assert found.pooled["m_h"].slope == pytest.approx(0.08, abs=0.02)
    assert "[M/H] runs with temperature: +0.0" in in_words(found)
    off = [
        (each.mean - said[0]) / each.mean_error
        for cluster, each in found.fits["fe_h"].items()
        if (said := found.of_literature("fe_h", cluster))
    ]
    assert len(off) == CLUSTERS
    assert abs(np.mean(off)) < 1
    page, document = write(found, tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert text.count("<img ") == 3
    assert "nan" not in re.sub(r'src="[^"]*"', "", text).lower()
    content = json.loads(document.read_text(encoding="utf-8"))
    assert content["labels"]["fe_h"]["clusters"]["NGC_0003"]["literature"]["error"] == 0.02
    assert content["labels"]["m_h"]["pooled"]["clusters"] == CLUSTERS
    assert closing_lines(found).count("clusters,") == 3


def test_a_sigma_that_is_too_small_is_told(sky, side, outside_schema, table):
    for name in ("m_h", "alpha_m", "fe_h"):
        sky.truth[name] = np.repeat(np.linspace(-0.5, 0.3, CLUSTERS), STARS)
    rows = sky.observe(outside_schema, stated=0.7)
    found = look_at_clusters(side(rows, schema=outside_schema), read_members(table, 0.5))
    assert in_words(found).startswith("Stars of a cluster scatter more than σ says: [M/H] × 1.4")


def test_ids_of_another_release_go_through_a_crosswalk(ours, sky, table):
    members = read_members(table, 0.5)
    walk = CrosswalkIds(members.ids[:500], members.ids[:500])
    found = look_at_clusters(ours, members, matching=walk, taught=True)
    assert found.left_out["no single match in the crosswalk"] == 681
    assert found.stars + found.left_out["not in the catalogue"] == 500


def test_clusters_without_enough_stars_are_said_to_be_none(ours, sky, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text(f"source_id,cluster\n{sky.ids[1]},a\n{sky.ids[2]},a\n")
    found = look_at_clusters(ours, read_members(path, 0.5))
    assert in_words(found).startswith("No cluster has enough stars")
    assert write(found, tmp_path / "out")


@pytest.mark.parametrize(
    "names",
    [("NGC_2682", "NGC 2682", "ngc2682"), ("NGC_0188", "NGC 188"), ("Blanco 1", "Blanco_1")],
)
def test_a_cluster_is_known_however_it_is_written(names):
    assert len({plain_name(name) for name in names}) == 1


def test_columns_may_be_named(table, tmp_path):
    text = table.read_text().replace("GaiaDR3,Name,Proba", "a,b,c")
    table.write_text(text)
    with pytest.raises(InputError, match="--id-column"):
        read_members(table, 0.5)
    assert len(read_members(table, 0.5, Wanted("a", "b", "c")).ids) == 1181
    assert len(read_members(table, 0.5, Wanted("a", "b")).ids) == 1201  # no probability is known


def test_what_cannot_be_used_is_refused(ours, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("source_id,cluster\n3,a\n")
    with pytest.raises(InputError, match="None of the 1 members is in the catalogue"):
        look_at_clusters(ours, read_members(path, 0.5))
    path.write_text("source_id,cluster,prob\n3,a,0.1\n")
    with pytest.raises(InputError, match="no member: of 1 rows 1 are below"):
        look_at_clusters(ours, read_members(path, 0.5))
    with pytest.raises(InputError, match="none of m_h"):
        read_literature(path, ("m_h",))
    with pytest.raises(ConfigError, match="not from 0 to 1"):
        Options(least_probability=70)


def test_no_star_at_all_is_looked_up(ours):
    """As of a chunk, or of members, of which a crosswalk knows none."""
    rows, found = Finder(ours, ["m_h"]).find(np.empty(0, np.int64))
    assert len(rows) == len(found["m_h"]) == len(found["source_id"]) == 0
