from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save

from catalog_builder.ground.errors import ModelError
from catalog_builder.model.checkpoint import read_tensors, write_tensors
from catalog_builder.model.fit.loop import learning_rate
from catalog_builder.model.fit.member import CHECKPOINT, LOG, WEIGHTS, fit_member
from catalog_builder.training.design import Split


class ProcessEndError(Exception):
    """Stands for the end of the process."""


def kill_at(epoch: int):
    def on_epoch(row):
        if row["epoch"] == epoch:
            raise ProcessEndError

    return on_epoch


@pytest.mark.parametrize("epoch", [1, 4])
def test_a_killed_training_goes_on_to_the_same_bytes(
    epoch, members, sky, scaling, settings, tmp_path
):
    with pytest.raises(ProcessEndError):
        fit_member(sky, scaling, settings, member=0, seed=1, out=tmp_path, on_epoch=kill_at(epoch))
    assert not (tmp_path / WEIGHTS).exists()
    torch.manual_seed(99)  # the process-wide random state is another one after a restart
    resumed = []
    fit_member(sky, scaling, settings, member=0, seed=1, out=tmp_path, on_epoch=resumed.append)
    assert [row["epoch"] for row in resumed] == list(range(epoch + 1, settings.epochs + 1))
    for name in (WEIGHTS, LOG, CHECKPOINT):
        assert (tmp_path / name).read_bytes() == (members[0] / name).read_bytes(), name


def test_a_finished_training_is_not_repeated(members, sky, scaling, settings):
    before = (members[0] / WEIGHTS).read_bytes()
    epochs = []
    result = fit_member(
        sky, scaling, settings, member=0, seed=1, out=members[0], on_epoch=epochs.append
    )
    assert epochs == []
    assert result.epochs == settings.epochs
    assert (members[0] / WEIGHTS).read_bytes() == before


def test_members_differ(members):
    first, second = (read_tensors(member / WEIGHTS)[0] for member in members)
    assert not torch.equal(first["head.weight"], second["head.weight"])


def test_a_checkpoint_of_another_training_is_refused(members, sky, scaling, settings):
    with pytest.raises(ModelError, match="belongs to another training: member, seed differ"):
        fit_member(sky, scaling, settings, member=1, seed=2, out=members[0])
    other = settings.model_copy(update={"learning_rate": 1e-4})
    with pytest.raises(ModelError, match="settings differ"):
        fit_member(sky, scaling, other, member=0, seed=1, out=members[0])


def test_more_members_or_other_regimes_need_no_new_training(settings):
    other = settings.model_copy(update={"members": 7, "magnitude_edges": (12.0,)})
    assert other.training() == settings.training()


def truncated(content: bytes) -> bytes:
    return content[:1000]


def flipped(content: bytes) -> bytes:
    """One bit of a weight: safetensors itself has no checksum."""
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


def of_another_program(content: bytes) -> bytes:
    return save({"weights/head.bias": torch.zeros(20)}, metadata={"document": "{}"})


def without_sense(content: bytes) -> bytes:
    return (1 << 62).to_bytes(8, "little") + b"[" * 100_000


