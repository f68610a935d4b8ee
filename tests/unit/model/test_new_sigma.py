"""Sigma fitted anew holds on the new release, and nobody calibrates what will answer for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from catalog_builder.ground.errors import ModelError
from catalog_builder.model.calibrate.factors import Curve, Factor, LabelFactors, Surface
from catalog_builder.model.document import read_document
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.fit.member import fit_member
from catalog_builder.model.new_sigma import _Stars, recalibrate
from catalog_builder.model.origin import read_origin
from catalog_builder.model.taught import NO_FOLD, TaughtStars, fold_of, without_fold
from catalog_builder.training.design import Split
from tests.unit.model.conftest import invent_sky

FOLDS, BATCH = 2, 128
FACTS = {"calibrated_release": "dr4"}


@pytest.fixture(scope="module")
def folded(settings):
    return settings.model_copy(update={"folds": FOLDS, "fold_members": 1})


@pytest.fixture(scope="module")
def model(members, sky, scaling, folded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folded")
    folds = []
    for fold in range(FOLDS):
        rest, changed = without_fold(sky, folded, fold)
        out = folder / f"fold-{fold}"
        folds.append([fit_member(rest, scaling, changed, member=9 + fold, seed=1, out=out).path])
    facts = {"release": "dr3", "survey": "x"}
    assemble(members, sky, scaling, folded, facts, folder / "model", folds=folds)
    return folder / "model"


def worse(data, *, seed=3, shift=1_000_000):
    """Return stars as another release sees them: other ids, and spectra noisier than it says."""
    rng = np.random.default_rng(seed)
    block = dict(data.block)
    for name in ("rvs", "xp"):
        error = block[f"{name}_flux_error"]
        noise = 8.0 * error * rng.standard_normal(error.shape)
        block[f"{name}_flux"] = (block[f"{name}_flux"] + noise).astype(np.float32)
    block["old_source_id"] = block["source_id"]
    block["source_id"] = block["source_id"] + shift
    return replace(data, block=block)


def joined(one, other):
    """Return the stars of two samples, those of the second with ids of their own."""
    block = {name: np.concatenate([one.block[name], other.block[name]]) for name in one.block}
    block["old_source_id"][len(one) :] += 50_000
    return replace(
        one,
        block=block,
        labels=np.concatenate([one.labels, other.labels]),
        label_error=np.concatenate([one.label_error, other.label_error]),
        split=np.concatenate([one.split, other.split]),
    )


@pytest.fixture(scope="module")
def fresh():
    return worse(invent_sky(1000, seed=77), seed=78)


@pytest.fixture(scope="module")
def later(sky):
    """The stars that taught, and as many new ones, in the later release."""
    return joined(worse(sky), worse(invent_sky(1000, seed=8), seed=4))


@pytest.fixture(scope="module")
def made(model, later, tmp_path_factory):
    out = tmp_path_factory.mktemp("anew") / "model"
    recalibrate(model, later, FACTS, out)
    return out


def share(estimator, data):
    """Return the share of labels within sigma, the label's own error in quadrature."""
    found = estimator.predict(data.block, BATCH)
    within = np.abs(found.mean - data.labels) <= np.hypot(found.sigma, data.label_error)
    return within.mean(), (
        np.abs(found.mean - data.labels) <= np.hypot(found.interval95, 1.96 * data.label_error)
    ).mean()


def test_coverage_holds_on_stars_that_nobody_saw(model, made, fresh):
    before, _ = share(Estimator.load(model), fresh)
    after, wide = share(Estimator.load(made), fresh)
    assert before < 0.60
    assert after == pytest.approx(0.683, abs=0.04)
    assert wide == pytest.approx(0.95, abs=0.025)
    for fold in Estimator.load(made).folds:
        assert share(fold, fresh)[0] == pytest.approx(0.683, abs=0.05)


def test_the_new_model_names_its_parent_and_keeps_its_networks(model, made):
    before, after = read_document(model), read_document(made)
    assert after.provenance["parent"] == before.digest != after.digest
    assert after.weights == before.weights
    assert after.selection == before.selection
    origin = read_origin(after.provenance, made)
    assert (origin.release, origin.made_for, origin.calibrated_release) == ("dr3", "dr4", "dr4")
    assert "sigma fitted anew on" in origin.in_words
    assert after.provenance["parent_metrics"] == before.metrics["as_observed"]["all"]
    stars = after.metrics["as_observed"]["all"]["teff"]["stars"]
    assert 300 < stars < 700  # half of those that did not teach


