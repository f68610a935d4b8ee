"""Sums of stars with labels: they add up, and give what the stars themselves give."""

from itertools import pairwise

import numpy as np
import pytest

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.labels import Labels
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import StoreError
from catalog_builder.model.calibrate.metrics import label_metrics
from catalog_builder.report.accuracy import residuals
from catalog_builder.report.labelled import KEPT_BACK, TAUGHT, Edges, Labelled
from catalog_builder.report.pooling import POOLED, pooled, regime_cells
from catalog_builder.report.standing import groups
from catalog_builder.report.summary import Summary

EDGES = Edges((15.0, 25.0, 50.0, 100.0), (11.0, 13.0, 14.0, 15.0, 16.0, 17.0))
STARS = 3000


@pytest.fixture(scope="module")
def stars(schema, make_rows):
    """Return rows, labels and errors."""
    columns, rng = make_rows(STARS), np.random.default_rng(8)
    names = schema.contract.labels.names
    columns["training_split"] = rng.integers(0, 5, STARS).astype("u1")
    mean, sigma = (np.stack([columns[p + n] for n in names], axis=1) for p in ("", "e_"))
    labels = mean + 1.2 * np.hypot(sigma, 0.03) * rng.standard_normal(mean.shape)
    labels[:40, 0] = np.nan
    return columns, labels.astype(float), np.full(mean.shape, 0.03)


def summed(schema, stars, *parts):
    sums = Labelled(schema, EDGES)
    columns, labels, errors = stars
    for part in parts:
        sums.add({name: v[part] for name, v in columns.items()}, labels[part], errors[part])
    return sums


def test_they_are_the_measures_of_the_stars(schema, stars):
    columns, labels, errors = stars
    names = schema.contract.labels.names
    sums = summed(schema, stars, slice(None))
    mean, sigma, interval = (
        np.stack([columns[p + n].astype(float) for n in names], axis=1) for p in ("", "e_", "e95_")
    )
    metrics = label_metrics(mean, sigma, interval, labels, errors, declared=schema.labels)
    for name, values in metrics.items():
        found = sums.measured(name, sums.cell("all"))
        assert found.stars == values["stars"]
        assert found.within_68 / found.stars == values["coverage_68"]
        assert found.within_95 / found.stars == values["coverage_95"]
        assert found.bias == pytest.approx(values["bias"], abs=0.05 * values["robust_scatter"])
        assert found.scatter == pytest.approx(values["robust_scatter"], rel=0.06)
        assert found.pull_scatter == pytest.approx(1.2, rel=0.08)


def test_groups_and_divisions_have_every_star_once(schema, stars):
    sums = summed(schema, stars, slice(None))
    split = stars[0]["training_split"]
    taught = sums.measured("logg", sums.cell("all"), TAUGHT).stars
    kept = sums.measured("logg", sums.cell("all"), KEPT_BACK).stars
    given = np.isfinite(stars[0]["logg"])
    assert taught == ((split > 0) & (split < 4) & given).sum()
    assert taught + kept == given.sum()
    for name in ("regime", "temperature", "own", "magnitude", "sigma"):
        cells = [sums.cell(name, n) for n in range(len(sums.divisions[name].cells))]
        assert sums.measured("logg", cells).stars == taught + kept, name


@pytest.mark.parametrize("pulls", [True, False])
def test_what_no_star_has_is_not_drawn(schema, stars, pulls):
    columns, labels, errors = stars
    without = {**columns, "rvs_spec_sig_to_noise": np.full(STARS, np.nan, "f4")}
    some = residuals(summed(schema, stars, slice(None)), schema, pulls=pulls)
    pictures = residuals(
        summed(schema, (without, labels, errors), slice(None)), schema, pulls=pulls
    )
    assert len(pictures) == len(some) - 1


def test_parts_add_up(schema, stars):
    whole, total = summed(schema, stars, slice(None)), Labelled(schema, EDGES)
    for part in (slice(0, 7), slice(7, 1500), slice(1500, None)):
        total.add_state(summed(schema, stars, part).state())
    for one, other in zip(whole._arrays, total._arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sums_of_other_labels_are_refused(schema, stars):
    state = summed(schema, stars, slice(0, 9)).state()
    state["labelled_numbers"] = state["labelled_numbers"] + 1
    with pytest.raises(StoreError, match="another version"):
        Labelled(schema, EDGES).add_state(state)


def test_regimes_of_few_stars_are_pooled_and_bins_grow(schema, stars):
    sums = summed(schema, stars, slice(0, 300))
    regimes = regime_cells(sums, "logg", 20)
    assert regimes[0] == ("", [sums.cell("all")])
    assert regimes[-1][0] == POOLED
    assert (
        sum(sums.measured("logg", cells).stars for _, cells in regimes[1:])
        == sums.measured("logg", sums.cell("all")).stars
    )
    bins = pooled(sums, "logg", "own", 50)
    assert all(found.stars >= 50 for *_, found in bins)
    assert all(one[1] <= other[0] for one, other in pairwise(bins))


@pytest.mark.parametrize(("low", "high", "told"), [(5000, 12000, "≥"), (2000, 6000, "<")])
def test_a_range_without_cool_or_hot_stars_has_no_group_of_them(schema, stars, low, high, told):
    labels = Labels(
        one.model_copy(update={"range": (low, high)}) if one.name == "teff" else one
        for one in schema.contract.labels
    )
    narrow = CatalogSchema.of(Contract(labels=labels, inputs=schema.inputs))
    columns = {**stars[0], "teff": np.where(np.arange(STARS) % 2, 4000, 7000).astype("f4")}
    columns["teff"] = columns["teff"].clip(low, high - 1)
    sums = summed(narrow, (columns, *stars[1:]), slice(None))
    assert sums.measured("teff", []).stars == 0
    found = groups(Summary(narrow), sums, {})
    assert [one.title.split()[-3] for one in found if one.division == "temperature"] == [told]
