"""Stars that taught are known again, and answered by networks that did not see them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load, save

from catalog_builder.features.store import FeatureWriter, arrays_of
from catalog_builder.ground.digests import in_order
from catalog_builder.ground.errors import ModelError
from catalog_builder.inference.predict import predict_partition
from catalog_builder.inference.rows import read_rows
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.model import taught
from catalog_builder.model.document import fold_folder
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.fit.member import fit_member
from catalog_builder.model.kept_back import Answers
from catalog_builder.model.select.fit import limited, statistics_of
from catalog_builder.model.select.selection import spectra_of
from catalog_builder.model.settings import ModelSettings
from catalog_builder.model.stage import plan_assemble, plan_members
from catalog_builder.model.taught import (
    NO_FOLD,
    TaughtStars,
    fold_of,
    folds_of,
    strangers,
    without_fold,
)
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.training.design import Split, Stars
from catalog_builder.training.settings import TrainingSettings
from catalog_builder.training.split import split_of

SCHEMA, CONTRACT = default_schema(), default_contract()
FOLDS, BATCH = 2, 128


@pytest.fixture(scope="module")
def folded(settings):
    return settings.model_copy(update={"folds": FOLDS, "fold_members": 1})


@pytest.fixture(scope="module")
def model(members, sky, scaling, folded, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("folded")
    folds = []
    for fold in range(FOLDS):
        rest, changed = without_fold(sky, folded, fold)
        out = folder / f"fold-{fold}"
        folds.append([fit_member(rest, scaling, changed, member=9 + fold, seed=1, out=out).path])
    assemble(members, sky, scaling, folded, {"release": "dr3"}, folder / "model", folds=folds)
    return folder / "model"


@pytest.fixture(scope="module")
def estimator(model) -> Estimator:
    return Estimator.load(model)


@pytest.fixture(scope="module")
def block(sky):
    """Return features of the stars, with all that the catalogue copies from them."""
    missing = {c.name: c.numpy_dtype for c in SCHEMA.columns if c.name not in sky.block}
    return {**sky.block, **{name: np.zeros(len(sky), dtype) for name, dtype in missing.items()}}


def rows_of(block, estimator, folder, release="dr3"):
    stars = len(block["source_id"])
    arrays = arrays_of(CONTRACT.inputs)
    writer = FeatureWriter(folder / "features.zarr", 64, CONTRACT.inputs)
    for kind, names in arrays.items():
        writer.append(kind, {name: block[name] for name in names})
    spectra = {name for names in arrays.values() for name in names}
    sources = {name: values for name, values in block.items() if name not in spectra}
    sources |= {f"{kind}_row": np.arange(stars, dtype=np.int32) for kind in arrays}
    writer.finish(sources, {})
    out = folder / "rows.zarr"
    features = folder / "features.zarr"
    predict_partition(features, estimator, SCHEMA, BATCH, out, source_id_release=release)
    return read_rows(out, 0, stars)


def test_each_star_has_a_fold_that_follows_from_its_id(sky):
    fold = folds_of(sky, 5)
    assert (fold[sky.split == Split.TEST] == NO_FOLD).all()
    taught = sky.split != Split.TEST
    counts = np.bincount(fold[taught])
    assert len(counts) == 5
    assert counts.min() > 0.1 * taught.sum()
    some = np.arange(0, len(sky), 7)
    np.testing.assert_array_equal(folds_of(sky.take(some), 5), fold[some])
    for split in (Split.FIT, Split.VALIDATION, Split.CALIBRATION):
        assert len(np.unique(fold[sky.split == split])) == 5


def test_without_a_fold_the_same_labels_are_learnt(sky, folded):
    few = np.where(np.arange(len(sky))[:, None] < 90, sky.labels, np.nan)[:, :1]
    labels = np.concatenate([few, sky.labels[:, 1:]], axis=1).astype(np.float32)
    rest, changed = without_fold(replace(sky, labels=labels), folded, 1)
    assert (fold_of(rest.block["source_id"], FOLDS) != 1)[rest.split != Split.TEST].all()
    # All others teach: no star is kept back to choose an epoch by, and others set sigma.
    assert (rest.split == Split.FIT).sum() == (folds_of(sky, FOLDS) == 0).sum()
    assert (rest.split == Split.TEST).sum() == (sky.split == Split.TEST).sum()
    assert np.isnan(rest.labels[:, 0]).all()
    assert not np.isnan(rest.labels[:, 1:]).any()
    assert changed.min_label_stars == 1
    assert changed.folds == 0


def test_stars_are_known_by_ids_of_their_release_alone(sky):
    taught = TaughtStars.of(sky, FOLDS, "dr3")
    ids = sky.block["source_id"]
    known = taught.find(ids, "dr3")
    np.testing.assert_array_equal(known.split, sky.split + 1)
    np.testing.assert_array_equal(known.fold, folds_of(sky, FOLDS))
    for others, release in ((ids + 1_000_000, "dr3"), (ids, "dr4"), (ids[:0], "dr3")):
        found = taught.find(others, release)
        assert not found.split.any()
        assert (found.fold == NO_FOLD).all()
    assert not TaughtStars.nobody().find(ids, "").split.any()


def test_spectra_of_a_star_are_of_one_split_and_one_fold(sky):
    stars = sky.block["source_id"] // 3
    split = split_of(stars, 4, TrainingSettings())
    several = replace(sky, block={**sky.block, "star_id": stars}, split=split)
    fold = folds_of(several, FOLDS)
    for star in np.unique(stars)[:40]:
        assert len(np.unique(fold[stars == star])) == 1
    taught = TaughtStars.of(several, FOLDS, "survey")
    assert len(taught.ids) == len(np.unique(stars))
    assert not taught._problem(FOLDS)
    known = taught.find(stars, "survey")
    np.testing.assert_array_equal(known.split, split + 1)
    np.testing.assert_array_equal(known.fold, fold)
    with_more = taught.with_calibrators(np.repeat(10**9 + stars[:9], 2), stars[:0], FOLDS)
    assert not with_more._problem(FOLDS)


def test_who_taught_is_answered_by_networks_that_did_not_see_it(block, sky, estimator, tmp_path):
    rows = rows_of(block, estimator, tmp_path)
    np.testing.assert_array_equal(rows["source_id"], block["source_id"])
    np.testing.assert_array_equal(rows["training_split"], sky.split + 1)
    np.testing.assert_array_equal(rows["in_training_sample"], sky.split != Split.TEST)
    # One network has nobody to disagree with.
    taught = sky.split != Split.TEST
    assert np.isnan(rows["member_disagreement"][taught]).all()
    assert np.isfinite(rows["member_disagreement"][~taught]).any()
    fold = folds_of(sky, FOLDS)
    together = estimator.predict(block, BATCH)
    for number, model in enumerate(estimator.folds):
        at = np.flatnonzero(fold == number)
        own = model.predict({name: values[at] for name, values in block.items()}, BATCH)
        for column, expected, seen in (
            ("teff", own.mean, together.mean),
            ("e_teff", own.sigma, together.sigma),
            ("e95_teff", own.interval95, together.interval95),
        ):
            np.testing.assert_array_equal(rows[column][at], expected[:, 0].astype(np.float32))
            assert (rows[column][at] != seen[at, 0].astype(np.float32)).mean() > 0.99
        assert np.isfinite(rows["rvs_map_x"][at]).all()
        np.testing.assert_array_equal(
            rows["rvs_distance"][at], own.distances[:, 0].astype(np.float32)
        )
    others = fold == NO_FOLD
    np.testing.assert_array_equal(rows["teff"][others], together.mean[others, 0].astype(np.float32))


def test_stars_of_another_release_are_strangers(block, estimator, tmp_path):
    rows = rows_of(block, estimator, tmp_path, release="dr4")
    assert not rows["in_training_sample"].any()
    assert not rows["training_split"].any()
    expected = estimator.predict(block, BATCH).mean[:, 0].astype(np.float32)
    np.testing.assert_array_equal(rows["teff"], expected)


def test_no_landmark_of_a_fold_is_a_star_of_it(sky, estimator):
    """The nearest landmark of a fit star is itself, at no distance, where it is one."""
    inputs = CONTRACT.inputs
    for number, model in enumerate(estimator.folds):
        at = np.flatnonzero((folds_of(sky, FOLDS) == number) & (sky.split == Split.FIT))
        stars = Stars.from_block({name: values[at] for name, values in sky.block.items()}, inputs)
        for name in inputs.spectra:
            spectra = spectra_of(stars, name)
            together, own = (
                each._selection.places[name].near(spectra).square[:, 0] < 1e-3
                for each in (estimator, model)
            )
            assert together.double().mean() > 0.9
            assert not own.any()


def test_sigma_and_limits_of_a_fold_follow_from_stars_of_the_others(sky, estimator, settings):
    one, other = estimator.folds
    unseen = strangers(sky, FOLDS, 1)
    answers = Answers(other.before_calibration(), unseen)
    assert answers.corrections() == one.document.calibration

    def said(block):
        return other.contradictions(block, settings.validation_batch_size)

    seen = statistics_of(other._selection, said, unseen.block, settings)
    limits = limited(one._selection, seen, [seen], settings).gauges
    assert limits.keys() == one._selection.gauges.keys()
    for name, gauge in limits.items():
        np.testing.assert_array_equal(gauge.limit, one._selection.gauges[name].limit)


def test_no_more_strangers_than_needed_set_sigma(sky, monkeypatch):
    fold = folds_of(sky, 3)
    ids = sky.block["source_id"]
    everyone = [strangers(sky, 3, number).block["source_id"] for number in range(3)]
    for number, unseen in enumerate(everyone):
        np.testing.assert_array_equal(unseen, ids[fold == number])
    monkeypatch.setattr(taught, "MOST_STRANGERS", 200)
    some = [strangers(sky, 3, number).block["source_id"] for number in range(3)]
    assert 150 < sum(map(len, some)) < 250
    assert all(np.isin(few, many).all() for few, many in zip(some, everyone, strict=True))


def test_it_covers_who_taught_as_it_covers_strangers(sky, block, estimator, tmp_path):
    rows = rows_of(block, estimator, tmp_path)
    within = np.abs(rows["teff"] - sky.labels[:, 0]) < np.hypot(
        rows["e_teff"], sky.label_error[:, 0]
    )
    shares = [within[sky.split == split].mean() for split in Split]
    counts = [(sky.split == split).sum() for split in Split]
    for share, count in zip(shares, counts, strict=True):
        assert abs(share - 0.683) < 3.0 * np.sqrt(0.25 / count) + 0.04


# --- a model from a stranger ----------------------------------------------------------------------


@pytest.fixture
def copy(model, tmp_path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def seal(folder, change=lambda document: None):
    file = folder / "model.json"
    document = json.loads(file.read_text())
    if document["taught"]:
        stars = folder / document["taught"]["stars"]["file"]
        if stars.is_file():
            digest = hashlib.sha256(stars.read_bytes()).hexdigest()
            document["taught"]["stars"]["sha256"] = digest
    change(document)
    del document["digest"]
    said = {**document, "contract": in_order(document["contract"])}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps({**document, "digest": digest}))
    return digest


SPOILT = {
    "ids do not rise": ("ids", lambda ids: ids.flip(0)),
    "split holds": ("split", lambda split: split + 4),
    "fold holds": ("fold", lambda fold: torch.full_like(fold, FOLDS)),
    "fold is uint8 .*, not": ("fold", lambda fold: fold[:-1]),
    "split is int64 .*, not": ("split", lambda split: split.long()),
    "ids is float64 .*, not": ("ids", lambda ids: ids.double()),
    "more is one too many": ("more", None),
}


@pytest.mark.parametrize("match", SPOILT)
def test_ids_that_no_training_writes_are_refused(match, copy):
    file = copy / "taught.safetensors"
    tensors = load(file.read_bytes())
    name, change = SPOILT[match]
    tensors[name] = torch.zeros(1) if change is None else change(tensors[name]).contiguous()
    file.write_bytes(save(tensors, {"document": "{}"}))
    seal(copy)
    with pytest.raises(ModelError, match=match):
        Estimator.load(copy)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d["taught"]["folds"].pop(), "taught.folds"),
        (lambda d: d["taught"].update(folds=["0" * 64] * 65), "taught.folds"),
        (lambda d: d["taught"]["stars"].update(file="../taught.safetensors"), "not in taught"),
        (lambda d: d["taught"].update(source_id_release="x" * 201), "source_id_release"),
        (lambda d: d["taught"]["folds"].reverse(), "its digest differs"),
    ],
)
def test_a_document_that_no_training_writes_is_refused(change, match, copy):
    seal(copy, change)
    with pytest.raises(ModelError, match=match):
        Estimator.load(copy)


def test_a_fold_must_be_of_its_model(copy, model):
    fold = copy / fold_folder(0)
    shutil.rmtree(fold)
    with pytest.raises(ModelError, match="no such file"):
        Estimator.load(copy)
    shutil.copytree(model, fold)
    digest = seal(fold)
    seal(copy, lambda document: document["taught"]["folds"].__setitem__(0, digest))
    with pytest.raises(ModelError, match="folds of its own"):
        Estimator.load(copy)
    shutil.rmtree(fold)
    shutil.copytree(model / fold_folder(0), fold)
    digest = seal(fold, lambda document: document["settings"].update(depth=2))
    seal(copy, lambda document: document["taught"]["folds"].__setitem__(0, digest))
    with pytest.raises(ModelError, match="other settings"):
        Estimator.load(copy)
    shutil.rmtree(fold)
    fold.symlink_to(model / fold_folder(0))
    shutil.copy(model / "model.json", copy / "model.json")
    with pytest.raises(ModelError, match="symbolic link"):
        Estimator.load(copy)


def test_a_model_that_does_not_say_who_taught_it_knows_nobody(copy, block, tmp_path):
    seal(copy, lambda document: document.update(taught=None))
    estimator = Estimator.load(copy)
    (tmp_path / "rows").mkdir()
    rows = rows_of(block, estimator, tmp_path / "rows")
    assert not rows["in_training_sample"].any()
    assert not rows["training_split"].any()


def test_each_network_is_a_task_and_the_ensemble_comes_first(folded):
    facts = {"stage": "s", "stage_version": 1, "key": "k", "rows_in": 1, "rows_out": 1}
    facts |= {"rejected": {}, "pattern": "*", "output_digest": "d", "inventory": "", "seconds": 0.0}
    training = Receipt(task="t", output="training", **facts)
    tasks = plan_members(training, CONTRACT, folded, seed=1)
    assert [(task.name, task.payload["fold"]) for task in tasks] == [
        *(("member-00", None), ("member-01", None)),
        *(("fold-00-member-00", 0), ("fold-01-member-00", 1)),
    ]
    assert len({task.payload["member"] for task in tasks}) == len({t.key for t in tasks}) == 4
    made = [Receipt(task=task.name, output=task.name, **facts) for task in tasks]
    (task,) = plan_assemble(training, made, [], CONTRACT, folded, {})
    assert task.payload["members"] == ["member-00", "member-01"]
    assert task.payload["folds"] == [["fold-00-member-00"], ["fold-01-member-00"]]
    # Those of the ensemble stay as they are whatever becomes of the folds.
    other = folded.model_copy(update={"folds": 3})
    keys = [task.key for task in plan_members(training, CONTRACT, other, seed=1)]
    assert keys[:2] == [task.key for task in tasks[:2]]
    assert not {*keys[2:]} & {task.key for task in tasks}


def test_one_fold_is_none():
    with pytest.raises(ValidationError, match="one fold leaves nothing"):
        ModelSettings(folds=1)


def test_members_of_all_folds_are_needed(members, sky, scaling, folded, tmp_path):
    with pytest.raises(ModelError, match="members of 1 folds, not of 2"):
        assemble(members, sky, scaling, folded, {}, tmp_path / "model", folds=[members])