def test_who_calibrated_is_known_and_who_measured_is_a_test_star(made, later, model):
    ids = later.block["old_source_id"]
    before, after = Estimator.load(model).taught, Estimator.load(made).taught
    was, now = before.find(ids, "dr3"), after.find(ids, "dr3")
    teaches = (was.split > 0) & (was.split != 1 + Split.TEST)
    np.testing.assert_array_equal(now.split[teaches], was.split[teaches])
    np.testing.assert_array_equal(now.fold[teaches], was.fold[teaches])
    rest = ~teaches
    assert set(now.split[rest].tolist()) == {1 + Split.CALIBRATION, 1 + Split.TEST}
    calibrates = rest & (now.split == 1 + Split.CALIBRATION)
    np.testing.assert_array_equal(now.fold[calibrates], fold_of(ids[calibrates], FOLDS))
    assert (now.fold[rest & ~calibrates] == NO_FOLD).all()


def test_no_star_calibrates_the_model_that_answers_for_it(model, later, monkeypatch):
    estimator = Estimator.load(model)
    stars = _Stars.of(later, estimator)
    after = estimator.taught.with_calibrators(stars.stranger_ids, stars.measured_ids, FOLDS)
    told = []

    class Told:
        def __init__(self, answering, data):
            self.answering, self.ids = answering, data.block["old_source_id"]

        def corrections(self, *others, level_only=False):
            told.append([self, *others])
            return {"any": (LabelFactors(),) * 5}

    monkeypatch.setattr("catalog_builder.model.new_sigma.Answers", Told)
    stars.calibrations(lambda share: None)
    assert [len(some) for some in told] == [1, FOLDS, FOLDS]
    for fold, some in zip([None, *range(FOLDS)], told, strict=True):
        for one in some:
            known = after.find(one.ids, "dr3")
            assert (known.split != 1 + Split.TEST).all()  # it only measures
            assert (known.fold != fold).all() if fold is not None else True
            # Nor does a network answer for a star that taught it.
            was = estimator.taught.find(one.ids, "dr3")
            unseen = np.isin(was.split, [0, 1 + Split.TEST])
            if one.answering is not estimator:
                unseen |= was.fold == estimator.folds.index(one.answering)
            else:  # in the catalogue those are answered by the models without their fold
                again = np.isin(was.split, [1 + Split.VALIDATION, 1 + Split.CALIBRATION])
                assert again.sum() > 100
                unseen |= again
            assert unseen.all()


def test_where_few_are_strangers_those_that_taught_tell_the_shape(model, later, tmp_path, fresh):
    recalibrate(model, later.take(np.arange(1200)), FACTS, tmp_path / "new")
    after, wide = share(Estimator.load(tmp_path / "new"), fresh)
    assert after == pytest.approx(0.683, abs=0.06)
    assert wide == pytest.approx(0.95, abs=0.03)


def test_a_model_is_recalibrated_once(made, later, tmp_path):
    with pytest.raises(ModelError, match="has been fitted anew before"):
        recalibrate(made, later, FACTS, tmp_path / "again")


def test_too_few_stars_are_refused(model, later, tmp_path):
    with pytest.raises(ModelError, match="are the least") as refusal:
        recalibrate(model, later.take(np.arange(40)), FACTS, tmp_path / "few")
    assert "--labels" in refusal.value.way_out
    assert not (tmp_path / "few").exists()


def test_a_model_that_does_not_say_who_taught_it_is_refused(model, later, tmp_path, monkeypatch):
    known = Estimator.load(model)
    known.taught = TaughtStars.nobody()
    monkeypatch.setattr(Estimator, "load", lambda path: known)
    with pytest.raises(ModelError, match="does not say which stars taught it"):
        recalibrate(model, later, FACTS, tmp_path / "new")


def test_a_product_of_factors_is_the_product_of_their_values():
    one = Factor(
        constant=0.1,
        curves=(Curve(knots=(0.0, 1.0), values=(0.0, 0.5)),),
        along_temperature=Curve(knots=(0.0, 2.0), values=(0.3, -0.1)),
        over_gravity=Surface(first=(0.0, 1.5), second=(1.0, 2.0, 4.0), values=(0.1, 0.0, -0.2) * 2),
    )
    other = Factor(
        constant=-0.3,
        curves=(
            Curve(knots=(0.5, 2.0), values=(0.2, -0.2)),
            Curve(knots=(), values=()),
            Curve(knots=(3.0, 4.0), values=(0.0, 1.0)),
        ),
        over_gravity=Surface(first=(1.0, 3.0), second=(0.0, 3.0), values=(0.0, 0.4, -0.3, 0.2)),
    )
    places = np.random.default_rng(0).uniform(-1, 5, (200, 5))
    places[::7, 0] = np.nan
    for left, right in ((one, other), (other, one), (one, Factor())):
        np.testing.assert_allclose(left.times(right)(places), left(places) * right(places))


def test_without_a_correction_a_calibration_stays():
    before = LabelFactors(sigma=Factor(constant=0.2), interval95=Factor(constant=0.4))
    assert before.corrected(LabelFactors()) == before