@pytest.mark.parametrize("damage", [truncated, flipped, of_another_program, without_sense])
def test_a_damaged_checkpoint_counts_as_none(damage, members, sky, scaling, settings, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(damage((members[0] / CHECKPOINT).read_bytes()))
    epochs = []
    result = fit_member(
        sky, scaling, settings, member=0, seed=1, out=tmp_path, on_epoch=epochs.append
    )
    assert result.spoilt_checkpoint
    assert [row["epoch"] for row in epochs] == list(range(1, settings.epochs + 1))
    assert (tmp_path / WEIGHTS).read_bytes() == (members[0] / WEIGHTS).read_bytes()
    again = fit_member(sky, scaling, settings, member=0, seed=1, out=tmp_path)
    assert not again.spoilt_checkpoint


def without_a_digest(file):
    """Return the tensors and the document of a checkpoint as version 0.1.0 wrote it."""
    tensors, document = read_tensors(file, head=1 << 24)
    return tensors, {name: part for name, part in document.items() if name != "sha256"}


def test_a_checkpoint_of_version_0_1_0_is_gone_on_from(members, sky, scaling, settings, tmp_path):
    with pytest.raises(ProcessEndError):
        fit_member(sky, scaling, settings, member=0, seed=1, out=tmp_path, on_epoch=kill_at(3))
    checkpoint = tmp_path / CHECKPOINT
    tensors, document = without_a_digest(checkpoint)
    assert document.keys() == {"identity", "progress"}
    write_tensors(checkpoint, tensors, document)
    rows = []
    result = fit_member(
        sky, scaling, settings, member=0, seed=1, out=tmp_path, on_epoch=rows.append
    )
    assert not result.spoilt_checkpoint
    assert rows[0]["epoch"] == 4
    for name in (WEIGHTS, LOG, CHECKPOINT):
        assert (tmp_path / name).read_bytes() == (members[0] / name).read_bytes(), name


def lacks_a_moment(tensors, document):
    del tensors["optimiser/0/exp_avg"]


def has_another_shape(tensors, document):
    tensors["best/head.bias"] = tensors["best/head.bias"][1:]


def is_not_finite(tensors, document):
    tensors["average/head.bias"][0] = float("nan")


def lacks_progress(tensors, document):
    del document["progress"]


def has_no_epoch(tensors, document):
    document["progress"]["epoch"] = "three"


@pytest.mark.parametrize(
    "spoil", [lacks_a_moment, has_another_shape, is_not_finite, lacks_progress, has_no_epoch]
)
def test_a_checkpoint_of_version_0_1_0_that_does_not_fit_counts_as_none(
    spoil, members, sky, scaling, settings, tmp_path
):
    tensors, document = without_a_digest(members[0] / CHECKPOINT)
    spoil(tensors, document)
    write_tensors(tmp_path / CHECKPOINT, tensors, document)
    result = fit_member(sky, scaling, settings, member=0, seed=1, out=tmp_path)
    assert result.spoilt_checkpoint
    assert (tmp_path / WEIGHTS).read_bytes() == (members[0] / WEIGHTS).read_bytes()


def test_weights_and_log_that_were_discarded_come_back_from_the_checkpoint(
    members, sky, scaling, settings, tmp_path
):
    (tmp_path / CHECKPOINT).write_bytes((members[0] / CHECKPOINT).read_bytes())
    fit_member(sky, scaling, settings, member=0, seed=1, out=tmp_path)
    for name in (WEIGHTS, LOG):
        assert (tmp_path / name).read_bytes() == (members[0] / name).read_bytes(), name


def test_the_log_has_a_row_per_epoch_and_the_loss_falls(members, settings):
    rows = [json.loads(line) for line in (members[0] / LOG).read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, settings.epochs + 1))
    assert rows[-1]["validation_loss"] < rows[0]["validation_loss"] - 1.0
    assert set(rows[-1]["validation_loss_by_label"]) == {
        "teff", "logg", "m_h", "alpha_m", "fe_h",
    }  # fmt: skip


def test_training_stops_when_validation_no_longer_improves(sky, scaling, settings, tmp_path):
    # Labels without any relation to the spectra: there is nothing to learn.
    shuffled = np.random.default_rng(0).permutation(len(sky))
    noise = replace(sky, labels=sky.labels[shuffled], label_error=sky.label_error[shuffled])
    eager = settings.model_copy(update={"patience": 2, "epochs": 60, "learning_rate": 1e-2})
    result = fit_member(noise, scaling, eager, member=0, seed=1, out=tmp_path)
    assert result.epochs == result.best_epoch + 2 < 60


def test_without_validation_stars_all_epochs_are_done_and_the_last_is_kept(
    sky, scaling, settings, tmp_path
):
    everybody = np.where(sky.split == Split.VALIDATION, np.uint8(Split.FIT), sky.split)
    # Steps that grow so large that the loss of the last epoch is not the least one.
    hasty = {"epochs": 6, "patience": 1, "learning_rate": 30.0, "warmup_epochs": 6.0}
    hasty = settings.model_copy(update=hasty)
    data = replace(sky, split=everybody)
    result = fit_member(data, scaling, hasty, member=0, seed=1, out=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert (result.epochs, result.best_epoch) == (6, 6)
    assert result.loss == rows[-1]["fit_loss"] > min(row["fit_loss"] for row in rows)
    assert {row["validation_loss"] for row in rows} == {None}


def test_without_fit_stars_or_inputs_or_labels_there_is_no_training(
    sky, scaling, settings, tmp_path
):
    def refuse(data, match):
        with pytest.raises(ModelError, match=match):
            fit_member(data, scaling, settings, member=0, seed=1, out=tmp_path)

    all_test = np.full_like(sky.split, Split.TEST)
    refuse(replace(sky, split=all_test), "no fit stars")
    nothing = {f"has_{name}": np.zeros(len(sky), bool) for name in ("rvs", "xp", "photometry")}
    blind = {**sky.block, **nothing, "has_parallax": np.zeros(len(sky), bool)}
    refuse(replace(sky, block=blind), "any input")
    unknown = np.full_like(sky.labels, np.nan)
    refuse(replace(sky, labels=unknown, label_error=unknown), "model.min_label_stars asks for 100")


def test_a_training_that_runs_away_says_so(sky, scaling, settings, tmp_path):
    wild = settings.model_copy(update={"learning_rate": 1e30, "warmup_epochs": 0.0})
    with pytest.raises(ModelError, match="loss of member 0 is not finite"):
        fit_member(sky, scaling, wild, member=0, seed=1, out=tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_the_step_size_rises_then_falls(settings):
    rates = [learning_rate(epoch, settings) for epoch in np.linspace(0, settings.epochs, 50)]
    peak = int(np.argmax(rates))
    assert rates[0] == 0
    assert 0 < peak < 49
    assert (np.diff(rates[peak:]) <= 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-9)
