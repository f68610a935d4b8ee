"""Shares of the high sequence, of answers that are drawn to where the teachers are."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr
from astropy import units as u
from astropy.table import MaskedColumn, QTable
from astropy.utils.masked import Masked

from catalog_builder import open_table
from catalog_builder.catalog.high_alpha import HEIGHTS, LINE, RADII, high_alpha, learn
from catalog_builder.catalog.layout import RELEASE_FILE
from catalog_builder.catalog.plots import plot_shares
from catalog_builder.catalog.side_record import SideFacts
from catalog_builder.catalog.voparquet import table_of
from catalog_builder.contract.columns import Column
from catalog_builder.contract.side_table import SOURCE_ID, SideTable
from catalog_builder.ground.errors import CatalogueError, ConfigError

KNOTS = tuple(np.array(LINE).T)
G = "phot_g_mean_mag"


def drawn(rng, count, high_share, faint=13.5):
    """Return truth and answers: the fainter a star, the more it is drawn to the low sequence."""
    high = rng.random(count) < high_share
    m_h = rng.normal(np.where(high, -0.4, -0.1), 0.25).clip(-0.95, 0.3)
    alpha_m = np.where(high, 0.23, 0.04) - 0.1 * m_h + rng.normal(0, 0.02, count)
    g = rng.uniform(10, faint, count)
    share = np.exp(rng.normal(-3 + 0.6 * (g - 12), 0.2)).clip(0.01, 0.8)
    answer = alpha_m + (6 * share).clip(0, 0.7) * (0.03 - alpha_m) + rng.normal(0, 0.02, count)
    truth = {"m_h": m_h, "alpha_m": alpha_m}
    return truth, {"m_h": m_h, "alpha_m": answer, "prior_share": share, G: g}


@pytest.fixture(scope="module")
def learnt():
    truth, answers = drawn(np.random.default_rng(1), 2500, 0.2)
    return learn(answers, truth, KNOTS, -1.0, G)


@pytest.fixture(scope="module")
def sky():
    rng = np.random.default_rng(2)
    radius, height = rng.uniform(4, 12, 24_000), rng.uniform(0, 4, 24_000)
    truth, answers = drawn(rng, 24_000, 0.1 + 0.05 * height + 0.02 * (12 - radius))
    place = {"galactocentric_radius": radius, "galactocentric_height": -height}
    above = truth["alpha_m"] > np.interp(truth["m_h"], *KNOTS)
    stars = {**answers, **place, "above": above}
    return xr.Dataset({name: ("source", values) for name, values in stars.items()})


def test_shares_hold_where_counting_does_not(learnt, sky):
    found = learnt.shares(sky)
    assert found.share.shape == (len(HEIGHTS) - 1, len(RADII) - 1)
    assert 12.5 < learnt.faintest < 13.5
    use = (sky[G] <= learnt.faintest).values
    bins = [sky[n].values[use] for n in ("galactocentric_height", "galactocentric_radius")]
    bins[0] = -bins[0]
    count, *_ = np.histogram2d(*bins, bins=(HEIGHTS, RADII))
    np.testing.assert_array_equal(found.stars, count)
    answer_above = (sky.alpha_m > np.interp(sky.m_h, *KNOTS)).values
    pulls = {}
    for name, high in (("true", sky.above.values), ("counted", answer_above)):
        of, *_ = np.histogram2d(*bins, bins=(HEIGHTS, RADII), weights=high[use])
        pulls[name] = (found.share.values - of / count) / (found.upper - found.lower).values * 2
    assert np.sqrt(np.mean(pulls["true"] ** 2)) < 1.1
    assert (pulls["counted"] > 1).mean() > 0.5  # counts lose high stars
    assert ((found.lower < found.share) & (found.share < found.upper)).all()


def test_weights_count_stars_several_times(learnt, sky):
    edges = {"radii": (4, 12), "heights": (0, 4)}
    high = sky.above.values
    more = learnt.shares(sky, **edges, weights=np.where(high, 3.0, 1.0))
    plain = learnt.shares(sky, **edges)
    assert float(more.share[0, 0]) > float(plain.share[0, 0]) + 0.1
    assert (more.upper - more.lower).item() > (plain.upper - plain.lower).item()
    with pytest.raises(ConfigError, match="24000 stars"):
        learnt.shares(sky, weights=[1.0])


def test_what_is_null_halo_or_faint_has_no_part(learnt, sky):
    few = sky.isel(source=slice(0, 5)).copy(deep=True)
    few.m_h[0], few.alpha_m[1], few.prior_share[2] = -1.5, np.nan, np.nan
    assert np.isnan(learnt.probability(few)).tolist() == [True] * 3 + [False] * 2
    edges = {"radii": (0, 99), "heights": (0, 99)}
    assert learnt.shares(few, **edges, faintest=99, fewest=1).stars.item() == 2
    empty = learnt.shares(few, **edges, faintest=5, fewest=1)
    assert empty.stars.item() == 0
    assert np.isnan(empty.share.item())


def test_shares_are_drawn(learnt, sky):
    from matplotlib import pyplot as plt

    ax = plot_shares(learnt.shares(sky))
    assert len(ax.texts) == (len(HEIGHTS) - 1) * (len(RADII) - 1)
    plt.close("all")


def test_what_cannot_be_learnt_is_said(pristine, sky, learnt):
    with pytest.raises(CatalogueError, match="no table training_labels"):
        high_alpha(pristine)
    truth, answers = drawn(np.random.default_rng(3), 200, 0.02)
    with pytest.raises(CatalogueError, match="30 of each"):
        learn(answers, truth, KNOTS, -1.0, G)
    with pytest.raises(ConfigError, match="rising"):
        high_alpha(pristine, [(0.2, 0.1), (0.0, 0.2)])
    with pytest.raises(ConfigError, match="rise"):
        learnt.shares(sky, radii=(4, 4))
    with pytest.raises(CatalogueError, match="no column prior_share"):
        learnt.probability(sky.drop_vars("prior_share"))


def label(name):
    return Column(name=name, dtype="float32", ucd="phys.abund", description="Label.")


TAUGHT = SideTable(
    name="training_labels", title="Who taught", columns=(SOURCE_ID, label("m_h"), label("alpha_m"))
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory, full_schema, publish_rows):
    """A catalogue and its table of those who taught: every second star, in another order."""
    names = ("source_id", "m_h", "alpha_m", "prior_share", G, "training_split", "has_rvs", "flags")
    kept = tuple(full_schema[name] for name in names)
    schema = full_schema.model_copy(update={"all_columns": kept})
    rng = np.random.default_rng(5)
    truth, answers = drawn(rng, 300, 0.4)
    split = rng.integers(1, 5, 300).astype("u1")
    answers = {name: values.astype("f4") for name, values in answers.items()}
    folder = publish_rows(
        tmp_path_factory.mktemp("taught") / "dr3" / "v1",
        schema,
        rows=300,
        **answers,
        training_split=split,
        flags=np.full(300, 15),
    )
    order = rng.permutation(np.arange(0, 300, 2))
    rows = {"source_id": np.asarray(open_table(folder, ["source_id"])["source_id"])[order]}
    rows |= {name: values[order].astype("f4") for name, values in truth.items()}
    rows["source_id"][0] += 1  # not in the catalogue
    pq.write_table(table_of(rows, TAUGHT), folder / "training_labels.parquet")
    facts = SideFacts(
        declared=TAUGHT, rows=150, files={"parquet": "training_labels.parquet"}, by_rows=False
    )
    edit(folder, tables={"training_labels": facts.model_dump(mode="json", by_alias=True)})
    order = order[1:]
    return folder, answers, truth, split, order


def edit(folder, **changed):
    record = json.loads((folder / RELEASE_FILE).read_text())
    (folder / RELEASE_FILE).write_text(json.dumps({**record, **changed}))


def direct(answers, truth, at):
    return learn(
        {name: values[at] for name, values in answers.items()},
        {name: values[at].astype("f4") for name, values in truth.items()},
        KNOTS,
        -1.0,
        G,
    )


def test_labels_are_joined_to_answers_by_their_ids(taught):
    folder, answers, truth, _, at = taught
    found, meant = high_alpha(folder), direct(answers, truth, at)
    np.testing.assert_allclose(found.weights, meant.weights, rtol=1e-6)
    assert found.weights[1] > 1
    assert (found.magnitude, found.faintest) == (G, pytest.approx(meant.faintest))


def test_without_folds_only_stars_teach_that_fitted_no_network(taught):
    folder, answers, truth, split, at = taught
    record = json.loads((folder / RELEASE_FILE).read_text())
    edit(folder, model={**record["model"], "answers_seen": True})
    try:
        found = high_alpha(folder)
    finally:
        edit(folder, model=record["model"])
    meant = direct(answers, truth, at[split[at] > 1])
    np.testing.assert_allclose(found.weights, meant.weights, rtol=1e-6)
    assert not np.allclose(found.weights, direct(answers, truth, at).weights)


def test_a_model_that_tells_no_prior_share_is_said():
    truth, answers = drawn(np.random.default_rng(3), 200, 0.3)
    answers["prior_share"][:] = np.nan
    with pytest.raises(CatalogueError, match="Train the model anew"):
        learn(answers, truth, KNOTS, -1.0, G)


def test_without_magnitudes_no_star_is_too_faint(sky):
    truth, answers = drawn(np.random.default_rng(3), 400, 0.3)
    answers[G][:] = np.nan
    learnt = learn(answers, truth, KNOTS, -1.0, G)
    assert (learnt.magnitude, learnt.faintest) == (None, np.inf)
    few = sky.isel(source=slice(0, 500)).drop_vars(G)
    assert learnt.shares(few, (4, 12), (0, 4)).stars.item() == 500


def test_other_units_are_converted_and_masked_values_are_null(learnt, sky):
    few = sky.isel(source=slice(0, 400))
    edges = {"radii": (4, 8, 12), "heights": (0, 4), "faintest": 99}
    meant = learnt.shares(few, **edges)
    table = QTable({name: few[name].values for name in few.variables})
    for name in ("galactocentric_radius", "galactocentric_height"):
        table[name] = (few[name].values * u.kpc).to(u.pc)
    np.testing.assert_array_equal(learnt.shares(table, **edges).stars, meant.stars)
    hidden = np.arange(400) < 100
    table["galactocentric_radius"] = Masked(table["galactocentric_radius"], mask=hidden)
    table["m_h"] = MaskedColumn(few.m_h.values, mask=np.roll(hidden, 100))
    found = learnt.shares(table, **edges)
    rest = learnt.shares(few.isel(source=slice(200, None)), **edges)
    np.testing.assert_array_equal(found.stars, rest.stars)
    table["galactocentric_radius"] = few.galactocentric_radius.values * u.K
    with pytest.raises(CatalogueError, match="in K, which is no unit of kpc"):
        learnt.shares(table, **edges)
