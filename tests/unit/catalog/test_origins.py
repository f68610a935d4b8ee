"""What a catalogue says of its stars and of its model: simulated, in part, or not."""

import itertools
from pathlib import Path

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.catalog.between import leave_out
from catalog_builder.catalog.origins import (
    Model,
    of_any_stars,
    of_same_stars,
    origin_of_catalogue,
    record_in_words,
    unverified_in_words,
    whose_metrics,
)
from catalog_builder.catalog.release_json import ModelFacts
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.origin import ModelOrigin
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Task


def receipts(*marks):
    facts = {"stage": "ingest", "stage_version": 1, "key": "k", "rows_in": 0, "rows_out": 0}
    facts |= {"output": "o", "pattern": "*", "output_digest": "d", "inventory": "", "seconds": 0.0}
    notes = [{"simulated": True} if mark else {} for mark in marks]
    return [Receipt(task=f"p{n}", notes=note, **facts) for n, note in enumerate(notes)]


def catalogue(*marks, learnt, given=True, folds=0, **origin):
    """Return what is recorded of a catalogue of such partitions and of such a model."""
    known = ModelOrigin(release="dr3", survey="apogee-dr17", simulated=learnt, **origin)
    model = Model(Path("m"), "0123456789abcdef", {}, known, default_contract(), given, folds=folds)
    return origin_of_catalogue(load_release("dr3"), receipts(*marks), model)


STARS, MODELS = ((True, True), (True, False), (False, False)), (True, False, None)


@pytest.mark.parametrize(("marks", "learnt"), list(itertools.product(STARS, MODELS)))
def test_any_simulated_star_marks_the_product(marks, learnt):
    record = catalogue(*marks, learnt=learnt)
    assert record["simulated"] == any(marks)
    assert record["simulated_partitions"] == sum(marks)
    said = any(marks) or learnt is True
    assert ("simulated" in record["catalogue"]) == said
    assert bool(record_in_words(record)) == said


def test_title_and_words_say_which():
    assert catalogue(True, True, learnt=True)["catalogue"].endswith("simulated Gaia Data Release 3")
    partly = catalogue(True, False, learnt=True)
    assert "partly simulated" in partly["catalogue"]
    assert "1 of 2 partitions" in record_in_words(partly)
    real = catalogue(False, False, learnt=True)
    assert real["catalogue"] == (
        "catalog-builder Gaia Data Release 3 (model trained on simulated stars)"
    )
    assert record_in_words(real) == "The model that made the labels was trained on simulated stars."
    other_way = record_in_words(catalogue(True, learnt=False))
    assert "trained on stars that are not simulated" in other_way
    assert "not recorded" in record_in_words(catalogue(True, learnt=None))


def test_who_made_none_of_it_is_not_thanked():
    owed = {"credit": "SDSS", "release_credit": "ESA, for the model"}
    only = catalogue(True, True, learnt=True)["acknowledgements"]
    assert only == ("Stars simulated with catalog-builder: 2 of 2 partitions.",)
    mixed = " ".join(catalogue(True, False, learnt=True)["acknowledgements"])
    assert "Gaia" in mixed
    real = catalogue(False, learnt=True)["acknowledgements"]
    assert len(real) == 1
    assert "Gaia" in real[0]
    # Observed stars made the model: they are owed their thanks wherever it is used.
    other_way = catalogue(True, learnt=False, **owed)["acknowledgements"]
    assert other_way[:2] == ("ESA, for the model", "SDSS")


def test_tasks_are_marked_where_their_stars_are():
    tasks = [Task("s", "a", "key-a"), Task("s", "b", "key-b")]
    one, other = of_same_stars(tasks, receipts(True, False))
    assert one.simulated
    assert one.key != "key-a"
    assert other is tasks[1]
    assert all(task.simulated for task in of_any_stars(tasks, receipts(False, True)))
    assert of_any_stars(tasks, receipts(False)) == tasks
    labels = receipts(True)[0]
    assert all(task.simulated for task in of_same_stars(tasks, receipts(False, False), labels))


def test_metrics_of_a_given_model_are_called_its_own():
    origin = ModelOrigin(
        release="dr3",
        survey="apogee-dr17",
        archive="ab" * 16,
        partitions=6,
        stars=400,
        simulated=True,
    )
    given = whose_metrics("0123456789abcdef", origin, given=True)
    assert given.startswith("Measured where the model was trained")
    for fact in ("0123456789ab", "400 simulated stars", "apogee-dr17", "dr3", "abababababab"):
        assert fact in given
    assert "of this archive" in whose_metrics("0123456789abcdef", origin, given=False)


def test_a_model_whose_sigma_was_fitted_anew_says_where_it_was_measured():
    origin = ModelOrigin(
        release="dr3", stars=9, parent="p" * 64, calibrated_release="dr4", calibrated_stars=7
    )
    for given in (True, False):
        words = whose_metrics("d" * 64, origin, given=given)
        assert "Measured on stars of dr4 that neither taught nor calibrated it" in words
        assert "sigma fitted anew on 7 of dr4" in words
    assert {"parent", "calibrated_release"} <= origin.said().keys()
    assert not {"parent", "calibrated_release"} & ModelOrigin(release="dr3").said().keys()


def test_a_model_that_was_not_measured_is_called_so():
    assert not unverified_in_words({"release": "dr4", "unverified": None})
    words = unverified_in_words({"release": "dr4", "unverified": True, "model": {"release": "dr3"}})
    assert words.startswith("The model was made for dr3 and was not measured on stars of dr4")


@pytest.mark.parametrize("folds", [0, 5])
def test_of_a_model_without_folds_it_is_said_that_it_saw_its_stars(folds):
    said = catalogue(False, learnt=False, folds=folds)["model"]
    content = {"model": ModelFacts.model_validate(said).model_dump()}
    leave_out(content)
    assert content["model"].get("answers_seen", False) is (folds == 0)
